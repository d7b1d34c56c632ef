"""The environments under ``SwiftGym/`` in Gymnasium's registry.

The table is written down here, so that importing the package starts no server. What a server offers beyond it is
registered by :func:`register_environments`.
"""

from __future__ import annotations

import gymnasium
from gymnasium.envs.registration import registry

from swift_gym.connection import Connection
from swift_gym.process import lease_server
from swift_gym.specs import EnvironmentSpec

__all__ = ["NAMESPACE", "register_environments"]

NAMESPACE = "SwiftGym"

# Id, time limit in steps, reward threshold: as gym-server registers them, and Gymnasium does.
TABLE: tuple[tuple[str, int | None, float | None], ...] = (
    ("Acrobot-v1", 500, -100.0),
    ("BipedalWalker-v3", 1600, 300.0),
    ("BipedalWalkerHardcore-v3", 2000, 300.0),
    ("Blackjack-v1", None, None),
    ("CartPole-v1", 500, 475.0),
    ("CliffWalking-v1", None, None),
    ("CliffWalkingSlippery-v1", None, None),
    ("FrozenLake-v1", 100, 0.7),
    ("FrozenLake8x8-v1", 200, 0.85),
    ("LunarLander-v3", 1000, 200.0),
    ("LunarLanderContinuous-v3", 1000, 200.0),
    ("MountainCar-v0", 200, -110.0),
    ("MountainCarContinuous-v0", 999, 90.0),
    ("Pendulum-v1", 200, None),
    ("Pong-v1", None, None),
    ("PongDifference-v1", None, None),
    ("Taxi-v4", 200, 8.0),
)


def _register(id: str, max_episode_steps: int | None, reward_threshold: float | None, nondeterministic: bool) -> str:
    # A namespace of the server's becomes part of the name: Gymnasium's ids have one namespace.
    name = f"{NAMESPACE}/{id.replace('/', '.')}"
    if name not in registry:
        gymnasium.register(
            id=name,
            entry_point="swift_gym.env:make_unlimited",
            vector_entry_point="swift_gym.vector_env:VectorEnv",
            max_episode_steps=max_episode_steps,
            reward_threshold=reward_threshold,
            nondeterministic=nondeterministic,
            kwargs={"environment": id},
        )
    return name


def register_table() -> None:
    """Registers the environments that every ``gym-server`` has."""
    for id, max_episode_steps, reward_threshold in TABLE:
        _register(id, max_episode_steps, reward_threshold, nondeterministic=False)


def register_environments(server: str | Connection | None = None) -> list[str]:
    """Registers all that a server lists, so that :func:`gymnasium.make` knows it.

    Args:
        server: as in :class:`swift_gym.Env`.

    Returns:
        The ids to make them by: ``SwiftGym/`` and the server's id, a ``/`` in which becomes a dot.

    """
    if isinstance(server, Connection):
        return [_register_spec(spec) for spec in server.list()]
    with lease_server(server) as address, Connection(address) as connection:
        return [_register_spec(spec) for spec in connection.list()]


def _register_spec(spec: EnvironmentSpec) -> str:
    return _register(spec.id, spec.max_episode_steps, spec.reward_threshold, spec.nondeterministic)
