"""The client against servers that it should not trust (X6): nothing that they say ends it or fills its memory."""

from __future__ import annotations

import resource
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hostile import PATIENCE, ScriptedServer, frame, sealed_memory

import swift_gym
from swift_gym.protocol import messages

Change = Callable[[messages.Response], None]


def box(shape: list[int]) -> messages.Space:
    low, high = (messages.Tensor(dtype=messages.FLOAT32, data=struct.pack("<f", bound)) for bound in (-1, 1))
    return messages.Space(box=messages.BoxSpace(shape=shape, low=low, high=high))


def floats(rows: int) -> list[messages.Leaf]:
    return [messages.Leaf(tensor=messages.Tensor(dtype=messages.FLOAT32, shape=[rows, 3], data=bytes(12 * rows)))]


class Server:
    """A right server of one environment, and what a test changes of its answers."""

    def __init__(self, path: Path) -> None:
        self.change: Change = lambda response: None
        self.raw: Callable[[messages.Request, socket.socket], bytes | None] | None = None
        self.scripted = ScriptedServer(path, self._answer)
        self.address = self.scripted.address
        self._rows = 1
        self._autoreset = 0

    def _answer(self, request: messages.Request, stream: socket.socket) -> bytes | None:
        if self.raw is not None and request.WhichOneof("message") != "hello":
            return self.raw(request, stream)
        response = self.response(request)
        self.change(response)
        return frame(2, response.SerializeToString())

    def response(self, request: messages.Request) -> messages.Response:
        """What a right server would answer."""
        response = messages.Response(id=request.id, handle=request.handle)
        kind = request.WhichOneof("message")
        assert kind is not None
        part = getattr(response, kind)
        part.SetInParent()
        rows = self._rows
        if kind == "hello":
            part.major = part.minor = 1
            part.capabilities[:] = ["render.v1", "state.v1", "async.v1", "shared-memory.v1"]
            assert request.hello.max_frame_bytes > 0
        elif kind == "list":
            self._describe(part.environments.add())
        elif kind == "make":
            self._rows, self._autoreset = rows, part.autoreset = request.make.num_envs, request.make.autoreset
            part.num_envs = rows
            part.handle, part.transport = 1, messages.SOCKET
            self._describe(part.spec)
            part.observation_space.CopyFrom(box([3]))
            part.action_space.CopyFrom(messages.Space(discrete=messages.DiscreteSpace(n=2)))
            part.batched_observation_space.CopyFrom(box([rows, 3]))
            batched = part.batched_action_space.multi_discrete
            batched.shape[:], batched.nvec[:] = [rows], [2] * rows
        elif kind == "reset":
            part.observation.extend(floats(rows))
            part.effective_seeds[:] = [1] * rows
        elif kind in ("step", "receive"):
            count = rows if kind == "step" else request.receive.count
            part.observation.extend(floats(count))
            part.rewards, part.terminated, part.truncated = bytes(8 * count), bytes(count), bytes(count)
            if kind == "receive":
                part.environment_index[:] = range(count)
        elif kind == "render":
            for _ in request.render.environment_index or [0]:
                part.frames.add().image.CopyFrom(messages.Tensor(dtype=messages.UINT8, shape=[1, 1, 3], data=b"\1\2\3"))
        elif kind == "get_state":
            part.states[:] = [b"s"] * (len(request.get_state.environment_index) or rows)
        return response

    @staticmethod
    def _describe(spec: messages.EnvironmentSpec) -> None:
        spec.id = "Point-v0"
        spec.render_modes[:] = ["rgb_array"]
        spec.autoreset_modes[:] = [1, 2, 3]
        spec.observation_space.CopyFrom(box([3]))
        spec.action_space.discrete.n = 2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "socket")
    yield started
    started.scripted.end()


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Fails what asks for gigabytes, before the machine has to find them."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def make(server: Server, rows: int = 2, **arguments: Any) -> swift_gym.VectorEnv:
    return swift_gym.VectorEnv(
        "Point-v0", rows, server=server.address, timeout=PATIENCE, transport="socket", **arguments
    )


def test_a_right_one_is_understood(server: Server) -> None:
    environments = make(server, render_mode="rgb_array")
    environments.reset(seed=1)
    environments.step(np.array([0, 1]))
    environments.send(np.array([1, 1]))
    environments.receive(2)
    assert len(environments.render() or ()) == 2
    assert len(environments.get_state()) == 2
    environments.close()


HUGE = [1 << 16, 1 << 16]

OF_MAKE: dict[str, Callable[[Any], None]] = {
    "more environments than asked for": lambda made: setattr(made, "num_envs", 1 << 31),
    "another mode": lambda made: setattr(made, "autoreset", 3),
    "no handle": lambda made: setattr(made, "handle", 0),
    "a box that grows": lambda made: made.observation_space.CopyFrom(box(HUGE)),
    "a box that grows past 64 bits": lambda made: made.observation_space.CopyFrom(box([1 << 31] * 4)),
    "a box of many axes": lambda made: made.observation_space.CopyFrom(box([1] * 40)),
    "a batched box that grows": lambda made: made.batched_observation_space.CopyFrom(box([2, 1 << 28])),
    "a spec's box that grows": lambda made: made.spec.observation_space.CopyFrom(box(HUGE)),
    "actions that grow": lambda made: made.action_space.CopyFrom(
        messages.Space(multi_binary=messages.MultiBinarySpace(shape=HUGE))
    ),
    "no space": lambda made: made.action_space.Clear(),
    "text that ends before it begins": lambda made: made.action_space.CopyFrom(
        messages.Space(text=messages.TextSpace(min_length=9, max_length=2, charset="a"))
    ),
    "bounds the wrong way round": lambda made: made.observation_space.box.low.CopyFrom(
        messages.Tensor(dtype=messages.FLOAT32, data=struct.pack("<f", 5))
    ),
    "numbers that do not fit their shape": lambda made: made.action_space.CopyFrom(
        messages.Space(multi_discrete=messages.MultiDiscreteSpace(shape=[3], nvec=[2, 2]))
    ),
    "a graph of text": lambda made: made.observation_space.CopyFrom(
        messages.Space(graph=messages.GraphSpace(node_space=messages.Space(text=messages.TextSpace(max_length=1))))
    ),
    "a threshold that is text": lambda made: made.spec.reward_threshold.CopyFrom(messages.OptionValue(text="x")),
}


@pytest.mark.parametrize("what", OF_MAKE)
def test_what_is_made(server: Server, what: str) -> None:
    def change(response: messages.Response) -> None:
        if response.WhichOneof("message") == "make":
            OF_MAKE[what](response.make)

    server.change = change
    with pytest.raises(swift_gym.ProtocolError):
        make(server)


def test_a_list_of_boxes_that_grow_together(server: Server) -> None:
    def change(response: messages.Response) -> None:
        if response.WhichOneof("message") == "list":
            for _ in range(200):
                response.list.environments.add(id="x").CopyFrom(response.list.environments[0])
                response.list.environments[-1].observation_space.CopyFrom(box([1 << 22]))

    server.change = change
    with swift_gym.connect(server.address) as connection, pytest.raises(swift_gym.ProtocolError, match="elements"):
        connection.list()


def _final(step: Any) -> None:
    step.terminated = b"\1\0"
    step.final_index[:] = [77]
    step.final_observation.extend(floats(1))


def _nothing_of_much(step: Any) -> None:
    column = step.info.add(name="x", mask=b"")
    column.tensor.CopyFrom(messages.Tensor(dtype=messages.INT8, shape=[0, 1 << 31, 1 << 31]))


def _large_final_info(step: Any) -> None:
    step.terminated = b"\1\0"
    step.final_index[:] = [0]
    step.final_observation.extend(floats(1))
    tensor = messages.Tensor(dtype=messages.INT8, shape=[0, 1 << 30], data=b"")
    step.final_info.add(name="x", mask=b"").tensor.CopyFrom(tensor)


OF_STEP: dict[str, Callable[[Any], None]] = {
    "too few rewards": lambda step: setattr(step, "rewards", bytes(8)),
    "flags of another number of rows": lambda step: setattr(step, "terminated", bytes(3)),
    "a leaf too many": lambda step: step.observation.extend(floats(2)),
    "rows of another batch": lambda step: step.observation[0].CopyFrom(floats(3)[0]),
    "a row that is not there": _final,
    "a tensor of nothing with axes of billions": _nothing_of_much,
    "info that grows": _large_final_info,
    "a mask of another number of rows": lambda step: step.info.add(name="x", mask=b"\1\1\1"),
    "a fault of nobody": lambda step: step.faults.add(environment_index=2, message="x"),
}


@pytest.mark.parametrize("what", OF_STEP)
def test_what_is_stepped(server: Server, what: str) -> None:
    environments = make(server, autoreset_mode="SameStep")
    environments.reset(seed=1)

    def change(response: messages.Response) -> None:
        if response.WhichOneof("message") == "step":
            OF_STEP[what](response.step)

    server.change = change
    with pytest.raises(swift_gym.ProtocolError):
        environments.step(np.array([0, 1]))
    environments.close()


def test_flags_that_are_no_flags_are_true(server: Server) -> None:
    environments = make(server)
    environments.reset(seed=1)

    def change(response: messages.Response) -> None:
        if response.WhichOneof("message") == "step":
            response.step.truncated = b"\xff\0"

    server.change = change
    _, _, _, truncated, _ = environments.step(np.array([0, 1]))
    assert truncated.view(np.uint8).tolist() == [1, 0]
    environments.close()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("reset", lambda part: part.ClearField("effective_seeds")),
        ("reset", lambda part: part.ClearField("observation")),
        ("render", lambda part: part.ClearField("frames")),
        ("render", lambda part: part.frames[0].image.ClearField("data")),
        ("get_state", lambda part: part.states.append(b"x")),
        ("receive", lambda part: part.environment_index.__setitem__(0, 1 << 31)),
        ("receive", lambda part: part.environment_index.pop()),
    ],
)
def test_other_answers(server: Server, kind: str, change: Callable[[Any], None]) -> None:
    environments = make(server, render_mode="rgb_array")
    environments.reset(seed=1)
    if kind == "receive":
        environments.send(np.array([1, 1]))

    def changed(response: messages.Response) -> None:
        if response.WhichOneof("message") == kind:
            change(getattr(response, kind))

    server.change = changed
    calls: dict[str, Callable[[], Any]] = {
        "reset": environments.reset,
        "render": environments.render,
        "get_state": environments.get_state,
        "receive": lambda: environments.receive(2),
    }
    with pytest.raises(swift_gym.ProtocolError):
        calls[kind]()
    server.change = lambda response: None
    environments.close()


def test_answers_that_nobody_asked_for(server: Server) -> None:
    with swift_gym.connect(server.address, timeout=PATIENCE) as connection:
        unasked = frame(2, messages.Response(id=4711, ping={}).SerializeToString())
        server.raw = lambda request, stream: unasked * 100_000
        with pytest.raises((swift_gym.ProtocolError, swift_gym.ServerDied), match=r"nobody|no request"):
            connection.ping()
        with pytest.raises((gymnasium.error.Error, swift_gym.ServerDied)):
            connection.ping()


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<IBBH", 0xFFFF_FFFF, 2, 0, 0),
        struct.pack("<IBBH", 0, 1, 0, 0),
        struct.pack("<IBBH", 0, 2, 1, 0),
        frame(2, b"\xff\xff"),
        frame(3, b"\xff\xff"),
    ],
)
def test_frames_that_are_none(server: Server, content: bytes) -> None:
    with swift_gym.connect(server.address, timeout=PATIENCE) as connection:
        server.raw = lambda request, stream: content
        with pytest.raises(swift_gym.ProtocolError):
            connection.ping()


def test_descriptors_that_nobody_asked_for(server: Server) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with swift_gym.connect(server.address, timeout=PATIENCE) as connection:

        def answer(request: messages.Request, stream: socket.socket) -> bytes:
            with open("/dev/null") as file:
                # Each with a byte of the answer, which is long enough.
                padded = (
                    messages.Response(id=request.id, ping={}).SerializeToString() + b"\xfa\x01\x82\x01" + bytes(130)
                )
                content = frame(2, padded)
                for byte in content[:100]:
                    socket.send_fds(stream, [bytes([byte])], [file.fileno()])
                return content[100:]

        server.raw = answer
        connection.ping()
        assert len(list(Path("/proc/self/fd").iterdir())) < before + 30
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


def _layout(size: int = 1 << 16) -> messages.SharedMemory:
    memory = messages.SharedMemory(size=size, control_offset=0)
    offset = 256

    def place(region: messages.Region, dtype: Any, shape: list[int]) -> None:
        nonlocal offset
        region.offset, region.dtype = offset, dtype
        region.shape[:] = shape
        offset += 64

    place(memory.actions.add(), messages.INT64, [2])
    for _ in range(2):
        results = memory.results.add()
        place(results.observation.add(), messages.FLOAT32, [2, 3])
        for name, dtype in (
            ("rewards", messages.FLOAT64),
            ("terminated", messages.BOOL),
            ("truncated", messages.BOOL),
            ("episode_returns", messages.FLOAT64),
            ("episode_lengths", messages.INT64),
        ):
            place(getattr(results, name), dtype, [2])
    return memory


OF_MEMORY: dict[str, Callable[[messages.SharedMemory], None]] = {
    "right": lambda memory: None,
    "larger than it is": lambda memory: setattr(memory, "size", 1 << 40),
    "of no size": lambda memory: setattr(memory, "size", 0),
    "a control block outside": lambda memory: setattr(memory, "control_offset", (1 << 64) - 64),
    "a region outside": lambda memory: setattr(memory.actions[0], "offset", (1 << 64) - 64),
    "a region that is not aligned": lambda memory: setattr(memory.actions[0], "offset", 260),
    "regions in one place": lambda memory: setattr(
        memory.results[0].rewards, "offset", memory.results[0].observation[0].offset
    ),
    "a region in the control block": lambda memory: setattr(memory.actions[0], "offset", 64),
    "a region of another shape": lambda memory: memory.actions[0].shape.append(1 << 31),
    "one set of results": lambda memory: memory.results.pop() and None,
    "a region too few": lambda memory: memory.results[0].ClearField("observation"),
}


@pytest.mark.parametrize("what", OF_MEMORY)
def test_shared_memory(server: Server, what: str) -> None:
    memory = _layout()
    OF_MEMORY[what](memory)
    with sealed_memory(1 << 16) as descriptor:

        def answer(request: messages.Request, stream: socket.socket) -> bytes | None:
            response = server.response(request)
            if request.WhichOneof("message") != "make":
                return frame(2, response.SerializeToString())
            response.make.transport = messages.SHARED_MEMORY
            response.make.shared_memory.CopyFrom(memory)
            socket.send_fds(stream, [frame(2, response.SerializeToString())], [descriptor])
            return None

        server.raw = answer
        arguments: dict[str, Any] = {"server": server.address, "timeout": PATIENCE, "transport": "shared-memory"}
        if what == "right":
            swift_gym.VectorEnv("Point-v0", 2, **arguments).close()
        else:
            with pytest.raises(swift_gym.ProtocolError):
                swift_gym.VectorEnv("Point-v0", 2, **arguments)
