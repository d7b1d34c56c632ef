"""Exported policies in an ONNX runtime, on served environments. This runs where onnxruntime is installed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from conftest import RunningServer, swift_binary

import swift_gym  # noqa: F401 (registers the environments)

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

EPISODES = 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["ppo", "CartPole-v1", "--steps", "20000"],
        ["ppo", "BipedalWalker-v3", "--steps", "4096", "--envs", "4", "--set", "n_steps=256"],
        ["dqn", "MountainCar-v0", "--steps", "2000"],
        ["td3", "Pendulum-v1", "--steps", "1500", "--set", "learning_starts=500", "--set", "net_arch=[32,32]"],
        ["sac", "Pendulum-v1", "--steps", "1500", "--set", "normalize=true", "--set", "net_arch=[32,32]"],
    ],
)
def test_exported_policies_play_as_the_agent_does(
    arguments: list[str], swift_server: RunningServer, tmp_path: Path
) -> None:
    agent = swift_binary().parent / "gym-agent"
    if not agent.is_file():
        pytest.skip("no gym-agent beside gym-server: build it (make build)")
    run, model = tmp_path / "run", tmp_path / "policy.onnx"
    subprocess.run([agent, "train", *arguments, "--run", run, "--quiet"], check=True)
    subprocess.run([agent, "export", run, "--onnx", model], check=True, capture_output=True)
    command = [agent, "evaluate", run, "--episodes", str(EPISODES), "--seed", "7", "--json"]
    evaluation = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["environment"] == arguments[1]
    environment = gymnasium.make(f"SwiftGym/{arguments[1]}", server=swift_server.address)
    returns, lengths = [], []
    for episode in range(EPISODES):
        observation, _ = environment.reset(seed=7 + episode)
        total, length, over = 0.0, 0, False
        while not over:
            (action,) = session.run(["action"], {"observation": observation[np.newaxis]})
            # What comes out is what the environment takes, type and shape included.
            if isinstance(environment.action_space, gymnasium.spaces.Discrete):
                assert action.shape == (1,) and action.dtype == np.int64
            else:
                assert environment.action_space.contains(action[0])
            observation, reward, terminated, truncated, _ = environment.step(action[0])
            total, length, over = total + float(reward), length + 1, terminated or truncated
        returns.append(total)
        lengths.append(length)
    environment.close()
    # The runtime sums in another order: after hundreds of steps that is seen, but not in what the policy is worth.
    if arguments[1] == "BipedalWalker-v3":
        assert np.mean(returns) == pytest.approx(evaluation["mean_return"], abs=30)
    else:
        assert np.mean(lengths) == pytest.approx(evaluation["mean_length"], rel=0.02)
        assert np.mean(returns) == pytest.approx(evaluation["mean_return"], rel=0.02)
