"""The Python client beside its peers: one environment, and batches, in one run and in turns.

Usage: benchmark.py [SECONDS-A-WINDOW]; needs swift_gym, gymnasium and envpool installed, and a gym-server that swift_gym
finds (SWIFT_GYM_SERVER_BINARY). Prints medians over windows that alternate between the contestants, and ratios.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import envpool
import gymnasium
import numpy as np

import swift_gym  # noqa: F401 (registers the environments)

WINDOW = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
ROUNDS = 7


def measure(contestants: dict[str, Callable[[], None]], steps: dict[str, int]) -> dict[str, float]:
    """Steps a second of each contestant: the median over rounds in which all take their turn."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        call()
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            done, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < WINDOW / ROUNDS:
                call()
                done += steps[name]
            rates[name].append(done / elapsed)
    return {name: statistics.median(values) for name, values in rates.items()}


def single(env: gymnasium.Env[Any, Any], count: int = 500) -> Callable[[], None]:
    """A call that makes ``count`` steps with random actions, resets included."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(count)]

    def run() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return run


def batch(envs: Any, actions: list[Any]) -> Callable[[], None]:
    """A call that makes a step of the batch for each of ``actions``."""
    envs.reset()

    def run() -> None:
        for action in actions:
            envs.step(action)

    return run


def one_environment() -> None:
    ids = {"gymnasium": "CartPole-v1", "swift_gym": "SwiftGym/CartPole-v1"}
    calls = {name: single(gymnasium.make(id)) for name, id in ids.items()}
    calls["swift_gym, socket"] = single(gymnasium.make("SwiftGym/CartPole-v1", transport="socket"))
    rates = measure(calls, dict.fromkeys(calls, 500))
    for name, rate in rates.items():
        print(f"CartPole x1     {name:24s} {1e6 / rate:8.2f} us a step, {rates['gymnasium'] / rate:6.2f} x Gymnasium's")


def batches(id: str, num_envs: int, sample: Callable[[np.random.Generator], Any]) -> None:
    generator = np.random.default_rng(0)
    actions = [sample(generator) for _ in range(20)]
    name = f"SwiftGym/{id}"
    calls = {
        f"envpool, {threads} thread{'s' * (threads > 1)}": batch(
            envpool.make(id, env_type="gymnasium", num_envs=num_envs, num_threads=threads), actions
        )
        for threads in (1, 2)
    }
    for label, arguments in (
        ("swift_gym", {}),
        ("swift_gym, no copies", {"copy": False}),
        ("swift_gym, socket", {"transport": "socket"}),
    ):
        calls[label] = batch(gymnasium.make_vec(name, num_envs=num_envs, **arguments), actions)
    rates = measure(calls, dict.fromkeys(calls, 20 * num_envs))
    peer = max(rate for label, rate in rates.items() if label.startswith("envpool"))
    for label, rate in rates.items():
        title = f"{id.partition('-')[0]} x{num_envs}"
        print(f"{title:15s} {label:24s} {rate:12,.0f} steps a second, {rate / peer:6.2f} x EnvPool's best")


if __name__ == "__main__":
    one_environment()
    for size in (64, 1024):
        batches("CartPole-v1", size, lambda generator, size=size: generator.integers(0, 2, size))  # type: ignore[misc]
    batches("Pendulum-v1", 1024, lambda generator: generator.uniform(-2, 2, (1024, 1)).astype(np.float32))
