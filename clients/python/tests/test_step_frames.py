"""Frames that are laid out once are what protobuf makes of the same messages, and steps do go that way."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from conftest import RunningServer
from environments import FIXED
from gymnasium import spaces

import swift_gym
from swift_gym import connection
from swift_gym.protocol import messages
from swift_gym.spaces import leaf_layouts
from swift_gym.step_frames import STEP_IDS, StepRequestFrame, StepResponseFrame
from swift_gym.values import leaf_to_message

SPACES = [
    spaces.Discrete(2),
    spaces.Box(-1, 1, (3,), np.float32),
    spaces.Box(0, 255, (210, 160, 3), np.uint8),
    spaces.Box(-1, 1, (), np.float64),
    spaces.Tuple([]),
    FIXED,
]


def batch_of(layout: Any, num_envs: int) -> Any:
    generator = np.random.default_rng(num_envs)
    size = num_envs * int(np.prod(layout.shape)) * layout.dtype.itemsize
    return np.frombuffer(generator.bytes(size), layout.dtype).reshape((num_envs, *layout.shape))


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("num_envs", [1, 3, 200])
@pytest.mark.parametrize("want_info", [False, True])
def test_requests(space: spaces.Space[Any], num_envs: int, want_info: bool) -> None:
    layouts = leaf_layouts(space)
    request = StepRequestFrame(300, layouts, num_envs)
    expected = messages.Request(id=STEP_IDS + 77, handle=300)
    expected.step.want_info = want_info
    for layout, leaf in zip(layouts, request.actions, strict=True):
        leaf[...] = batch_of(layout, num_envs)
        leaf_to_message(layout, leaf, expected.step.action.add())
    request.set_id(STEP_IDS + 77)
    request.set_want_info(want_info)
    size, *rest = struct.unpack("<IBBH", request.content[:8])
    assert (size, *rest) == (len(request.content) - 8, 1, 0, 0)
    body = bytes(request.content[8:])
    assert messages.Request.FromString(body) == expected
    # Byte for byte, but that protobuf leaves out what is false.
    assert body.endswith(b"\x10\x01" if want_info else b"\x10\x00")
    if want_info:
        assert body == expected.SerializeToString()


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("num_envs", [1, 3, 200])
def test_responses(space: spaces.Space[Any], num_envs: int) -> None:
    layouts = leaf_layouts(space)
    response = messages.Response(id=STEP_IDS, handle=300)
    leaves = [batch_of(layout, num_envs) for layout in layouts]
    for layout, leaf in zip(layouts, leaves, strict=True):
        leaf_to_message(layout, leaf, response.step.observation.add())
    rewards = np.random.default_rng(0).normal(size=num_envs)
    response.step.rewards = rewards.tobytes()
    response.step.terminated = response.step.truncated = bytes(num_envs)

    def framed() -> bytearray:
        body = response.SerializeToString()
        return bytearray(struct.pack("<IBBH", len(body), 2, 0, 0) + body)

    frame = framed()
    expected = StepResponseFrame(STEP_IDS, 300, layouts, num_envs)
    assert expected.size == len(frame) and expected.fits(frame + b"of the next frame")
    for one, other in zip(expected.observation(bytes(frame)), leaves, strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()
    assert np.array_equal(expected.rewards(bytes(frame)), rewards)
    assert not expected.terminated(bytes(frame)).any() and not expected.truncated(bytes(frame)).any()

    response.id += 1
    assert not expected.fits(framed())
    response.id -= 1
    response.step.final_index.append(0)
    assert not expected.fits(framed())


@pytest.mark.parametrize("kind", ["python", "swift"])
def test_steps_go_that_way(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    server: RunningServer = request.getfixturevalue(f"{kind}_server")
    env = swift_gym.Env("Pendulum-v1", server=server.address, transport="socket")
    envs = swift_gym.VectorEnv("CartPole-v1", 100, server=server.address, transport="socket")
    env.reset(seed=0), envs.reset(seed=0)

    def decode(*_: object) -> None:
        raise AssertionError("a step's response was decoded as any message")

    monkeypatch.setattr(connection.Connection, "wait", decode)
    for _ in range(5):
        env.step([0.0])
        envs.step(np.zeros(100, np.int64))
    monkeypatch.undo()
    env.close()
    envs.close()
