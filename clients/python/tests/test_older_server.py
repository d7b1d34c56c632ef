"""A client of today with a server of 1.0, which is kept as the frames that one once sent."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import numpy as np
import pytest
from gymnasium import error as gymnasium_error
from gymnasium.vector import AutoresetMode
from hostile import ScriptedServer

import swift_gym
from swift_gym.protocol import messages

RECORDING = Path(__file__).parents[3] / "Tests" / "Fixtures" / "protocol-1.0" / "python-client.frames"


def test_the_conversation_is_the_same(tmp_path: Path) -> None:
    """Hello aside, it asks for what a client of 1.0 asked for, and understands what it was answered then."""
    if not RECORDING.is_file():
        pytest.skip("the recording is in the checkout only")
    lines = RECORDING.read_text().split("\n")
    frames = [(line[0], bytes.fromhex(line[2:])) for line in lines if line]
    pairs = iter([(frames[i][1], frames[i + 1][1]) for i in range(0, len(frames), 2)])
    asked: list[str] = []

    def answer(request: messages.Request, stream: socket.socket) -> bytes:
        recorded, answered = next(pairs)
        expected = messages.Request.FromString(recorded[8:])
        if request.WhichOneof("message") == "hello":
            assert request.hello.minor > expected.hello.minor
        else:
            assert request == expected
        asked.append(str(request.WhichOneof("message")))
        return answered

    server = ScriptedServer(tmp_path / "socket", answer)
    try:
        _talk(server.address)
    finally:
        server.end()
    assert next(pairs, None) is None
    assert {"make", "reset", "step", "render", "get_state", "set_state", "send", "receive", "close"} <= set(asked)


def _talk(address: str) -> None:
    with swift_gym.connect(address) as connection:
        assert connection.minor == 0
        connection.ping()
        counters = connection.make_vec(
            "conformance/Counter-v0",
            3,
            transport="socket",
            limit=2,
            rewards="count",
            autoreset_mode=AutoresetMode.SAME_STEP,
            render_mode="ansi",
        )
        counters.reset(seed=7)
        for _ in range(5):
            _, rewards, *_ = counters.step(np.array([0, 1, 0]))
        assert rewards.tolist() == [1, 1, 1]
        counters.reset(options={"reset_mask": np.array([True, False, True]), "start": 1})
        counters.step(np.array([1, 1, 1]))
        assert len(counters.render() or ()) == 3
        batch = counters._batch
        states = batch.get_state([0, 2])
        batch.set_state([states[1], states[0]], [0, 2])
        counters.step(np.array([0, 0, 0]))
        batch.send([2, 0], [np.array([1, 0])])
        batch.receive(2)
        request = batch.request()
        request.sample.seed.value = 3
        connection.exchange(request)
        request = batch.request()
        leaf = request.contains.members.add()
        leaf.tensor.CopyFrom(messages.Tensor(dtype=messages.INT64, shape=[3], data=struct.pack("<3q", 0, 1, 2)))
        assert connection.exchange(request).contains.contained == b"\1\1\0"
        with pytest.raises(gymnasium_error.InvalidAction):
            counters.step(np.array([0, 9, 0]))
        counters.close()
        pole = connection.make("CartPole-v1", transport="socket", max_episode_steps=3)
        pole.reset(seed=42)
        for action in (0, 1, 1):
            _, _, _, truncated, _ = pole.step(action)
        assert truncated
        pole.reset()
        pole.close()
        failing = connection.make_vec("conformance/Fault-v0", 2, transport="socket")
        failing.reset(seed=1)
        assert "fault" in failing.step(np.array([0, 1]))[4]
        failing.step(np.array([0, 0]))
        failing.close()
        echo = connection.make("conformance/Echo-v0", space="mixed")
        echo.reset(seed=1)
        observation, *_ = echo.step({"number": 1, "name": "ab"})
        assert observation["name"] == "ab"
        echo.close()
        with pytest.raises(gymnasium_error.NameNotFound):
            connection.make("Nope-v0")
