"""The Python server passes the conformance suite, where it is built."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, RunningServer, run, swift_binary

from swift_gym.serve.conformance import IDS

# Of each level, how many checks have to pass at least: a server that has them all skipped passes nothing.
PASSES = {"Core": 195, "Vector": 38, "Render": 10, "State": 18, "Robustness": 36}
# What this server does not announce, and so is not checked for, or cannot be checked for with these environments.
REASONS = (
    "the server does not announce the capability async.v1",
    "the server does not announce the capability shared-memory.v1",
    "every environment lists every mode",
    "no client can ask for less than 4096",
    "the server announces no max_threads",
    "no environment is large enough for max_environments of them to take more",
)
# What is checked with a server of its own, since it needs a token, is idle for a second, or ends the server.
APART = ("connection.token", "connection.reaped", "connection.reaped-though-it-trickles", "connection.active-is-kept")
ENDING = ("ending.shutdown", "ending.socket-removed")


def _report(server: RunningServer, *arguments: str) -> dict[str, Any]:
    suite = swift_binary().parent / "gym-conformance"
    if not suite.is_file():
        pytest.skip("no gym-conformance beside gym-server")
    # A server that answers is never waited for so long, however busy the machine is.
    command = [str(suite), "--server", server.address, "--timeout", "60", "--json", "-", *arguments]
    done = run(command, seconds=600)
    report: dict[str, Any] = json.loads(done.stdout)
    failed = [f"{check['name']}: {check['message']}" for check in report["checks"] if check["result"] == "failed"]
    assert done.returncode == 0 and not failed, "\n".join(failed) or done.stderr
    return report


@pytest.mark.parametrize("minor", [0, 1])
def test_the_python_server_keeps_to_the_protocol(start_python: Callable[..., RunningServer], minor: int) -> None:
    server = start_python("CartPole-v1", "Pendulum-v1", *(f"swift_gym.serve.conformance:{id}" for id in IDS))
    report = _report(server, "--protocol", f"1.{minor}")
    assert report["version"] == f"1.{minor}"
    passed = collections.Counter(check["level"] for check in report["checks"] if check["result"] == "passed")
    if minor == 1:
        assert all(passed[level] >= count for level, count in PASSES.items()), passed
    skipped = [check for check in report["checks"] if check["result"] == "skipped"]
    reasons = REASONS if minor == 1 else (*REASONS, "it is about version 1.1; 1.0 is in force")
    left = [check for check in skipped if check["name"] not in APART + ENDING]
    assert all(check["message"].endswith(reasons) for check in left), left


def test_its_tokens_its_idle_connections_and_its_end(
    start_python: Callable[..., RunningServer], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("sesame")
    options = ("--token-file", str(tmp_path / "token"), "--idle-timeout", "1", "--allow-shutdown")
    server = start_python(*(f"swift_gym.serve.conformance:{id}" for id in IDS), *options)
    names = [argument for name in APART + ENDING for argument in ("--check", name)]
    report = _report(server, "--token", "sesame", "--end-server", *names)
    assert report["passed"] == len(APART + ENDING)
    assert server.process.wait(PATIENCE) == 0
