"""The agents in Swift train on what Python serves: environments that this project did not write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from conftest import RunningServer, run, swift_binary
from gymnasium import spaces

Start = Callable[..., RunningServer]

# Learning takes seconds of computing; a busy machine may take several times as long.
SECONDS = 200.0


def gym_agent(*arguments: object) -> str:
    """Runs gym-agent, which has to end well; what it wrote to both streams."""
    agent = swift_binary().parent / "gym-agent"
    if not agent.is_file():
        pytest.skip("no gym-agent beside gym-server")
    done = run([str(agent), *map(str, arguments)], seconds=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text()))


def test_ppo_learns_gymnasiums_acrobot(start_python: Start, tmp_path: Path) -> None:
    """From -500, the return of an untrained policy, to better than -150 within 50,000 steps."""
    server = start_python("Acrobot-v1")
    folder = tmp_path / "run"
    train = ("train", "ppo", "Acrobot-v1", "--server", server.address, "--seed", 1, "--quiet")
    gym_agent(*train, "--steps", 50_000, "--run", folder, "--set", "eval_freq=0")
    trained = summary(folder)
    assert trained["environment"] == "Acrobot-v1" and trained["steps"] >= 50_000
    # Twenty greedy episodes; with this seed it is the same return every time, since all that is random is seeded.
    assert trained["final_mean_return"] > -150, trained
    evaluated = json.loads(gym_agent("evaluate", folder, "--server", server.address, "--episodes", 10, "--json"))
    assert evaluated["environment"] == "Acrobot-v1" and evaluated["mean_return"] > -150, evaluated


def short(folder: Path, server: RunningServer, id: str = "CartPole-v1", steps: int = 2048) -> list[object]:
    return ["train", "ppo", id, "--server", server.address, "--seed", 3, "--steps", steps, "--run", folder]


def test_a_run_goes_on_exactly_on_the_server_that_it_began_on(start_python: Start, tmp_path: Path) -> None:
    server = start_python("CartPole-v1")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    # Schedules that fall depend on the steps that are to be made in all, so none is to fall here.
    constant = ("--set", "learning_rate=0.001", "--set", "clip_range=0.2")
    gym_agent(*short(whole, server, steps=4096), *constant)
    gym_agent(*short(parts, server), *constant)
    said = gym_agent("resume", parts, "--steps", 4096, "--server", server.address)
    assert "going on at step 2048" in said and "fresh episodes" not in said
    assert summary(parts)["weights_sha256"] == summary(whole)["weights_sha256"]


def test_a_run_goes_on_with_fresh_episodes_on_a_server_that_was_started_anew(
    start_python: Start, tmp_path: Path
) -> None:
    gym_agent(*short(tmp_path / "run", start_python("CartPole-v1")))
    another = start_python("CartPole-v1")
    said = gym_agent("resume", tmp_path / "run", "--steps", 4096, "--server", another.address)
    assert "are not taken by the server" in said and "goes on with fresh episodes" in said
    assert summary(tmp_path / "run")["steps"] == 4096


class Unsaveable(gymnasium.Env[Any, Any]):
    """What cannot be saved, since it holds something that lives outside of Python."""

    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.outside = memoryview(b"cannot be pickled")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: Any) -> Any:
        return 1, 1.0, bool(self.np_random.random() < 0.1), False, {}


gymnasium.register("swift_gym_tests/Unsaveable-v0", "test_agent:Unsaveable", max_episode_steps=50)


def test_a_run_goes_on_with_fresh_episodes_where_nothing_can_be_saved(start_python: Start, tmp_path: Path) -> None:
    id = "swift_gym_tests/Unsaveable-v0"
    server = start_python(f"test_agent:{id}")
    gym_agent(*short(tmp_path / "run", server, id))
    said = gym_agent("resume", tmp_path / "run", "--steps", 4096, "--server", server.address)
    assert "are not the server's to set" in said and "goes on with fresh episodes" in said
