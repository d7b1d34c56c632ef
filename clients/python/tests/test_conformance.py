"""The Python server passes the conformance suite, where it is built."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable

import pytest
from conftest import RunningServer, run, swift_binary

from swift_gym.serve.conformance import IDS

# Of each level, how many checks have to pass at least: a server that has them all skipped passes nothing.
PASSES = {"Core": 160, "Vector": 35, "Render": 9, "State": 13, "Robustness": 25}
# What this server does not announce, and so is not checked for; and its list fits the smallest frame there may be.
REASONS = (
    "the server does not announce the capability async.v1",
    "the server does not announce the capability shared-memory.v1",
    "no client can ask for less than 4096",
)


def test_the_python_server_keeps_to_the_protocol(start_python: Callable[..., RunningServer]) -> None:
    suite = swift_binary().parent / "gym-conformance"
    if not suite.is_file():
        pytest.skip("no gym-conformance beside gym-server")
    server = start_python("CartPole-v1", "Pendulum-v1", *(f"swift_gym.serve.conformance:{id}" for id in IDS))
    # A server that answers is never waited for so long, however busy the machine is.
    command = [str(suite), "--server", server.address, "--timeout", "60", "--json", "-"]
    done = run(command, seconds=600)
    report = json.loads(done.stdout)
    failed = [f"{check['name']}: {check['message']}" for check in report["checks"] if check["result"] == "failed"]
    assert done.returncode == 0 and not failed, "\n".join(failed) or done.stderr
    passed = collections.Counter(check["level"] for check in report["checks"] if check["result"] == "passed")
    assert all(passed[level] >= count for level, count in PASSES.items()), passed
    skipped = [f"{check['name']}: {check['message']}" for check in report["checks"] if check["result"] == "skipped"]
    assert all(reason.endswith(REASONS) for reason in skipped), skipped
