"""Servers that are started, that end, and that die; and that nothing is left behind."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from conftest import PATIENCE, RunningServer, end, kill, run, start, swift_binary
from gymnasium import error

import swift_gym
from swift_gym import process

# Takes the milliseconds that its action says.
SLOW = "conformance/Slow-v0"

# Seconds within which a dead server has to be noticed: one is promised, the others are for a busy machine.
NOTICED = 20.0


def descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue
    return found


def memory_maps(pid: int | str = "self") -> list[str]:
    """The files without a name that a process has mapped: shared memory is one."""
    return [line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "memfd:" in line]


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def freeze(server: RunningServer) -> None:
    """Stops the server without ending it."""
    server.process.send_signal(signal.SIGSTOP)
    status = Path(f"/proc/{server.process.pid}/stat")
    assert wait_for(lambda: status.read_text().rsplit(")", 1)[1].split()[0] == "T")


@pytest.fixture(params=["python", "swift"])
def binary(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server that environments start: gym-server, and this package's behind the same command."""
    monkeypatch.delenv("SWIFT_GYM_SERVER", raising=False)
    if request.param == "swift":
        path = swift_binary()
    else:
        path = tmp_path / "gym-server"
        path.write_text(
            f'#!/bin/sh\nshift\nPYTHONPATH="{os.pathsep.join(filter(None, sys.path))}" '
            f'exec {sys.executable} -m swift_gym.serve "$@" CartPole-v1 Pendulum-v1\n'
        )
        path.chmod(0o755)
    monkeypatch.setenv("SWIFT_GYM_SERVER_BINARY", str(path))
    yield path
    assert process._shared._server is None, "the server outlived its environments"


def server_process() -> Any:
    assert process._shared._server is not None
    return process._shared._server


class TestAServerOfOnesOwn:
    def test_it_is_started_and_ended_with_the_environment(self, binary: Path) -> None:
        before = descriptors()
        env = gymnasium.make("SwiftGym/CartPole-v1")
        server = server_process()
        pid, path = server._process.pid, server.path
        assert is_running(pid) and path.stat().st_mode & 0o777 == 0o600
        env.reset(seed=0)
        env.step(0)
        env.close()
        assert not is_running(pid) and not path.exists()
        del env
        assert descriptors() == before

    def test_environments_share_it(self, binary: Path) -> None:
        env = gymnasium.make("SwiftGym/CartPole-v1")
        envs = gymnasium.make_vec("SwiftGym/Pendulum-v1", num_envs=2)
        pid = server_process()._process.pid
        env.close()
        assert is_running(pid)
        envs.reset(seed=0)
        envs.close()
        assert not is_running(pid)

    def test_it_ends_with_an_environment_that_nobody_closed(self, binary: Path) -> None:
        env = swift_gym.Env("CartPole-v1")
        pid = server_process()._process.pid
        del env
        assert not is_running(pid)

    def test_it_ends_when_the_environment_cannot_be_made(self, binary: Path) -> None:
        with pytest.raises(error.NameNotFound):
            swift_gym.Env("CartPole-v9")
        assert process._shared._server is None

    @pytest.mark.parametrize("how", ["return", "exit", "kill", "exception"])
    def test_it_ends_with_the_process(self, binary: Path, tmp_path: Path, how: str) -> None:
        endings = {
            "return": "",
            "exit": "import sys; sys.exit(0)",
            "kill": "import os; os.kill(os.getpid(), 9)",
            "exception": "raise KeyboardInterrupt",
        }
        script = (
            "import gymnasium, swift_gym\n"
            "from swift_gym import process\n"
            'env = gymnasium.make("SwiftGym/CartPole-v1")\n'
            "env.reset(seed=0)\n"
            "print(process._shared._server._process.pid, process._shared._server.path, flush=True)\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = run([sys.executable, "-c", script + endings[how]], env=environment)
        pid, path = done.stdout.split()
        assert wait_for(lambda: not is_running(int(pid)))
        assert wait_for(lambda: not Path(path).exists())

    def test_a_forked_process_does_not_end_its_parents(self, binary: Path) -> None:
        env = swift_gym.Env("CartPole-v1")
        env.reset(seed=0)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with_own = swift_gym.Env("CartPole-v1")
                with_own.reset(seed=0)
                with_own.close()
                env.close()
                status = 0
            finally:
                os._exit(status)
        statuses: list[int] = []

        def has_ended() -> bool:
            ended, status = os.waitpid(child, os.WNOHANG)
            statuses.extend([status] if ended else [])
            return bool(ended)

        if not wait_for(has_ended, PATIENCE):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert statuses == [0]
        env.step(0)
        env.close()

    def test_gymnasiums_worker_processes(self, binary: Path) -> None:
        envs = gymnasium.make_vec("SwiftGym/CartPole-v1", num_envs=2, vectorization_mode="async")
        other = gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
        assert np.array_equal(envs.reset(seed=4)[0], other.reset(seed=4)[0])
        assert np.array_equal(envs.step([0, 1])[0], other.step([0, 1])[0])
        envs.close()

    def test_one_that_cannot_be_started_says_why(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SWIFT_GYM_SERVER", raising=False)
        path = tmp_path / "gym-server"
        path.write_text("#!/bin/sh\necho the reason >&2\nexit 3\n")
        path.chmod(0o755)
        monkeypatch.setenv("SWIFT_GYM_SERVER_BINARY", str(path))
        with pytest.raises(swift_gym.ServerDied, match="the reason"):
            swift_gym.Env("CartPole-v1")
        monkeypatch.setenv("SWIFT_GYM_SERVER_BINARY", str(tmp_path / "nothing"))
        with pytest.raises(swift_gym.ServerNotFound):
            swift_gym.Env("CartPole-v1")

    def test_the_server_in_the_environment(self, python_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SWIFT_GYM_SERVER", python_server.address)
        env = gymnasium.make("SwiftGym/CartPole-v1")
        assert env.unwrapped._batch.connection.path == python_server.address.removeprefix("unix:")  # type: ignore[attr-defined]
        env.close()


class TestAServerThatDies:
    @pytest.fixture(params=["python-socket", "swift-socket", "swift-shared-memory"])
    def doomed(
        self, request: pytest.FixtureRequest, tmp_path: Path, start_python: Callable[..., RunningServer]
    ) -> Iterator[tuple[RunningServer, str]]:
        kind, _, transport = request.param.partition("-")
        if kind == "python":
            yield start_python("CartPole-v1", f"swift_gym.serve.conformance:{SLOW}"), transport
            return
        path = tmp_path / "doomed"
        server = start([str(swift_binary()), "serve", "--socket", str(path), "--conformance"], path)
        yield server, transport
        kill(server)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_between_steps(self, doomed: tuple[RunningServer, str], number: int) -> None:
        server, transport = doomed
        before = descriptors()
        env = swift_gym.Env("CartPole-v1", server=server.address, transport=transport)
        env.reset(seed=0)
        server.process.send_signal(number)
        server.process.wait(PATIENCE)
        start = time.monotonic()
        with pytest.raises(swift_gym.ServerDied) as died:
            env.step(0)
        assert isinstance(died.value, ConnectionError)
        with pytest.raises(swift_gym.ServerDied):
            env.reset()
        assert time.monotonic() - start < NOTICED
        env.close()
        del env, died
        assert descriptors() == before

    @pytest.mark.parametrize("what", ["step", "batch", "reset", "make", "receive"])
    def test_in_the_middle(self, doomed: tuple[RunningServer, str], what: str) -> None:
        server, transport = doomed
        if what == "receive" and (transport, "python" in str(server.process.args)) != ("socket", False):
            pytest.skip("send and receive are for gym-server's sockets")
        before, maps = descriptors(), memory_maps()
        self.kill_in_the_middle(server, transport, what)
        gc.collect()
        assert descriptors() == before and memory_maps() == maps

    @staticmethod
    def kill_in_the_middle(server: RunningServer, transport: str, what: str) -> None:
        arguments: dict[str, Any] = {"server": server.address, "transport": transport}
        env, envs = swift_gym.Env(SLOW, **arguments), swift_gym.VectorEnv(SLOW, 3, **arguments)
        env.reset(seed=0), envs.reset(seed=0)
        if what == "receive":
            envs.send([2000] * 3)
        calls: dict[str, Callable[[], Any]] = {
            "step": lambda: env.step(2000),
            "batch": lambda: envs.step([2000] * 3),
            "reset": lambda: env.reset(options={"milliseconds": 2000}),
            "make": lambda: swift_gym.Env(SLOW, make_milliseconds=2000, **arguments),
            "receive": envs.receive,
        }
        killed: list[float] = []

        def kill_it() -> None:
            killed.append(time.monotonic())
            server.process.kill()

        timer = threading.Timer(0.3, kill_it)
        timer.start()
        with pytest.raises(swift_gym.ServerDied):
            calls[what]()
        assert time.monotonic() - killed[0] < NOTICED
        timer.join(PATIENCE)
        # Whatever comes now fails at once, and closing is harmless.
        for call in (lambda: env.step(0), env.reset, lambda: envs.step([0] * 3), envs.reset):
            with pytest.raises(swift_gym.ServerDied):
                call()
        env.close(), envs.close()

    def test_one_that_hangs(self, doomed: tuple[RunningServer, str]) -> None:
        server, transport = doomed
        env = swift_gym.Env("CartPole-v1", server=server.address, transport=transport, timeout=3.0)
        env.reset(seed=0)
        freeze(server)
        start = time.monotonic()
        with pytest.raises(swift_gym.ServerTimeout):
            env.step(0)
        assert time.monotonic() - start < NOTICED
        env.close()
        server.process.kill()


def test_a_step_that_was_interrupted_leaves_the_environment_usable(swift_server: RunningServer) -> None:
    for transport in ("shared-memory", "socket"):
        env = swift_gym.Env("CartPole-v1", server=swift_server.address, transport=transport)
        other = gymnasium.make("CartPole-v1")
        env.reset(seed=0), other.reset(seed=0)
        # As Ctrl-C between the two halves of a step does.
        env._write_action(1)
        env._begin(True)
        other.step(1)
        assert np.array_equal(env.step(0)[0], other.step(0)[0])
        env.close()


@pytest.mark.parametrize("transport", ["shared-memory", "socket"])
def test_nothing_is_left_of_a_client_that_was_killed(tmp_path: Path, transport: str) -> None:
    path = tmp_path / "socket"
    server = start([str(swift_binary()), "serve", "--socket", str(path)], path)
    open_descriptors = f"/proc/{server.process.pid}/fd"
    with swift_gym.connect(server.address) as connection:
        connection.ping()
        before = len(os.listdir(open_descriptors))
        script = (
            "import os, swift_gym\n"
            f"envs = swift_gym.VectorEnv('CartPole-v1', 64, server={server.address!r}, transport={transport!r})\n"
            "envs.reset(seed=0)\n"
            "envs.step_async([0] * 64)\n"
            "os.kill(os.getpid(), 9)\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        assert run([sys.executable, "-c", script], env=environment).returncode == -signal.SIGKILL
        assert wait_for(lambda: connection.status().connections == 1)
        assert connection.status().connections_total == 2 and connection.status().environments == 0
        assert wait_for(lambda: len(os.listdir(open_descriptors)) <= before)
        assert memory_maps(server.process.pid) == []
    end(server)
    assert not path.exists()
