"""Numbers of Stable-Baselines3's VecNormalize, from its formulas in NumPy, for the tests of Normalisation.

Usage: python3 Tests/Fixtures/pytorch/vec_normalize.py > Tests/Fixtures/pytorch/vec_normalize.json
"""
import json
import numpy as np


class RunningMeanStd:
    def __init__(self, shape):
        self.mean, self.var, self.count = np.zeros(shape), np.ones(shape), 1e-4

    def update(self, batch):
        mean, var, count = batch.mean(0), batch.var(0), batch.shape[0]
        delta, total = mean - self.mean, self.count + count
        m2 = self.var * self.count + var * count + delta**2 * self.count * count / total
        self.mean, self.var, self.count = self.mean + delta * count / total, m2 / total, total


random = np.random.default_rng(0)
observations = (random.normal(size=(5, 3, 2)) * [1, 20] + [0, 5]).astype(np.float32)
rewards = random.normal(size=(4, 3))
dones = random.random((4, 3)) < 0.3
gamma, clip, epsilon = 0.9, 1.2, 1e-8
of_observations, of_returns, returns = RunningMeanStd(2), RunningMeanStd(()), np.zeros(3)
normalised_observations, normalised_rewards = [], []
for step in range(5):
    of_observations.update(observations[step].astype(np.float64))
    normal = (observations[step] - of_observations.mean) / np.sqrt(of_observations.var + epsilon)
    normalised_observations.append(np.clip(normal, -clip, clip))
for step in range(4):
    returns = returns * gamma + rewards[step]
    of_returns.update(returns)
    normalised_rewards.append(np.clip(rewards[step] / np.sqrt(of_returns.var + epsilon), -clip, clip))
    returns[dones[step]] = 0
flat = lambda x: [float(f"{v:.9g}") for v in np.asarray(x, dtype=np.float64).reshape(-1)]
print(json.dumps({
    "observations": flat(observations), "rewards": [float(v) for v in rewards.reshape(-1)],
    "dones": [bool(v) for v in dones.reshape(-1)],
    "normalisedObservations": flat(normalised_observations), "normalisedRewards": flat(normalised_rewards),
    "mean": flat(of_observations.mean), "variance": flat(of_observations.var), "returnVariance": flat(of_returns.var),
}, separators=(",", ":")))
