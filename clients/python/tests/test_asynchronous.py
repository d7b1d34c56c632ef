"""Environments that are sent to, and received as they become ready."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RunningServer, end, start, swift_binary
from gymnasium import error

import swift_gym


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    path: Path = tmp_path_factory.mktemp("asynchronous") / "socket"
    running = start([str(swift_binary()), "serve", "--socket", str(path), "--conformance"], path)
    yield running
    end(running)


def make(server: RunningServer, id: str, num_envs: int, **arguments: Any) -> swift_gym.VectorEnv:
    return swift_gym.VectorEnv(id, num_envs, server=server.address, transport="socket", **arguments)


def test_the_first_that_are_ready_come_first(server: RunningServer) -> None:
    envs = make(server, "conformance/Slow-v0", 3)
    envs.reset(seed=0)
    # One that takes two seconds holds up nobody.
    envs.send([2000, 0, 0])
    observations, rewards, _, _, infos = envs.receive(2)
    assert set(infos["env_id"].tolist()) == {1, 2}
    assert observations.tolist() == [[1], [1]] and rewards.tolist() == [1, 1]
    envs.send([0], [2])
    assert envs.receive()[-1]["env_id"].tolist() == [2]
    observations, *_, infos = envs.receive()
    assert infos["env_id"].tolist() == [0] and observations[0, 0] == 1
    # Nothing is pending any more: all step together again.
    assert envs.step([0, 0, 0])[0][:, 0].tolist() == [2, 2, 3]
    envs.close()


def test_each_goes_on_as_if_it_were_stepped(server: RunningServer) -> None:
    envs, other = make(server, "CartPole-v1", 6), make(server, "CartPole-v1", 6)
    envs.reset(seed=3), other.reset(seed=3)
    expected = [other.step(np.arange(6) % 2) for _ in range(60)]
    done = np.zeros(6, np.int64)
    envs.send(np.arange(6) % 2)
    while (done < 60).any():
        observations, rewards, terminated, truncated, infos = envs.receive()
        (row,) = infos["env_id"]
        for one, all_rows in zip((observations, rewards, terminated, truncated), expected[done[row]], strict=False):
            assert np.array_equal(one[0], all_rows[row])
        done[row] += 1
        if done[row] < 60:
            envs.send([row % 2], [row])
    envs.close()
    other.close()


def test_ends_of_episodes(server: RunningServer) -> None:
    envs = make(server, "conformance/Counter-v0", 3, autoreset_mode="SameStep", limit=2)
    envs.reset(seed=0)
    envs.step(np.zeros(3, np.int64))
    envs.send(np.zeros(2, np.int64), [2, 1])
    observations, _, terminated, _, infos = envs.receive(2)
    assert terminated.all() and observations[:, 0].tolist() == [0, 0]
    assert [row[0] for row in infos["final_obs"]] == [2, 2] and infos["_final_obs"].all()
    assert sorted(infos["env_id"].tolist()) == [1, 2]
    envs.close()

    envs = make(server, "conformance/Counter-v0", 2, autoreset_mode="Disabled", limit=1)
    envs.reset(seed=0)
    envs.send([0], [1])
    assert envs.receive()[2].tolist() == [True]
    with pytest.raises(error.ResetNeeded):
        envs.send([0], [1])
    envs.send([0], [0])
    envs.receive()
    envs.close()


def test_failures_name_their_environment(server: RunningServer) -> None:
    envs = make(server, "conformance/Fault-v0", 3)
    envs.reset(seed=0)
    envs.send([1, 0], [2, 0])
    *_, truncated, infos = envs.receive(2)
    failed = infos["env_id"].tolist().index(2)
    assert infos["_fault"].tolist() == truncated.tolist() == [row == failed for row in range(2)]
    assert infos["fault"][failed]
    envs.close()


class TestWrongUse:
    def test_what_is_pending_takes_no_other_call(self, server: RunningServer) -> None:
        envs = make(server, "CartPole-v1", 3)
        envs.reset(seed=0)
        envs.send([0, 1], [0, 1])
        for call in (
            envs.reset,
            envs.get_state,
            lambda: envs.step([0, 0, 0]),
            lambda: envs.send([0, 0], [1, 2]),
        ):
            with pytest.raises(error.AlreadyPendingCallError):
                call()
        envs.receive(2)
        envs.step([0, 0, 0])
        envs.step_async([0, 0, 0])
        for call in (lambda: envs.send([0], [0]), envs.receive):
            with pytest.raises(error.AlreadyPendingCallError):
                call()
        envs.step_wait()
        envs.close()

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_nothing_is_pending(self, server: RunningServer, count: int) -> None:
        envs = make(server, "CartPole-v1", 2)
        envs.reset(seed=0)
        if count == 2:
            envs.send([0], [0])
        with pytest.raises(error.NoAsyncCallError):
            envs.receive(count)
        envs.close()

    def test_actions_and_environments_that_are_none(self, server: RunningServer) -> None:
        envs = make(server, "CartPole-v1", 2)
        with pytest.raises(error.ResetNeeded):
            envs.send([0, 0])
        envs.reset(seed=0)
        for actions, rows in (([0, 5], None), ([0], None), ([0, 0], [1]), ([0.5], [1])):
            with pytest.raises(error.InvalidAction):
                envs.send(actions, rows)
        for rows in ([2], [0, 0], []):
            with pytest.raises(ValueError):
                envs.send(np.zeros(len(rows), np.int64), rows)
        envs.step([0, 0])
        envs.close()
        for call in (lambda: envs.send([0, 0]), envs.receive):
            with pytest.raises(error.ClosedEnvironmentError):
                call()

    def test_where_it_cannot_be_done(self, server: RunningServer, python_server: RunningServer) -> None:
        shared = swift_gym.VectorEnv("CartPole-v1", 2, server=server.address, transport="shared-memory")
        for envs in (shared, make(python_server, "CartPole-v1", 2)):
            envs.reset(seed=0)
            for call in (lambda envs=envs: envs.send([0, 0]), envs.receive):
                with pytest.raises(error.UnsupportedMode, match=r"async\.v1"):
                    call()
            envs.step([0, 0])
            envs.close()
