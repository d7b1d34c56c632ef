"""Stable-Baselines3 trains on served environments unchanged. It is heavy, so this runs where it is installed."""

from __future__ import annotations

import pytest
from conftest import RunningServer

import swift_gym  # noqa: F401 (registers the environments)

sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")


@pytest.mark.sb3
@pytest.mark.filterwarnings("default")
def test_ppo_learns_cart_pole(swift_server: RunningServer) -> None:
    from stable_baselines3.common.env_checker import check_env
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    arguments = {"server": swift_server.address}
    envs = make_vec_env("SwiftGym/CartPole-v1", n_envs=8, seed=0, env_kwargs=arguments)
    check_env(envs.envs[0].unwrapped)  # type: ignore[attr-defined]
    # rl-baselines3-zoo's hyperparameters.
    model = sb3.PPO(
        "MlpPolicy",
        envs,
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        ent_coef=0.0,
        learning_rate=lambda remaining: 1e-3 * remaining,
        clip_range=lambda remaining: 0.2 * remaining,
        seed=0,
        device="cpu",
    )
    model.learn(60_000)
    evaluation = make_vec_env("SwiftGym/CartPole-v1", n_envs=1, seed=1000, env_kwargs=arguments)
    mean, _ = evaluate_policy(model, evaluation, n_eval_episodes=20, deterministic=True)
    assert float(mean) >= 475, mean
    envs.close()
    evaluation.close()
