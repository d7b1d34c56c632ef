"""Updates of Stable-Baselines3's own SAC with gSDE, that the tests of Agents compare with.

`SAC.train()` runs as it is; only what it draws at random comes from NumPy's generators, seeded as the project's streams
are, and 10⁻⁶ is not added inside the logarithm of tanh's slope, which the project computes exactly. Needs stable-baselines3 and torch (2.9.2 and 2.13.0 made the committed file).

Usage: python3 Tests/Fixtures/pytorch/dump_sac_sde.py > Tests/Fixtures/pytorch/sac-sde.json
"""
import json
import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.logger import configure
from stable_baselines3.common.type_aliases import ReplayBufferSamples

OBSERVATION, ACTION, HIDDEN, COUNT, BATCH, SEED, UPDATES, GAMMA, TAU, RATE = 3, 2, [6, 5], 11, 7, 5, 4, 0.9, 0.05, 0.01
torch.manual_seed(4)


def flat(tensor):
    return [float(f"{float(x):.9g}") for x in tensor.detach().reshape(-1)]


def stream(*key):
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(SEED, spawn_key=key)))


def normals(generator, shape):
    return torch.tensor(np.array([generator.standard_normal() for _ in range(int(np.prod(shape)))]).reshape(shape),
                        dtype=torch.float32)


class Spaces(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-10, 10, (OBSERVATION,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (ACTION,), np.float32)


model = SAC(
    "MlpPolicy", Spaces(), learning_rate=RATE, batch_size=BATCH, tau=TAU, gamma=GAMMA, ent_coef="auto_0.5",
    use_sde=True, policy_kwargs={"net_arch": HIDDEN, "log_std_init": -0.3}, device="cpu")
model.actor.action_dist.bijector.epsilon = 0.0
model.set_logger(configure(None, []))
with torch.no_grad():
    # Means on both sides of the limit, deviations that differ.
    model.actor.mu[0].weight *= 16
    model.actor.log_std += 0.3 * torch.randn_like(model.actor.log_std)


def record():
    # Ours are (inputs, outputs), PyTorch's (outputs, inputs).
    def layers(name, modules):
        linear = [m for m in modules if isinstance(m, torch.nn.Linear)]
        return {
            f"{name}.{i}.{kind}": flat(layer.weight.T if kind == "weight" else layer.bias)
            for i, layer in enumerate(linear) for kind in ("weight", "bias")}

    actor = model.actor
    numbers = {**layers("actor", [*actor.latent_pi, actor.mu[0]]), "log_std": flat(actor.log_std)}
    for suffix, critic in (("", model.critic), ("_target", model.critic_target)):
        for i, network in enumerate(critic.q_networks):
            numbers |= layers(f"qf{i}{suffix}", network)
    return numbers


data = {
    "observations": torch.randn(COUNT, OBSERVATION), "next_observations": torch.randn(COUNT, OBSERVATION),
    "actions": 2 * torch.rand(COUNT, ACTION) - 1, "rewards": torch.randn(COUNT),
    "terminated": (torch.rand(COUNT) < 0.3).float(),
}
draws, maps = stream(2), stream(5, 2)


def sample(*_, **__):
    rows = [int(draws.integers(0, COUNT)) for _ in range(BATCH)]
    return ReplayBufferSamples(
        observations=data["observations"][rows], actions=data["actions"][rows],
        next_observations=data["next_observations"][rows], dones=data["terminated"][rows, None],
        rewards=data["rewards"][rows, None])


def sample_weights(self, log_std, batch_size=1):
    self.exploration_mat = self.get_std(log_std) * normals(maps, log_std.shape)
    self.exploration_matrices = self.exploration_mat[None]


model.replay_buffer.sample = sample
StateDependentNoiseDistribution.sample_weights = sample_weights
start = record()
model.train(gradient_steps=UPDATES, batch_size=BATCH)
logged = model.logger.name_to_value

# Acting after the updates: a map for each environment, and greedily.
observations = torch.randn(3, OBSERVATION)
exploration = stream(4)
with torch.no_grad():
    std = model.actor.get_std()
    model.actor.action_dist.exploration_matrices = torch.stack(
        [std * normals(exploration, std.shape) for _ in observations])
    explored = model.actor(observations)
    greedy = model.actor(observations, deterministic=True)

print(json.dumps({
    "stable_baselines3": stable_baselines3.__version__, "torch": torch.__version__,
    "shape": {
        "observation": OBSERVATION, "action": ACTION, "hidden": HIDDEN, "count": COUNT, "batch": BATCH, "seed": SEED,
        "updates": UPDATES, "gamma": GAMMA, "tau": TAU, "rate": RATE,
    },
    "sac": {
        **{k: flat(v) for k, v in data.items()}, "start": start, "end": record(),
        "actor_loss": float(logged["train/actor_loss"]), "critic_loss": float(logged["train/critic_loss"]),
        "ent_coef": float(torch.exp(model.log_ent_coef.detach())), "ent_coef_loss": float(logged["train/ent_coef_loss"]),
    },
    "acting": {"observations": flat(observations), "explored": flat(explored), "greedy": flat(greedy)},
}, separators=(",", ":")))
