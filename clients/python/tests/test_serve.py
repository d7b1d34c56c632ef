"""The Python server by the clauses of Proto/PROTOCOL.md, spoken to byte by byte."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PATIENCE, RunningServer, end, python_command, run, start

import swift_gym
from swift_gym.protocol import messages

Start = Callable[..., RunningServer]


class Raw:
    """A client that sends what it is told to."""

    def __init__(self, server: RunningServer, *, hello: bool = True, **fields: Any) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(server.address.removeprefix("unix:"))
        if hello:
            self.hello = self.ask(hello=messages.HelloRequest(major=1, **fields)).hello

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send(self, **fields: Any) -> None:
        body = messages.Request(**fields).SerializeToString()
        self.send_bytes(struct.pack("<IBBH", len(body), 1, 0, 0) + body)

    def receive(self) -> messages.Response:
        kind, body = self.frame()
        assert kind == 2
        return messages.Response.FromString(body)

    def frame(self) -> tuple[int, bytes]:
        length, kind, flags, reserved = struct.unpack("<IBBH", self._exactly(8))
        assert flags == reserved == 0
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def ask(self, **fields: Any) -> messages.Response:
        self.send(**fields)
        return self.receive()

    def refusal(self, **fields: Any) -> str:
        response = self.ask(**fields)
        assert response.WhichOneof("message") == "error", response
        assert response.id == fields.get("id", 0) and response.handle == fields.get("handle", 0)
        assert not response.error.fatal and response.error.message
        return messages.ErrorCode.Name(response.error.code)

    def end_with(self, code: str) -> messages.Error:
        """The fatal error with which the connection ends."""
        response = self.receive()
        assert messages.ErrorCode.Name(response.error.code) == code
        assert response.error.fatal
        with pytest.raises((EOFError, ConnectionResetError)):
            self.frame()
        return response.error

    def make(self, id: str = "CartPole-v1", **fields: Any) -> int:
        response = self.ask(id=1, make=messages.MakeRequest(id=id, **fields))
        assert response.WhichOneof("message") == "make", response
        return response.make.handle


def _peak(server: RunningServer) -> int:
    """The most memory that a server has had, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) << 10


def discrete(*actions: int) -> list[messages.Leaf]:
    data = np.array(actions, "<i8").tobytes()
    return [messages.Leaf(tensor=messages.Tensor(dtype=messages.INT64, shape=[len(actions)], data=data))]


class TestFraming:
    @pytest.mark.parametrize("header", [(0, 2, 0, 0), (0, 9, 0, 0), (0, 1, 1, 0), (0, 1, 0, 1), (1 << 31, 3, 0, 0)])
    def test_headers_that_are_none(self, python_server: RunningServer, header: tuple[int, ...]) -> None:
        with Raw(python_server) as client:
            client.send_bytes(struct.pack("<IBBH", *header))
            client.end_with("MALFORMED_FRAME")

    def test_a_frame_that_is_too_large_is_refused_before_it_came(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            client.send_bytes(struct.pack("<IBBH", client.hello.limits.max_frame_bytes + 1, 1, 0, 0))
            client.end_with("FRAME_TOO_LARGE")

    def test_an_end_inside_a_frame(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            client.send_bytes(struct.pack("<IBBH", 10, 1, 0, 0) + b"123")
            client.socket.shutdown(socket.SHUT_WR)
            client.end_with("MALFORMED_FRAME")

    def test_bodies_that_are_no_requests(self, python_server: RunningServer) -> None:
        deep = messages.OptionValue()
        inner = deep
        for _ in range(40):
            inner = inner.list.values.add()
        inner.integer = 1
        nested = messages.Request(id=4, make=messages.MakeRequest(options=[messages.Option(name="a", value=deep)]))
        with Raw(python_server) as client:
            for body in (b"\xff\xff\xff", b"\x0a", nested.SerializeToString()):
                client.send_bytes(struct.pack("<IBBH", len(body), 1, 0, 0) + body)
                response = client.receive()
                assert response.error.code == messages.MALFORMED_MESSAGE and not response.error.fatal
                assert response.id == response.handle == 0
            assert client.ask(id=5, ping={}).id == 5

    def test_frames_in_pieces_and_in_one(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            body = messages.Request(id=7, ping={}).SerializeToString()
            frame = struct.pack("<IBBH", len(body), 1, 0, 0) + body
            for byte in frame:
                client.send_bytes(bytes([byte]))
            assert client.receive().id == 7
            client.send_bytes(frame * 5)
            assert [client.receive().id for _ in range(5)] == [7] * 5


class TestHello:
    def test_it_comes_first(self, python_server: RunningServer) -> None:
        for body in (messages.Request(ping={}).SerializeToString(), b"\xff\xff"):
            with Raw(python_server, hello=False) as client:
                client.send_bytes(struct.pack("<IBBH", len(body), 1, 0, 0) + body)
                client.end_with("HELLO_EXPECTED")

    def test_another_version(self, python_server: RunningServer) -> None:
        with Raw(python_server, hello=False) as client:
            client.send(hello=messages.HelloRequest(major=2, minor=3))
            error = client.end_with("UNSUPPORTED_VERSION")
            assert "1.1" in error.message and "2.3" in error.message
            assert (error.details[0].field, error.details[0].expected, error.details[0].got) == ("major", "1", "2")

    def test_twice(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            assert client.refusal(id=1, hello=messages.HelloRequest(major=1)) == "INVALID_ARGUMENT"

    def test_capabilities(self, python_server: RunningServer) -> None:
        with Raw(python_server, minor=7, capabilities=["render.v1", "teleport.v3", "async.v1"]) as client:
            assert client.hello.minor == 1
            assert list(client.hello.capabilities) == ["render.v1"]
            handle = client.make()
            for request in ({"get_state": {}}, {"sample": {}}, {"receive": {}}):
                assert client.refusal(id=2, handle=handle, **request) == "UNSUPPORTED_CAPABILITY"
            assert client.refusal(id=2, handle=99, get_state={}) == "UNKNOWN_HANDLE"
        with Raw(python_server) as client:
            assert set(client.hello.capabilities) == {"render.v1", "state.v1", "spaces.v1"}

    def test_tokens(self, start_python: Start, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("open sesame\n")
        server = start_python("CartPole-v1", "--token-file", str(tmp_path / "token"))
        for token in ("", "open"):
            with Raw(server, hello=False) as client:
                client.send(hello=messages.HelloRequest(major=1, token=token))
                client.end_with("UNAUTHORIZED")
        with swift_gym.connect(server.address, token="open sesame") as connection:
            connection.ping()
        with pytest.raises(swift_gym.ServerError, match="token"):
            swift_gym.connect(server.address)


class TestRequests:
    def test_handles(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client, Raw(python_server) as other:
            first, second = client.make(), client.make()
            assert 0 < first < second
            for handle in (0, 77):
                assert client.refusal(id=3, handle=handle, reset={}) == "UNKNOWN_HANDLE"
            assert other.refusal(id=3, handle=second, reset={}) == "UNKNOWN_HANDLE"
            assert client.ask(id=4, handle=first, close={}).WhichOneof("message") == "close"
            assert client.refusal(id=5, handle=first, close={}) == "UNKNOWN_HANDLE"
            assert client.make() > second

    def test_answers_after_a_close_that_was_sent_along(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            handle = client.make()
            client.send(id=10, handle=handle, reset={})
            client.send(id=11, handle=handle, close={})
            client.send(id=12, handle=handle, reset={})
            client.send(id=13, ping={})
            answers = {answer.id: answer.WhichOneof("message") for answer in (client.receive() for _ in range(4))}
            assert answers == {10: "reset", 11: "close", 12: "error", 13: "ping"}

    def test_unknown_messages_and_values(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            assert client.refusal(id=2) == "UNKNOWN_MESSAGE"
            for fields in ({"autoreset": 9}, {"transport": 9}):
                assert client.refusal(id=2, make={"id": "CartPole-v1", **fields}) == "INVALID_ARGUMENT"
            handle = client.make()
            assert client.refusal(id=2, handle=handle, sample={"space": 9}) == "INVALID_ARGUMENT"

    def test_makes_that_are_refused(self, python_server: RunningServer) -> None:
        twice = [{"name": "g", "value": {"real": 1.0}}] * 2
        with Raw(python_server) as client:
            for fields, code in (
                ({"id": "Cartpole"}, "UNKNOWN_ENVIRONMENT"),
                ({"id": "CartPole-v1", "transport": messages.SHARED_MEMORY}, "UNSUPPORTED_CAPABILITY"),
                ({"id": "CartPole-v1", "render_mode": "smell"}, "RENDER_UNAVAILABLE"),
                ({"id": "CartPole-v1", "num_envs": 1 << 20}, "LIMIT_EXCEEDED"),
                ({"id": "Pendulum-v1", "options": twice}, "MALFORMED_MESSAGE"),
                ({"id": "Pendulum-v1", "options": [{"name": "g"}]}, "MALFORMED_MESSAGE"),
                ({"id": "Pendulum-v1", "options": [{"name": "g", "value": {"text": "x"}}]}, "INVALID_OPTION"),
                ({"id": "Pendulum-v1", "autoreset_options": [{"name": "q", "value": {"real": 1}}]}, "INVALID_OPTION"),
            ):
                assert client.refusal(id=3, make=fields) == code, fields
            assert client.ask(id=4, status={}).status.environments >= 0

    def test_resets_that_are_refused(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            handle = client.make(num_envs=3)
            for fields, code in (
                ({"mask": b"\0\0\0"}, "INVALID_MASK"),
                ({"mask": b"\1\0"}, "INVALID_MASK"),
                ({"mask": b"\1\2\0"}, "INVALID_MASK"),
                ({"seeds": [{"value": 1}] * 2}, "INVALID_ARGUMENT"),
                ({"options": [{"name": "lw", "value": {"real": 1}}]}, "INVALID_OPTION"),
            ):
                assert client.refusal(id=3, handle=handle, reset=fields) == code, fields
            assert client.refusal(id=3, handle=handle, step={"action": discrete(0, 0, 0)}) == "NEEDS_RESET"

    def test_seeds(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            handle = client.make(num_envs=3)
            masked = client.ask(id=1, handle=handle, reset={"mask": b"\0\1\0", "seeds": [{"value": (1 << 64) - 1}]})
            assert list(masked.reset.effective_seeds) == [0, 0, 0]  # 2**64 - 1 + 1, modulo 2**64
            observation = np.frombuffer(masked.reset.observation[0].tensor.data, "<f4").reshape(3, 4)
            assert not observation[[0, 2]].any() and observation[1].any()
            absent = client.ask(id=2, handle=handle, reset={"seeds": [{"value": 5}, {}, {"value": 0}]})
            assert [absent.reset.effective_seeds[i] for i in (0, 2)] == [5, 0]
            unseeded = client.ask(id=3, handle=handle, reset={})
            assert list(unseeded.reset.effective_seeds) == list(absent.reset.effective_seeds)

    def test_steps_that_are_refused_change_nothing(self, python_server: RunningServer) -> None:
        short = [messages.Leaf(tensor=messages.Tensor(dtype=messages.INT64, shape=[2], data=bytes(15)))]
        wrong_type = [messages.Leaf(tensor=messages.Tensor(dtype=messages.INT32, shape=[2], data=bytes(8)))]
        with Raw(python_server) as client:
            handle = client.make(num_envs=2)
            client.ask(id=1, handle=handle, reset={"seeds": [{"value": 0}]})
            state = client.ask(id=2, handle=handle, get_state={})
            for action in (discrete(0, 2), discrete(0), [], discrete(0, 0) * 2, short, wrong_type):
                assert client.refusal(id=3, handle=handle, step={"action": action}) == "INVALID_ACTION"
            first = client.ask(id=4, handle=handle, step={"action": discrete(0, 1)})
            client.ask(id=5, handle=handle, set_state={"states": state.get_state.states})
            assert client.ask(id=4, handle=handle, step={"action": discrete(0, 1)}) == first

    def test_states_of_others_are_refused(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            handle, other = client.make(num_envs=2), client.make("Pendulum-v1")
            states = client.ask(id=1, handle=handle, get_state={}).get_state.states
            changed = bytes([states[0][0] ^ 1]) + states[0][1:]
            for to, given, code in (
                (other, states[:1], "INVALID_STATE"),
                (handle, [states[0], changed], "INVALID_STATE"),
                (handle, [b"", b""], "INVALID_STATE"),
                (handle, states[:1], "INVALID_ARGUMENT"),
            ):
                assert client.refusal(id=2, handle=to, set_state={"states": given}) == code

    def test_samples_and_members(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            handle = client.make("Pendulum-v1", num_envs=4)
            one = client.ask(id=1, handle=handle, sample={"seed": {"value": 0}}).sample
            two = client.ask(id=1, handle=handle, sample={}).sample
            assert client.ask(id=1, handle=handle, sample={"seed": {"value": 0}}).sample == one != two
            values = np.array([[0.0], [2.0], [2.1], [np.nan]], "<f4")
            tensor = messages.Tensor(dtype=messages.FLOAT32, shape=[4, 1], data=values.tobytes())
            answer = client.ask(id=2, handle=handle, contains={"members": [messages.Leaf(tensor=tensor)]})
            assert answer.contains.contained == b"\1\1\0\0"
            assert client.refusal(id=2, handle=handle, contains={}) == "INVALID_ARGUMENT"

    def test_a_response_that_is_too_large(self, python_server: RunningServer) -> None:
        with Raw(python_server, max_frame_bytes=1) as client:
            handle = client.make(render_mode="rgb_array")
            client.ask(id=1, handle=handle, reset={})
            assert client.refusal(id=2, handle=handle, render={}) == "RESPONSE_TOO_LARGE"
            assert client.ask(id=3, ping={}).id == 3

    def test_what_is_newer_is_kept_from_a_client_of_one_zero(self, python_server: RunningServer) -> None:
        for minor in (0, 1):
            with Raw(python_server, minor=minor) as client:
                assert (client.hello.minor, client.hello.limits.max_server_memory_bytes > 0) == (minor, minor == 1)
                status = client.ask(id=1, status={}).status
                assert bool(status.connection_use) is bool(status.server_use) is (minor == 1)
                handle = client.make(num_envs=2, want_step_time=True)
                client.ask(id=2, handle=handle, reset={})
                step = client.ask(id=3, handle=handle, step={"action": discrete(0, 1)}).step
                assert len(step.step_nanoseconds) == 16 * minor
                states = client.ask(id=4, handle=handle, get_state={}).get_state.states
                other = client.make("Pendulum-v1")
                code = client.refusal(id=5, handle=other, set_state={"states": states[:1]})
                assert code == ("INCOMPATIBLE_STATE" if minor else "INVALID_STATE")

    def test_a_state_of_other_options_names_them(self, python_server: RunningServer) -> None:
        def option(name: str, value: float) -> list[messages.Option]:
            return [messages.Option(name=name, value=messages.OptionValue(real=value))]

        with Raw(python_server, minor=1) as client:
            plain = client.make("Pendulum-v1")
            moon = client.make("Pendulum-v1", options=option("g", 1.6))
            earth = client.make("Pendulum-v1", options=option("g", 10))
            state = client.ask(id=1, handle=plain, get_state={}).get_state.states
            client.send(id=2, handle=moon, set_state={"states": state})
            error = client.receive().error
            assert error.code == messages.INCOMPATIBLE_STATE
            (detail,) = error.details
            assert (detail.field, detail.expected, detail.got) == ("states.options", "g=1.6", "g=10.0")
            # To name the default is to leave it out.
            assert client.ask(id=3, handle=earth, set_state={"states": state}).WhichOneof("message") == "set_state"

    def test_no_answer_is_built_that_cannot_be_sent(self, start_python: Start) -> None:
        # A megabyte of states a row: what is built is a little more than what may be sent, not sixty times as much.
        server = start_python("environments:swift_gym_tests/Large-v0", "--max-frame-bytes", str(2 << 20))
        with Raw(server, minor=1) as client:
            handle = client.make("swift_gym_tests/Large-v0", num_envs=60)
            client.ask(id=1, handle=handle, reset={})
            before = _peak(server)
            assert client.refusal(id=2, handle=handle, get_state={}) == "RESPONSE_TOO_LARGE"
            twice = {"environment_index": [0] * 300}
            assert client.refusal(id=3, handle=handle, get_state=twice) == "INVALID_ARGUMENT"
            assert _peak(server) - before < 20 << 20
            assert len(client.ask(id=4, handle=handle, get_state={"environment_index": [7]}).get_state.states) == 1

    def test_text_with_a_zero(self, python_server: RunningServer) -> None:
        with Raw(python_server) as client:
            assert client.refusal(id=2, make={"id": "CartPole-v1\0junk"}) == "MALFORMED_MESSAGE"
            assert client.refusal(id=3, make={"id": "CartPole-v1", "render_mode": "\0"}) == "MALFORMED_MESSAGE"

    def test_what_was_refused_for_its_size_did_not_happen(self, start_python: Start) -> None:
        server = start_python("CartPole-v1")
        with Raw(server, minor=1, max_frame_bytes=4096) as client:
            assert client.refusal(id=1, make={"id": "CartPole-v1", "num_envs": 3000}) == "RESPONSE_TOO_LARGE"
            status = client.ask(id=2, status={}).status
            assert status.environments == 0
            assert {use.resource: use.used for use in status.connection_use}["handles"] == 0

    def test_shutdown(self, start_python: Start) -> None:
        server = start_python()
        with Raw(server) as client:
            assert client.refusal(id=1, shutdown={}) == "NOT_ALLOWED"
        server = start_python("CartPole-v1", "--allow-shutdown")
        with Raw(server) as client:
            assert client.ask(id=1, shutdown={}).WhichOneof("message") == "shutdown"
            kind, body = client.frame()
            assert kind == 3 and messages.Notice.FromString(body).WhichOneof("message") == "shutting_down"
        assert server.process.wait(PATIENCE) == 0

    def test_a_slow_environment_delays_nobody(self, start_python: Start) -> None:
        server = start_python("CartPole-v1")
        with Raw(server) as client:
            slow, fast = client.make(num_envs=4000), client.make()
            client.send(id=1, handle=slow, reset={})
            client.send(id=2, handle=fast, reset={})
            client.send(id=3, ping={})
            assert {client.receive().id for _ in range(2)} == {2, 3}
            assert client.receive().id == 1


class TestLimits:
    def test_connections(self, start_python: Start) -> None:
        server = start_python("CartPole-v1", "--max-connections", "1")
        with Raw(server), Raw(server, hello=False) as second:
            second.end_with("TOO_MANY_CONNECTIONS")

    def test_handles_and_environments_are_free_again_after_a_close(self, start_python: Start) -> None:
        server = start_python("CartPole-v1", "--max-handles", "2", "--max-environments", "5")
        with Raw(server) as client:
            first = client.make(num_envs=4)
            assert client.refusal(id=2, make={"id": "CartPole-v1", "num_envs": 2}) == "LIMIT_EXCEEDED"
            client.make()
            assert client.refusal(id=2, make={"id": "CartPole-v1"}) == "LIMIT_EXCEEDED"
            client.ask(id=3, handle=first, close={})
            client.make(num_envs=4)

    def test_idle_connections(self, start_python: Start) -> None:
        server = start_python("CartPole-v1", "--idle-timeout", "1")
        with Raw(server) as client:
            kind, body = client.frame()
            assert kind == 3 and messages.Notice.FromString(body).reaped.idle_seconds >= 1
            with pytest.raises(EOFError):
                client.frame()

    def test_bytes_that_trickle_in_are_no_activity(self, start_python: Start) -> None:
        server = start_python("CartPole-v1", "--idle-timeout", "1")
        with Raw(server) as client:
            client.send_bytes(struct.pack("<IBBH", 4000, 1, 0, 0))
            # Each within the limit of the one before; a server that counts bytes as activity lets all of them come.
            client.socket.settimeout(0.1)
            for _ in range(600):
                client.send_bytes(b"\0")
                with contextlib.suppress(TimeoutError):
                    kind, body = client.frame()
                    break
            assert kind == 3 and messages.Notice.FromString(body).reaped.idle_seconds >= 1

    def test_environments_end_with_their_connection(self, start_python: Start) -> None:
        server = start_python()
        with Raw(server) as client, Raw(server) as other:
            other.make(num_envs=3)
            assert client.ask(id=1, status={}).status.environments == 3
            other.socket.close()
            deadline = time.monotonic() + PATIENCE
            while (status := client.ask(id=1, status={}).status).connections > 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert (status.environments, status.connections, status.connections_total) == (0, 1, 2)


class TestLife:
    def test_the_socket_is_the_users_own(self, python_server: RunningServer) -> None:
        assert os.stat(python_server.address.removeprefix("unix:")).st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signals_end_it_cleanly(self, start_python: Start, number: int) -> None:
        server = start_python()
        path = Path(server.address.removeprefix("unix:"))
        with Raw(server) as client:
            client.make()
            server.process.send_signal(number)
            kind, body = client.frame()
            assert kind == 3 and messages.Notice.FromString(body).shutting_down.reason
            with pytest.raises(EOFError):
                client.frame()
        assert server.process.wait(PATIENCE) == 0
        assert not path.exists()

    def test_a_stale_socket_is_replaced_and_a_live_one_is_not(self, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(path))
        stale.close()
        server = start(python_command(path, "CartPole-v1"), path)
        second = run(python_command(path, "CartPole-v1"))
        assert second.returncode == 1 and "already listens" in second.stderr
        with Raw(server) as client:
            client.ask(ping={})
        end(server)

    def test_a_file_in_the_way_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "precious"
        path.write_text("data")
        done = run(python_command(path, "CartPole-v1"))
        assert done.returncode == 1 and "not a socket" in done.stderr
        assert path.read_text() == "data"

    def test_wrong_usage(self, tmp_path: Path) -> None:
        empty = ["CartPole-v1", "--token-file", "/dev/null"]
        for arguments in ([], ["NoSuchEnvironment-v0"], ["no_such_module:CartPole-v1"], empty):
            done = run(python_command(tmp_path / "s", *arguments))
            assert done.returncode == 2, done
            assert "ID" in done.stderr
