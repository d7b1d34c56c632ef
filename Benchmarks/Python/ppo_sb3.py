"""Stable-Baselines3's PPO on Gymnasium's CartPole and on the server's, unchanged, in one run.

Usage: ppo_sb3.py [STEPS]; needs swift_gym, stable-baselines3 and a gym-server that swift_gym finds.
"""

from __future__ import annotations

import sys
import time

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import swift_gym  # noqa: F401 (registers the environments)

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000

for id in ("CartPole-v1", "SwiftGym/CartPole-v1"):
    envs = make_vec_env(id, n_envs=8, seed=0)
    # rl-baselines3-zoo's hyperparameters.
    model = PPO(
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
    start = time.perf_counter()
    model.learn(STEPS)
    seconds = time.perf_counter() - start
    evaluation = make_vec_env(id, n_envs=1, seed=1000)
    mean, deviation = evaluate_policy(model, evaluation, n_eval_episodes=20, deterministic=True)
    print(f"{id:22s} {STEPS} steps in {seconds:6.1f} s, greedy return {mean:.1f} +- {deviation:.1f}", flush=True)
    envs.close()
    evaluation.close()
