"""Single environments: the same as Gymnasium's, whatever server and transport they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from conftest import COMMON, RunningServer
from gymnasium import error, wrappers
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.utils.env_match import check_environments_match

import swift_gym
from swift_gym.registration import TABLE

Served = tuple[str, str]


def make(served: Served, id: str, **arguments: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(f"SwiftGym/{id}", server=served[0], transport=served[1], **arguments)


@pytest.mark.parametrize("id", COMMON)
def test_the_checker_is_content(served: Served, id: str) -> None:
    env = make(served, id)
    assert env.unwrapped.transport == served[1]  # type: ignore[attr-defined]
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("id", COMMON)
def test_the_checker_is_content_with_rendering(python_server: RunningServer, id: str) -> None:
    env = gymnasium.make(f"SwiftGym/{id}", server=python_server.address, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()


def test_all_that_gym_server_lists_passes_the_checker(swift_server: RunningServer) -> None:
    with swift_gym.connect(swift_server.address) as connection:
        listed = connection.list()
    names = swift_gym.register_environments(swift_server.address)
    assert len(names) == len(listed) >= len(COMMON)
    for spec, name in zip(listed, names, strict=True):
        renders = "rgb_array" in spec.render_modes
        env = gymnasium.make(name, server=swift_server.address, render_mode="rgb_array" if renders else None)
        check_env(env.unwrapped, skip_render_check=not renders)
        env.close()


@pytest.mark.parametrize("id", COMMON)
def test_it_matches_gymnasiums_own(served: Served, id: str) -> None:
    ours, theirs = make(served, id), gymnasium.make(id)
    for seed in (0, 123):
        check_environments_match(theirs, ours, num_steps=300, seed=seed, info_comparison="equivalence")
    assert type(ours.observation_space) is type(theirs.observation_space)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.spec is not None and theirs.spec is not None
    for name in ("max_episode_steps", "reward_threshold", "nondeterministic"):
        assert getattr(ours.spec, name) == getattr(theirs.spec, name), name
    ours.close()
    theirs.close()


@pytest.mark.parametrize("id", COMMON)
def test_types_are_gymnasiums(served: Served, id: str) -> None:
    ours, theirs = make(served, id), gymnasium.make(id)
    for env in (ours, theirs):
        env.action_space.seed(1)
    first, second = ours.reset(seed=1), theirs.reset(seed=1)
    assert data_equivalence(first, second)
    for _ in range(20):
        action = ours.action_space.sample()
        one, other = ours.step(action), theirs.step(action)
        assert [type(part) for part in one] == [type(part) for part in other]
        assert not isinstance(one[0], np.ndarray) or one[0].flags.writeable
        assert data_equivalence(one, other)
        if one[2] or one[3]:
            ours.reset()
            theirs.reset()
    ours.close()
    theirs.close()


@pytest.mark.parametrize(("id", "type_of_most"), [("LunarLander-v3", np.float64), ("BipedalWalker-v3", np.float32)])
def test_rewards_of_rigid_bodies_have_gymnasiums_types(
    swift_server: RunningServer, id: str, type_of_most: type
) -> None:
    """NumPy's, and the integer that Gymnasium sets for a crash or a fall."""
    env = gymnasium.make(f"SwiftGym/{id}", server=swift_server.address)
    env.reset(seed=3)
    action = np.ones(4, np.float32) if id == "BipedalWalker-v3" else 1
    _, reward, terminated, truncated, _ = env.step(action)
    while not terminated:
        assert type(reward) is type_of_most and not truncated
        _, reward, terminated, truncated, _ = env.step(action)
    assert type(reward) is int and reward == -100
    env.close()


def test_a_text_is_drawn_without_a_warning(swift_server: RunningServer) -> None:
    env = gymnasium.make("SwiftGym/FrozenLake-v1", server=swift_server.address, render_mode="ansi")
    theirs = gymnasium.make("FrozenLake-v1", render_mode="ansi")
    for one in (env, theirs):
        one.reset(seed=1)
        one.step(2)
    assert env.render() == theirs.render()
    env.close()


def test_results_are_the_callers_to_keep(served: Served) -> None:
    env = make(served, "CartPole-v1")
    first, _ = env.reset(seed=5)
    kept = [(first, first.copy())]
    for _ in range(6):
        observation = env.step(1)[0]
        kept.append((observation, observation.copy()))
    assert all(np.array_equal(observation, copy) for observation, copy in kept)
    assert len({copy.tobytes() for _, copy in kept}) == len(kept)
    env.close()


class TestSeeds:
    def test_zero_is_a_seed(self, served: Served) -> None:
        env = make(served, "CartPole-v1")
        assert np.array_equal(env.reset(seed=0)[0], env.reset(seed=0)[0])
        assert not np.array_equal(env.reset(seed=0)[0], env.reset(seed=1)[0])
        env.close()

    def test_none_goes_on_with_the_generator(self, served: Served) -> None:
        env, other = make(served, "CartPole-v1"), gymnasium.make("CartPole-v1")
        for seed in (4, None, None):
            assert np.array_equal(env.reset(seed=seed)[0], other.reset(seed=seed)[0])
        # Also after an episode has ended, when the reset is made another way.
        done = False
        while not done:
            done = env.step(0)[2]
            other.step(0)
        assert np.array_equal(env.reset()[0], other.reset()[0])
        env.close()

    def test_the_seed_that_the_server_drew_is_known(self, served: Served) -> None:
        env, other = make(served, "CartPole-v1"), make(served, "CartPole-v1")
        observation, _ = env.reset()
        assert np.array_equal(other.reset(seed=env.unwrapped.np_random_seed)[0], observation)
        env.close()
        other.close()

    @pytest.mark.parametrize("seed", [-1, 1 << 64, 1.5, np.int64(3)])
    def test_what_is_no_seed_is_refused(self, served: Served, seed: Any) -> None:
        env = make(served, "CartPole-v1")
        with pytest.raises(error.Error, match=r"[Ss]eed"):
            env.reset(seed=seed)
        env.close()


class TestWrongUse:
    def test_a_step_before_the_reset(self, served: Served) -> None:
        env = swift_gym.Env("CartPole-v1", server=served[0], transport=served[1])
        with pytest.raises(error.ResetNeeded):
            env.step(0)
        env.reset(seed=0)
        env.step(0)
        env.close()

    def test_a_step_after_the_end(self, served: Served) -> None:
        env = swift_gym.Env("CartPole-v1", server=served[0], transport=served[1])
        env.reset(seed=0)
        while not env.step(0)[2]:
            pass
        for _ in range(2):
            with pytest.raises(error.ResetNeeded):
                env.step(0)
        env.reset()
        env.step(0)
        env.close()

    @pytest.mark.parametrize("action", [2, -1, 1.0, "left", None, np.array([0, 1]), np.array([1.0]), [1, 0], 1 << 70])
    def test_an_action_outside_of_a_discrete_space(self, served: Served, action: Any) -> None:
        env = swift_gym.Env("CartPole-v1", server=served[0], transport=served[1])
        env.reset(seed=0)
        with pytest.raises(error.InvalidAction):
            env.step(action)
        # Nothing was stepped.
        other = gymnasium.make("CartPole-v1")
        other.reset(seed=0)
        assert np.array_equal(env.step(1)[0], other.step(1)[0])
        env.close()

    @pytest.mark.parametrize("action", [1, np.int64(1), np.int32(1), np.array(1), True])
    def test_an_action_of_another_integer_type(self, served: Served, action: Any) -> None:
        env = swift_gym.Env("CartPole-v1", server=served[0], transport=served[1])
        env.reset(seed=0)
        assert env.step(action)[1] == 1.0
        env.close()

    @pytest.mark.parametrize(
        "action", [0.5, [0.5, 0.5], [[0.5]], ["a"], [np.nan], [np.inf], [1 + 2j], np.zeros((1, 1), np.float32)]
    )
    def test_an_action_that_does_not_fit_a_box(self, served: Served, action: Any) -> None:
        env = swift_gym.Env("Pendulum-v1", server=served[0], transport=served[1])
        env.reset(seed=0)
        with pytest.raises(error.InvalidAction):
            env.step(action)
        env.step([0.5])
        env.close()

    def test_actions_out_of_bounds_are_the_environments_affair_unless_said_otherwise(self, served: Served) -> None:
        env, other = make(served, "Pendulum-v1"), gymnasium.make("Pendulum-v1")
        env.reset(seed=0), other.reset(seed=0)
        far = np.array([7.5], np.float32)
        assert np.allclose(env.step(far)[0], other.step(far)[0])
        env.close()
        strict = make(served, "Pendulum-v1", pass_out_of_bounds=False)
        strict.reset(seed=0)
        with pytest.raises(error.InvalidAction) as refused:
            strict.step(far)
        assert isinstance(refused.value, swift_gym.ServerError)
        assert refused.value.code == "INVALID_ACTION"
        assert refused.value.details[0].environment_index == 0
        strict.close()

    def test_anything_after_close(self, served: Served) -> None:
        env = swift_gym.Env("CartPole-v1", server=served[0], transport=served[1], render_mode=None)
        env.reset(seed=0)
        env.close()
        env.close()
        for call in (env.reset, lambda: env.step(0), env.get_state):
            with pytest.raises(error.ClosedEnvironmentError):
                call()

    def test_an_environment_that_is_not_there(self, served: Served) -> None:
        with pytest.raises(error.NameNotFound, match="CartPole-v1"):
            swift_gym.Env("CartPole-v7", server=served[0])

    def test_an_option_that_is_not_there(self, served: Served) -> None:
        with pytest.raises(swift_gym.InvalidOption, match="graviti") as refused:
            make(served, "Pendulum-v1", graviti=9.8)
        assert refused.value.details[0].field == "options.graviti"

    def test_a_reset_option_that_is_not_taken(self, served: Served) -> None:
        env = make(served, "CartPole-v1")
        for options in ({"lowest": 0.1}, {"low": "down"}):
            with pytest.raises(swift_gym.InvalidOption):
                env.reset(options=options)
        env.reset(options={"low": 0.01, "high": 0.02})
        env.close()

    def test_a_transport_that_is_not_there(self, python_server: RunningServer) -> None:
        with pytest.raises(ValueError, match="carrier pigeon"):
            swift_gym.Env("CartPole-v1", server=python_server.address, transport="carrier pigeon")
        with pytest.raises(error.UnsupportedMode):
            swift_gym.Env("CartPole-v1", server=python_server.address, transport="shared-memory")

    def test_no_server(self, tmp_path: Path) -> None:
        with pytest.raises(swift_gym.ServerNotFound, match="gym-server serve --socket"):
            gymnasium.make("SwiftGym/CartPole-v1", server=f"unix:{tmp_path}/nobody")


class TestOptions:
    def test_options_reach_the_environment(self, served: Served) -> None:
        env, other = make(served, "Pendulum-v1", g=2.0), gymnasium.make("Pendulum-v1", g=2.0)
        check_environments_match(other, env, num_steps=50, seed=3)
        env.close()

    def test_reset_options_reach_the_environment(self, served: Served) -> None:
        env, other = make(served, "CartPole-v1"), gymnasium.make("CartPole-v1")
        options = {"low": -0.01, "high": 0.3}
        assert np.array_equal(env.reset(seed=8, options=options)[0], other.reset(seed=8, options=options)[0])
        # They hold for one reset.
        assert np.array_equal(env.reset()[0], other.reset()[0])
        env.close()

    def test_the_time_limit_is_gymnasiums(self, served: Served) -> None:
        for limit, expected in ((None, 200), (7, 7), (300, 300)):
            env = make(served, "Pendulum-v1", max_episode_steps=limit)
            env.reset(seed=0)
            steps = 1
            while not env.step([0.0])[3]:
                steps += 1
            assert steps == expected
            # A reset after a truncation that the server knows nothing of.
            env.reset()
            assert not env.step([0.0])[3]
            env.close()

    def test_the_servers_own_time_limit(self, served: Served) -> None:
        env = swift_gym.Env("Pendulum-v1", server=served[0], transport=served[1], max_episode_steps=5)
        env.reset(seed=0)
        assert [env.step([0.0])[3] for _ in range(5)] == [False] * 4 + [True]
        env.close()


class TestState:
    def test_an_environment_goes_on_from_a_state(self, served: Served) -> None:
        env = make(served, "CartPole-v1").unwrapped
        assert isinstance(env, swift_gym.Env)
        env.reset(seed=2)
        env.step(1)
        state = env.get_state()

        def play() -> list[Any]:
            played: list[Any] = [env.step(i % 2) for i in range(5)]
            return [*played, env.reset()]

        first = play()
        env.set_state(state)
        assert data_equivalence(first, play(), exact=True)
        env.close()

    def test_an_ended_episode_is_still_ended(self, served: Served) -> None:
        env = swift_gym.Env("CartPole-v1", server=served[0], transport=served[1])
        env.reset(seed=2)
        while not env.step(1)[2]:
            pass
        state = env.get_state()
        observation, _ = env.reset()
        env.step(0)
        env.set_state(state)
        with pytest.raises(error.ResetNeeded):
            env.step(0)
        assert np.array_equal(env.reset()[0], observation)
        env.close()

    @pytest.mark.parametrize("state", [b"", b"\0nonsense", b"\2"])
    def test_what_is_no_state_is_refused(self, served: Served, state: bytes) -> None:
        env = swift_gym.Env("CartPole-v1", server=served[0], transport=served[1])
        env.reset(seed=2)
        with pytest.raises(ValueError):
            env.set_state(state)
        env.step(0)
        env.close()


class TestRendering:
    def test_pictures_are_gymnasiums(self, python_server: RunningServer) -> None:
        ours = gymnasium.make("SwiftGym/CartPole-v1", server=python_server.address, render_mode="rgb_array")
        theirs = gymnasium.make("CartPole-v1", render_mode="rgb_array")
        for env in (ours, theirs):
            env.reset(seed=0)
            env.step(1)
        assert np.array_equal(ours.render(), theirs.render())
        ours.close()
        theirs.close()

    def test_text(self, python_server: RunningServer) -> None:
        env = swift_gym.Env("swift_gym_tests/Counter-v0", server=python_server.address, render_mode="ansi")
        env.reset()
        env.step([2])
        assert env.render() == "count 2"
        env.close()

    def test_human_comes_through_gymnasiums_wrapper(self, python_server: RunningServer) -> None:
        with pytest.warns(UserWarning, match="HumanRendering"):
            env = gymnasium.make("SwiftGym/CartPole-v1", server=python_server.address, render_mode="human")
        assert isinstance(env, wrappers.HumanRendering)
        env.reset(seed=0)
        env.step(0)
        env.close()
        with pytest.raises(error.UnsupportedMode, match=r"gymnasium\.make"):
            swift_gym.Env("CartPole-v1", server=python_server.address, render_mode="human")

    def test_lists_come_through_gymnasiums_wrapper(self, python_server: RunningServer) -> None:
        env = gymnasium.make("SwiftGym/CartPole-v1", server=python_server.address, render_mode="rgb_array_list")
        env.reset(seed=0)
        env.step(0)
        frames = env.render()
        assert isinstance(frames, list) and len(frames) == 2
        env.close()

    def test_rendering_that_was_not_asked_for(self, served: Served) -> None:
        env = swift_gym.Env("CartPole-v1", server=served[0], transport=served[1])
        env.reset(seed=0)
        with pytest.warns(UserWarning, match="without specifying any render mode"):
            assert env.render() is None
        env.close()

    def test_rendering_before_the_reset(self, python_server: RunningServer) -> None:
        env = swift_gym.Env("CartPole-v1", server=python_server.address, render_mode="rgb_array")
        with pytest.raises(error.ResetNeeded):
            env.render()
        env.close()

    def test_a_mode_that_is_not_there(self, served: Served) -> None:
        with pytest.raises(error.UnsupportedMode):
            swift_gym.Env("Pendulum-v1", server=served[0], render_mode="depth_array")


class TestInfoAndFailures:
    def test_info_of_every_kind(self, python_server: RunningServer) -> None:
        env = swift_gym.Env("swift_gym_tests/Counter-v0", server=python_server.address)
        _, info = env.reset()
        assert info.pop("array").tolist() == [0, 0]
        assert info == {"count": 0, "half": 0.0, "is_even": True, "text": "at 0", "list": (0, "x")}
        info = env.step([1])[4]
        assert info["odd"] == 1 and type(info["count"]) is int and type(info["is_even"]) is bool
        assert info["array"].dtype == np.float32
        env.close()
        silent = swift_gym.Env("swift_gym_tests/Counter-v0", server=python_server.address, want_info=False)
        silent.reset()
        assert silent.step([1])[4] == {}
        silent.close()

    def test_info_of_a_reset_after_the_end(self, python_server: RunningServer) -> None:
        env = swift_gym.Env("swift_gym_tests/Counter-v0", server=python_server.address)
        env.reset()
        assert env.step([3])[2]
        observation, info = env.reset()
        assert observation == 0 and info["text"] == "at 0" and "odd" not in info
        env.close()

    def test_an_environment_that_fails(self, python_server: RunningServer) -> None:
        env = swift_gym.Env("swift_gym_tests/Counter-v0", server=python_server.address, fail_at=2)
        env.reset()
        env.step([1])
        with pytest.raises(swift_gym.EnvironmentFault, match="told to fail"):
            env.step([1])
        with pytest.raises(error.ResetNeeded):
            env.step([1])
        assert env.reset()[0] == 0
        env.step([1])
        env.close()

    def test_every_space_there_and_back(self, python_server: RunningServer) -> None:
        env = swift_gym.Env("swift_gym_tests/Everything-v0", server=python_server.address)
        observation, _ = env.reset(seed=0)
        assert observation in env.observation_space
        env.action_space.seed(0)
        for _ in range(10):
            action = env.action_space.sample()
            echoed = env.step(action)[0]
            assert echoed in env.observation_space
            assert echoed["ragged"]["text"] == action["ragged"]["text"]
            assert np.array_equal(echoed["fixed"]["box"], action["fixed"]["box"])
            assert len(echoed["ragged"]["deep"]) == len(action["ragged"]["deep"])
        with pytest.raises(error.InvalidAction):
            env.step({"fixed": action["fixed"]})
        with pytest.raises(error.InvalidAction):
            env.step({**action, "ragged": {**action["ragged"], "text": 5}})
        env.close()

    def test_text_at_the_root(self, python_server: RunningServer) -> None:
        env = swift_gym.Env("swift_gym_tests/Text-v0", server=python_server.address)
        assert env.reset()[0] == ""
        assert env.step("hello")[0] == "hello"
        with pytest.raises(error.InvalidAction):
            env.step("far too long for this space")
        with pytest.raises(swift_gym.EnvironmentFault):
            env.step("fail")
        assert env.reset()[0] == ""
        env.close()


class TestWrappers:
    def test_episode_statistics_and_time_limit(self, served: Served) -> None:
        env = wrappers.RecordEpisodeStatistics(wrappers.TimeLimit(make(served, "Pendulum-v1"), 10))
        env.reset(seed=0)
        total = 0.0
        for _ in range(10):
            _, reward, _, truncated, info = env.step(np.zeros(1, np.float32))
            total += float(reward)
        assert truncated and info["episode"]["l"] == 10
        assert info["episode"]["r"] == pytest.approx(total)
        env.close()

    def test_observation_wrappers(self, served: Served) -> None:
        env = wrappers.FrameStackObservation(wrappers.NormalizeObservation(make(served, "Acrobot-v1")), 4)
        assert env.reset(seed=0)[0].shape == (4, 6)
        assert env.step(1)[0] in env.observation_space
        env.close()

    def test_films(self, python_server: RunningServer, tmp_path: Path) -> None:
        pytest.importorskip("moviepy")
        env: Any = gymnasium.make("SwiftGym/CartPole-v1", server=python_server.address, render_mode="rgb_array")
        env = wrappers.RecordVideo(env, str(tmp_path / "films"), episode_trigger=lambda episode: episode == 0)
        env.reset(seed=0)
        while not env.step(0)[2]:
            pass
        env.close()
        (film,) = tmp_path.glob("films/*.mp4")
        assert film.stat().st_size > 1000


class TestRegistry:
    def test_it_is_filled_without_a_server(self) -> None:
        for id in COMMON:
            ours, theirs = gymnasium.spec(f"SwiftGym/{id}"), gymnasium.spec(id)
            assert ours.max_episode_steps == theirs.max_episode_steps
            assert ours.reward_threshold == theirs.reward_threshold

    def test_what_a_server_offers_beyond_it(self, python_server: RunningServer) -> None:
        ids = swift_gym.register_environments(python_server.address)
        assert "SwiftGym/swift_gym_tests.Counter-v0" in ids and "SwiftGym/CartPole-v1" in ids
        env = gymnasium.make("SwiftGym/FrozenLake-v1", server=python_server.address)
        assert env.reset(seed=0)[0] == 0
        env.close()

    def test_the_table_says_what_gym_server_says(self, swift_server: RunningServer) -> None:
        with swift_gym.connect(swift_server.address) as connection:
            listed = {spec.id: spec for spec in connection.list()}
        assert {id for id, _, _ in TABLE} <= set(listed)
        for id, spec in listed.items():
            name = f"SwiftGym/{id}"
            if name in gymnasium.registry:
                assert gymnasium.spec(name).max_episode_steps == spec.max_episode_steps, id
                assert gymnasium.spec(name).reward_threshold == spec.reward_threshold, id

    def test_a_spec_makes_the_environment_again(self, served: Served) -> None:
        env = make(served, "CartPole-v1")
        assert env.spec is not None
        again = env.spec.make()
        assert np.array_equal(env.reset(seed=3)[0], again.reset(seed=3)[0])
        assert str(again) == str(env)
        env.close()
        again.close()
