"""Servers to test against: this package's own, and gym-server where there is one."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import swift_gym.process

CLASSIC = ("Acrobot-v1", "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1")
TOY_TEXT = (
    "Blackjack-v1",
    "CliffWalking-v1",
    "CliffWalkingSlippery-v1",
    "FrozenLake-v1",
    "FrozenLake8x8-v1",
    "Taxi-v4",
)
# What Gymnasium and gym-server both have and needs nothing else installed.
COMMON = CLASSIC + TOY_TEXT
LOCAL = (
    "environments:swift_gym_tests/Everything-v0",
    "environments:swift_gym_tests/Counter-v0",
    "environments:swift_gym_tests/Text-v0",
)
# Seconds that a process has to start, to end, or to do what it is run for. Generous: the machine may be busy.
PATIENCE = 60.0
# Seconds that a test may take.
LIMIT = 240


@dataclass
class RunningServer:
    """A server, and the process that it is."""

    address: str
    process: subprocess.Popen[str]


def start(command: list[str], path: Path) -> RunningServer:
    """Starts a server, which ends with this process, and waits until it listens."""
    folder = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, *filter(None, sys.path)])}
    process = subprocess.Popen(
        [*command, "--until-eof"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
    )
    server = RunningServer(f"unix:{path}", process)
    try:
        assert read_line(process) == f"listening on {server.address}\n"
    except BaseException:
        kill(server)
        raise
    return server


def read_line(process: subprocess.Popen[str], seconds: float = PATIENCE) -> str:
    """The first line that a process writes, or what it wrote until it ended."""
    assert process.stdout is not None
    descriptor, line = process.stdout.fileno(), b""
    deadline = time.monotonic() + seconds
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, f"{process.args} wrote no line within {seconds} seconds, only {line!r}"
        piece = os.read(descriptor, 1)
        if not piece:
            break
        line += piece
    return line.decode()


def run(command: list[str], seconds: float = PATIENCE, **arguments: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, which has to come in time, and returns what it wrote."""
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, **arguments)


def end(server: RunningServer) -> None:
    """Ends a server as users do; it has to end well, and in time."""
    try:
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
    finally:
        kill(server)


def kill(server: RunningServer) -> None:
    """Ends a server whatever it does, if it has not ended yet."""
    server.process.kill()
    server.process.wait(PATIENCE)
    for stream in (server.process.stdin, server.process.stdout):
        assert stream is not None
        stream.close()


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """Fails a test that hangs; for one that hangs where no exception reaches it, pytest has a limit of its own."""

    def fail(*_: object) -> None:
        raise TimeoutError(f"the test took more than {LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def python_command(path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "swift_gym.serve", "--socket", str(path), *arguments]


def swift_binary() -> Path:
    """The gym-server to test with; where one is named it has to be there, else the test is skipped."""
    binary = swift_gym.process.find_server_binary()
    if binary is None:
        pytest.skip("no gym-server: build it (make build), or name one in SWIFT_GYM_SERVER_BINARY")
    assert binary.is_file(), f"SWIFT_GYM_SERVER_BINARY is {binary}, which is not there"
    return binary


@pytest.fixture(scope="session")
def python_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    path = tmp_path_factory.mktemp("python") / "socket"
    server = start(python_command(path, *COMMON, *LOCAL), path)
    yield server
    end(server)


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    path = tmp_path_factory.mktemp("swift") / "socket"
    server = start([str(swift_binary()), "serve", "--socket", str(path)], path)
    yield server
    end(server)


@pytest.fixture(params=["python", "swift-socket", "swift-shared-memory"])
def served(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An address and a transport: every way in which steps can travel."""
    kind, _, transport = request.param.partition("-")
    server: RunningServer = request.getfixturevalue(f"{kind}_server")
    return server.address, transport or "socket"


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts Python servers that the test may do with as it likes."""
    started: list[RunningServer] = []

    def run(*arguments: str) -> RunningServer:
        path = tmp_path / f"socket-{len(started)}"
        started.append(start(python_command(path, *(arguments or ("CartPole-v1",))), path))
        return started[-1]

    yield run
    for server in started:
        kill(server)
