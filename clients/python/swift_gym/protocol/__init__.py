"""The messages of ``gym.v1``, generated from ``Proto/gym/v1/gym.proto`` by ``scripts/generate-protocol-python``."""

from swift_gym.protocol import gym_pb2 as messages

MAJOR = 1
MINOR = 1

SHARED_MEMORY = "shared-memory.v1"
ASYNCHRONOUS = "async.v1"
STATE = "state.v1"
RENDER = "render.v1"
SPACES = "spaces.v1"

__all__ = ["ASYNCHRONOUS", "MAJOR", "MINOR", "RENDER", "SHARED_MEMORY", "SPACES", "STATE", "messages"]
