"""Records episodes of classic control that the golden trajectories lack: options, ends, and what follows them.

    pip install gymnasium==1.4.0
    python3 Tests/Fixtures/record-classic-control.py

writes classic-control.json.gz beside itself, in the format of golden/.
"""

import gzip
import json
import pathlib

import gymnasium
import numpy as np


def swing_up(observation):
    """Pumps energy into the acrobot."""
    return 2 if observation[4] < 0 else 0


def rock(observation):
    """Pushes the mountain car the way it moves."""
    return 2 if observation[1] > 0 else 0


def rock_hard(observation):
    return np.array([1.3 if observation[1] > 0 else -1.3], np.float32)


def rock_gently(observation):
    return np.array([0.83 if observation[1] > 0 else -0.83], np.float32)


def record(id, seed, policy=None, kwargs={}, options={}, steps=1000):
    env = gymnasium.make(id, disable_env_checker=True, **kwargs)
    actions = np.random.default_rng(10_000 + seed)
    observation, _ = env.reset(seed=seed, options=options or None)
    episode = {"id": id, "seed": seed, "reset": observation.tolist(), "kwargs": kwargs, "options": options}
    episode |= {key: [] for key in ("actions", "obs", "rewards", "terminated", "truncated")}
    for _ in range(steps):
        if policy is not None:
            action = policy(observation)
        elif isinstance(env.action_space, gymnasium.spaces.Discrete):
            action = int(actions.integers(env.action_space.n))
        else:
            action = (1.3 * actions.uniform(env.action_space.low, env.action_space.high)).astype(np.float32)
        observation, reward, terminated, truncated, _ = env.step(action)
        episode["actions"].append(action if isinstance(action, int) else action.tolist())
        episode["obs"].append(observation.tolist())
        episode["rewards"].append(float(reward))
        episode["terminated"].append(terminated)
        episode["truncated"].append(truncated)
        if terminated or truncated:
            episode["next_episode_reset"] = env.reset()[0].tolist()
            break
    return episode


continuous = "MountainCarContinuous-v0"
episodes = [
    record("CartPole-v1", 3, options={"low": 0.01, "high": 0.02}),
    record("CartPole-v1", 2**63 + 5),
    record("Pendulum-v1", 1, kwargs={"g": 3}, options={"x_init": 0.3, "y_init": 7.5}),
    record("Pendulum-v1", 2, options={"y_init": 0}),
    record("Pendulum-v1", 3, options={"x_init": 50.0}),
    record("MountainCar-v0", 1, rock),
    record("MountainCar-v0", 2, rock, kwargs={"goal_velocity": 0.03}),
    record("MountainCar-v0", 3, rock, kwargs={"goal_velocity": 0.2}),
    record("MountainCar-v0", 4, options={"low": -1.3, "high": 0.7}),
    record("MountainCar-v0", 5, options={"low": -1.3, "high": -1.2}),
    record(continuous, 1, rock_hard),
    record(continuous, 2, rock_gently),
    record(continuous, 3, rock_gently, kwargs={"goal_velocity": 0.02}),
    record(continuous, 4, rock_hard, kwargs={"goal_velocity": 1}),
    record(continuous, 5, options={"low": -1.3, "high": -1.1}),
    record(continuous, 6, options={"low": 0.3, "high": 0.7}),
    record("Acrobot-v1", 1, swing_up),
    record("Acrobot-v1", 2, swing_up),
    record("Acrobot-v1", 3, swing_up, options={"low": -1, "high": 1}),
    record("Acrobot-v1", 4, options={"low": -0.5, "high": 2.5}),
    record("Acrobot-v1", 5, options={"low": -20, "high": 20}, steps=100),
]
for episode in episodes:
    print(episode["id"], episode["seed"], len(episode["rewards"]), sum(episode["rewards"]), any(episode["terminated"]))
text = json.dumps({"versions": {"gymnasium": gymnasium.__version__, "numpy": np.__version__}, "episodes": episodes})
path = pathlib.Path(__file__).parent / "classic-control.json.gz"
with gzip.GzipFile(path, "wb", mtime=0) as file:
    file.write(text.encode())
