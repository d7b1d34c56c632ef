"""Servers to test against: this package's own, and gym-server where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import swift_gym.process

CLASSIC = ("Acrobot-v1", "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1")
LOCAL = (
    "environments:swift_gym_tests/Everything-v0",
    "environments:swift_gym_tests/Counter-v0",
    "environments:swift_gym_tests/Text-v0",
)


@dataclass
class RunningServer:
    """A server, and the process that it is."""

    address: str
    process: subprocess.Popen[str]


def start(command: list[str], path: Path) -> RunningServer:
    """Starts a server and waits until it listens."""
    folder = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, *filter(None, sys.path)])}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment, cwd=folder
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == f"listening on unix:{path}\n", line
    return RunningServer(f"unix:{path}", process)


def end(server: RunningServer) -> None:
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert server.process.stdout is not None
    server.process.stdout.close()


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
    server = start(python_command(path, *CLASSIC, "FrozenLake-v1", *LOCAL), path)
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
        server.process.kill()
        server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()
