"""Batches of environments: the same as Gymnasium's SyncVectorEnv, whatever server and transport they come from."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from conftest import COMMON, RunningServer
from gymnasium import error
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers

import swift_gym

Served = tuple[str, str]
MODES = list(AutoresetMode)


def make(served: Served, id: str, num_envs: int, **arguments: Any) -> Any:
    return gymnasium.make_vec(f"SwiftGym/{id}", num_envs=num_envs, server=served[0], transport=served[1], **arguments)


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal: types, and numbers as closely as Gymnasium's own checks."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) and one.dtype == object and not isinstance(other, bool):
        return other.dtype == object and all(map(same, one, other))
    if isinstance(one, np.integer) and type(other) is int:
        # Within an array of last observations the types that a single environment gives are its own affair.
        return int(one) == other
    return data_equivalence(one, other)


def comparable(results: Any, reference: Any) -> tuple[Any, Any]:
    """Both without the probabilities of toy text that Gymnasium cuts to integers.

    A reset's probability is the integer 1 there. Where that comes first in a batch, Gymnasium's array is one of
    integers, and the others' probabilities are zeros in it; the Python server sends such a mixture number by number.
    """

    def pruned(info: dict[str, Any], cut: bool) -> dict[str, Any]:
        return {
            key: pruned(value, cut) if isinstance(value, dict) else value
            for key, value in info.items()
            if not cut or key != "prob"
        }

    def is_mixed(info: dict[str, Any]) -> bool:
        return any(
            is_mixed(value) if isinstance(value, dict) else key == "prob" and value.dtype.kind != "f"
            for key, value in info.items()
        )

    cut = is_mixed(results[-1]) or is_mixed(reference[-1])
    return (*results[:-1], pruned(results[-1], cut)), (*reference[:-1], pruned(reference[-1], cut))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", COMMON)
def test_it_matches_gymnasiums_own(served: Served, id: str, mode: AutoresetMode) -> None:
    ours = make(served, id, 5, autoreset_mode=mode, max_episode_steps=40)
    theirs = SyncVectorEnv(
        [lambda: gymnasium.make(id, max_episode_steps=40, disable_env_checker=True)] * 5, autoreset_mode=mode
    )
    assert ours.transport == served[1]
    assert ours.metadata["autoreset_mode"] is mode
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    assert ours.single_observation_space == theirs.single_observation_space
    assert same(*comparable(ours.reset(seed=11), theirs.reset(seed=11)))
    theirs.action_space.seed(5)
    for _ in range(130):
        actions = theirs.action_space.sample()
        one, other = comparable(ours.step(actions), theirs.step(actions))
        assert same(one, other), (one, other)
        if mode is AutoresetMode.DISABLED and (done := one[2] | one[3]).any():
            options = {"reset_mask": done}
            one, other = ours.reset(options=dict(options)), theirs.reset(options=dict(options))
            assert same(*comparable(one, other))
    ours.close()
    theirs.close()


@pytest.mark.parametrize("seed", [None, 0, 7, [3, None, 9], [None] * 3])
def test_seeds(served: Served, seed: Any) -> None:
    ours, theirs = make(served, "CartPole-v1", 3), gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="sync")
    ours.reset(seed=1), theirs.reset(seed=1)
    assert same(ours.reset(seed=seed), theirs.reset(seed=seed))
    assert same(ours.reset(), theirs.reset())
    assert len(ours.np_random_seed) == 3
    ours.close()
    theirs.close()


def test_a_number_of_seeds_that_does_not_fit(served: Served) -> None:
    envs = make(served, "CartPole-v1", 3)
    with pytest.raises(ValueError, match="num_envs=3"):
        envs.reset(seed=[1, 2])
    envs.close()


@pytest.mark.parametrize(
    ("mask", "wrong"),
    [
        ([True, False, True], TypeError),
        (np.array([True, False]), ValueError),
        (np.array([1, 0, 1]), TypeError),
        (np.zeros(3, np.bool_), ValueError),
    ],
)
def test_a_mask_that_does_not_fit(served: Served, mask: Any, wrong: type[Exception]) -> None:
    envs = make(served, "CartPole-v1", 3)
    envs.reset(seed=0)
    with pytest.raises(wrong, match="reset_mask"):
        envs.reset(options={"reset_mask": mask})
    envs.close()


def test_a_mask_is_not_taken_from_the_callers_options(served: Served) -> None:
    envs = make(served, "CartPole-v1", 2)
    first, _ = envs.reset(seed=0)
    options = {"reset_mask": np.array([False, True])}
    second, _ = envs.reset(options=options)
    assert "reset_mask" in options
    assert np.array_equal(first[0], second[0]) and not np.array_equal(first[1], second[1])
    envs.close()


class TestMemory:
    def test_results_are_the_callers_to_keep(self, served: Served) -> None:
        envs = make(served, "CartPole-v1", 4)
        envs.reset(seed=0)
        kept = [envs.step(np.ones(4, np.int64)) for _ in range(6)]
        observations = [result[0].tobytes() for result in kept]
        envs.step(np.zeros(4, np.int64))
        assert len(set(observations)) == 6
        for result in kept:
            assert all(part.flags.writeable and part.base is None for part in result[:4])
        envs.close()

    def test_without_copies_they_are_the_shared_memory(self, swift_server: RunningServer) -> None:
        envs = swift_gym.VectorEnv("CartPole-v1", 4, server=swift_server.address, copy=False)
        other = swift_gym.VectorEnv("CartPole-v1", 4, server=swift_server.address)
        envs.reset(seed=0), other.reset(seed=0)
        memory = envs._batch.steps.results
        for step in range(6):
            actions = np.full(4, step % 2)
            shared, copied = envs.step(actions), other.step(actions)
            assert same(shared, copied)
            assert np.shares_memory(shared[0], memory[step % 2].observation[0])
            assert np.shares_memory(shared[1], memory[step % 2].rewards)
        envs.close()
        other.close()

    def test_views_outlive_the_environment(self, swift_server: RunningServer) -> None:
        envs = swift_gym.VectorEnv("CartPole-v1", 4, server=swift_server.address, copy=False)
        envs.reset(seed=0)
        observation = envs.step(np.ones(4, np.int64))[0]
        copy = observation.copy()
        envs.close()
        del envs
        assert np.array_equal(observation, copy)


class TestWrongUse:
    def test_a_step_before_the_reset(self, served: Served) -> None:
        envs = make(served, "CartPole-v1", 2)
        with pytest.raises(error.ResetNeeded):
            envs.step([0, 1])
        envs.close()

    @pytest.mark.parametrize(
        "actions", [[0], 0, [0, 2, 0], [0.0, 1.0, 0.0], [[0, 1, 0]], None, ["a", "b", "c"], [0, 1, None]]
    )
    def test_actions_that_are_none(self, served: Served, actions: Any) -> None:
        envs = make(served, "CartPole-v1", 3)
        envs.reset(seed=0)
        with pytest.raises(error.InvalidAction):
            envs.step(actions)
        envs.step((0, 1, 0))
        envs.close()

    def test_the_environment_at_fault_is_named(self, served: Served) -> None:
        envs = make(served, "CartPole-v1", 3)
        envs.reset(seed=0)
        with pytest.raises(swift_gym.ServerError) as refused:
            envs.step([0, 0, 5])
        assert [detail.environment_index for detail in refused.value.details] == [2]
        envs.close()

    def test_an_ended_environment_that_was_not_reset(self, served: Served) -> None:
        envs = make(served, "Pendulum-v1", 2, autoreset_mode="Disabled", max_episode_steps=2)
        envs.reset(seed=0)
        actions = np.zeros((2, 1), np.float32)
        envs.step(actions), envs.step(actions)
        with pytest.raises(error.ResetNeeded):
            envs.step(actions)
        envs.reset(options={"reset_mask": np.array([True, False])})
        with pytest.raises(error.ResetNeeded):
            envs.step(actions)
        envs.close()

    def test_asynchronous_calls_out_of_order(self, served: Served) -> None:
        envs, other = make(served, "CartPole-v1", 2), make(served, "CartPole-v1", 2)
        with pytest.raises(error.NoAsyncCallError):
            envs.step_wait()
        envs.reset(seed=0), other.reset(seed=0)
        envs.step_async([0, 1])
        for call in (lambda: envs.step([0, 1]), lambda: envs.step_async([0, 1]), envs.reset):
            with pytest.raises(error.AlreadyPendingCallError):
                call()
        assert same(envs.step_wait(), other.step([0, 1]))
        with pytest.raises(error.NoAsyncCallError):
            envs.step_wait()
        envs.close()
        other.close()

    def test_anything_after_close(self, served: Served) -> None:
        envs = make(served, "CartPole-v1", 2)
        envs.reset(seed=0)
        envs.close()
        envs.close()
        for call in (envs.reset, lambda: envs.step([0, 1]), envs.step_wait, envs.get_state):
            with pytest.raises(error.ClosedEnvironmentError):
                call()

    def test_closing_while_a_step_is_under_way(self, served: Served) -> None:
        envs = make(served, "CartPole-v1", 2)
        envs.reset(seed=0)
        envs.step_async([0, 1])
        envs.close()

    def test_no_environments(self, served: Served) -> None:
        with pytest.raises(ValueError, match="num_envs"):
            make(served, "CartPole-v1", 0)


class TestInfo:
    @pytest.mark.parametrize("mode", MODES)
    def test_info_is_gymnasiums(self, python_server: RunningServer, mode: AutoresetMode) -> None:
        import environments  # noqa: F401 (registers them in this process)

        ours = swift_gym.VectorEnv("swift_gym_tests/Counter-v0", 3, server=python_server.address, autoreset_mode=mode)
        theirs = SyncVectorEnv(
            [lambda: gymnasium.make("swift_gym_tests/Counter-v0", disable_env_checker=True)] * 3, autoreset_mode=mode
        )

        def same_but_lists(one: Any, other: Any) -> bool:
            for infos in (one, one.get("final_info", {})):
                assert all(value in (None, (infos["count"][i], "x")) for i, value in enumerate(infos.pop("list", [])))
            for infos in (other, other.get("final_info", {})):
                infos.pop("list", None)
            return set(one) == set(other) and all(
                same_but_lists(one[key], other[key]) if isinstance(one[key], dict) else self.alike(one[key], other[key])
                for key in one
            )

        assert same_but_lists(ours.reset(seed=0)[1], theirs.reset(seed=0)[1])
        for actions in ([1, 2, 0], [1, 1, 0], [1, 1, 2], [1, 1, 1]):
            batch = np.array(actions)[:, None]
            one, other = ours.step(batch), theirs.step(batch)
            assert same(one[:4], other[:4])
            assert same_but_lists(one[4], other[4])
            if mode is AutoresetMode.DISABLED and (done := one[2] | one[3]).any():
                mask = {"reset_mask": done}
                assert same_but_lists(ours.reset(options=dict(mask))[1], theirs.reset(options=dict(mask))[1])
        ours.close()
        theirs.close()

    @staticmethod
    def alike(one: Any, other: Any) -> bool:
        if one.dtype == object:
            return one.shape == other.shape and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        return data_equivalence(one, other)

    def test_an_environment_that_fails_stops_no_other(self, python_server: RunningServer) -> None:
        envs = swift_gym.VectorEnv("swift_gym_tests/Counter-v0", 3, server=python_server.address, fail_at=2)
        envs.reset(seed=0)
        observation, reward, terminated, truncated, infos = envs.step([[1], [2], [1]])
        assert observation[:, 0].tolist() == [1, 0, 1] and reward.tolist() == [1, 0, 1]
        assert truncated.tolist() == [False, True, False] and not terminated.any()
        assert infos["_fault"].tolist() == [False, True, False]
        assert "told to fail" in infos["fault"][1]
        assert envs.step([[0], [1], [0]])[0][:, 0].tolist() == [1, 0, 1]
        envs.close()

    def test_autoreset_options(self, python_server: RunningServer) -> None:
        envs = swift_gym.VectorEnv(
            "swift_gym_tests/Counter-v0",
            1,
            server=python_server.address,
            autoreset_mode="SameStep",
            autoreset_options={"start": 1},
        )
        assert envs.reset(options={"start": 2})[0] == 2
        observation, _, terminated, _, infos = envs.step([[1]])
        assert terminated and infos["final_obs"][0] == 3 and observation == 1
        envs.close()


class TestSpaces:
    def test_every_space_there_and_back(self, python_server: RunningServer) -> None:
        envs = swift_gym.VectorEnv("swift_gym_tests/Everything-v0", 3, server=python_server.address)
        observation, _ = envs.reset(seed=0)
        assert observation in envs.observation_space
        envs.action_space.seed(0)
        for _ in range(5):
            actions = envs.action_space.sample()
            echoed = envs.step(actions)[0]
            assert echoed in envs.observation_space
            assert echoed["ragged"]["text"] == actions["ragged"]["text"]
            assert np.array_equal(echoed["fixed"]["image"], actions["fixed"]["image"])
        envs.close()

    def test_text_at_the_root(self, python_server: RunningServer) -> None:
        envs = swift_gym.VectorEnv(
            "swift_gym_tests/Text-v0", 2, server=python_server.address, autoreset_mode="SameStep"
        )
        assert envs.reset(seed=0)[0] == ("", "")
        observation, _, terminated, _, infos = envs.step(("end", "on"))
        assert observation == ("", "on") and terminated.tolist() == [True, False]
        assert infos["final_obs"].tolist() == ["end", None]
        with pytest.raises(error.InvalidAction):
            envs.step(("one",))
        envs.close()


class TestState:
    def test_rows_go_on_from_states(self, served: Served) -> None:
        envs = make(served, "CartPole-v1", 3)
        envs.reset(seed=0)
        envs.step([0, 1, 0])
        states = envs.get_state()
        first = [envs.step([1, 0, 1]) for _ in range(4)]
        envs.set_state(states)
        assert same(tuple(first), tuple(envs.step([1, 0, 1]) for _ in range(4)))
        envs.set_state(states[:1], [2])
        assert np.array_equal(envs.step([1, 1, 1])[0][2], first[0][0][0])
        single = swift_gym.Env("CartPole-v1", server=served[0])
        single.reset(seed=9)
        single.set_state(states[0])
        assert np.array_equal(single.step(1)[0], first[0][0][0])
        single.close()
        envs.close()


class TestWrappers:
    def test_episode_statistics(self, served: Served) -> None:
        envs = wrappers.RecordEpisodeStatistics(make(served, "Pendulum-v1", 3, max_episode_steps=10))
        envs.reset(seed=0)
        for _ in range(10):
            infos = envs.step(np.zeros((3, 1), np.float32))[4]
        assert infos["episode"]["l"].tolist() == [10, 10, 10]
        envs.close()

    def test_observations_rewards_and_actions(self, served: Served) -> None:
        envs = make(served, "Pendulum-v1", 3)
        envs = wrappers.NormalizeObservation(wrappers.ClipReward(wrappers.RescaleAction(envs, -1, 1), -1, 1))
        envs.reset(seed=0)
        observation, reward, *_ = envs.step(np.ones((3, 1), np.float32))
        assert observation.shape == (3, 3) and (np.abs(reward) <= 1).all()
        envs.close()

    def test_info_as_a_list(self, served: Served) -> None:
        envs = wrappers.DictInfoToList(make(served, "Pendulum-v1", 2, max_episode_steps=1, autoreset_mode="SameStep"))
        envs.reset(seed=0)
        infos = envs.step(np.zeros((2, 1), np.float32))[4]
        assert [info["final_obs"].shape for info in infos] == [(3,), (3,)]
        envs.close()


def test_pictures_of_all(python_server: RunningServer) -> None:
    envs = swift_gym.VectorEnv("swift_gym_tests/Counter-v0", 2, server=python_server.address, render_mode="rgb_array")
    envs.reset()
    envs.step([[1], [2]])
    frames = envs.render()
    assert frames is not None
    assert [int(frame.max()) for frame in frames] == [1, 2]
    envs.close()


def test_gymnasium_vectorises_single_environments(served: Served) -> None:
    envs = gymnasium.make_vec(
        "SwiftGym/CartPole-v1", 2, vectorization_mode="sync", server=served[0], transport=served[1]
    )
    batch = make(served, "CartPole-v1", 2)
    assert same(envs.reset(seed=3), batch.reset(seed=3))
    for _ in range(30):
        assert same(envs.step([1, 0])[:4], batch.step([1, 0])[:4])
    envs.close()
    batch.close()


def test_connections_are_shared_by_many(served: Served) -> None:
    with swift_gym.connect(served[0]) as connection:
        one = connection.make_vec("CartPole-v1", 2, transport=served[1])
        other = connection.make("Pendulum-v1", transport=served[1])
        one.reset(seed=0), other.reset(seed=0)
        one.step_async([0, 1])
        other.step([0.0])
        one.step_wait()
        one.close()
        other.step([0.0])
        assert connection.status().connections >= 1
        connection.ping()
    with pytest.raises((error.ClosedEnvironmentError, swift_gym.ServerDied)):
        other.step([0.0])
