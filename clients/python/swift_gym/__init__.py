"""Environments of a swift-gym server as ordinary Gymnasium environments.

>>> import gymnasium, swift_gym
>>> env = gymnasium.make("SwiftGym/CartPole-v1")
>>> envs = gymnasium.make_vec("SwiftGym/CartPole-v1", num_envs=64)

Both take ``server="unix:PATH"``. Without it, the server in the environment variable ``SWIFT_GYM_SERVER`` is used;
without that, a ``gym-server`` is started and ended with the last environment.
"""

from swift_gym.connection import Connection, ResourceUse, ServerStatus, connect
from swift_gym.env import Env
from swift_gym.errors import (
    EnvironmentFault,
    ErrorDetail,
    InvalidOption,
    ProtocolError,
    ServerDied,
    ServerError,
    ServerNotFound,
    ServerTimeout,
)
from swift_gym.registration import register_environments, register_table
from swift_gym.specs import EnvironmentSpec, OptionSpec
from swift_gym.vector_env import VectorEnv
from swift_gym.version import VERSION

__version__ = VERSION

__all__ = [
    "Connection",
    "Env",
    "EnvironmentFault",
    "EnvironmentSpec",
    "ErrorDetail",
    "InvalidOption",
    "OptionSpec",
    "ProtocolError",
    "ResourceUse",
    "ServerDied",
    "ServerError",
    "ServerNotFound",
    "ServerStatus",
    "ServerTimeout",
    "VectorEnv",
    "connect",
    "register_environments",
]

register_table()
