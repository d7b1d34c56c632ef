"""The Python server passes the conformance suite, where it is built."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import RunningServer, run, swift_binary

from swift_gym.serve.conformance import IDS


def test_the_python_server_keeps_to_the_protocol(start_python: Callable[..., RunningServer]) -> None:
    suite = swift_binary().parent / "gym-conformance"
    if not suite.is_file():
        pytest.skip("no gym-conformance beside gym-server")
    server = start_python("CartPole-v1", "Pendulum-v1", *(f"swift_gym.serve.conformance:{id}" for id in IDS))
    done = run([str(suite), "--server", server.address], seconds=200)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert done.returncode == 0 and not failed, "\n".join(failed) or done.stdout[-2000:] + done.stderr
    # What is skipped is what the server does not announce, and nothing else.
    skipped = [line for line in done.stdout.splitlines() if line.startswith("skip")]
    assert all("async.v1" in line or "shared-memory.v1" in line for line in skipped), skipped
