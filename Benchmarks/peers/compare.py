#!/usr/bin/env python3
"""Environment steps a second: EnvPool and Gymnasium beside gym-server, on this machine, in one run.

Usage: compare.py GYM_BENCH [--rounds N] [--seconds S] [--json]

The peers step in this process; gym-server's environments live in another one, which is stepped over the socket and
through shared memory by `gym-bench throughput`. Same work on both sides: random actions, episodes restarted by the
batch. All take turns in each round; medians over the rounds are compared.
"""

import argparse
import json
import statistics
import subprocess
import time

import envpool
import gymnasium
import numpy

CASES = [("CartPole-v1", 1), ("CartPole-v1", 64), ("CartPole-v1", 1024), ("Pendulum-v1", 64), ("Pendulum-v1", 1024)]


def rate(step, count, seconds):
    """Steps of single environments a second, over a window."""
    steps = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        step()
        steps += count
    return steps / elapsed


def stepper(environment, sample):
    """Something that steps all environments once, with one of fifty batches of actions."""
    batches = [sample() for _ in range(50)]
    position = 0

    def step():
        nonlocal position
        environment.step(batches[position % 50])
        position += 1

    return step


def pool(name, count, threads):
    environment = envpool.make(name, env_type="gymnasium", num_envs=count, num_threads=threads)
    environment.reset()
    return stepper(environment, lambda: numpy.array([environment.action_space.sample() for _ in range(count)]))


def gymnasium_vector(name, count, mode):
    environment = gymnasium.make_vec(name, num_envs=count, vectorization_mode=mode)
    environment.reset(seed=0)
    return stepper(environment, environment.action_space.sample)


def served(bench, name, count, seconds):
    """What gym-bench finds for each way to reach the same environments."""
    command = [bench, "throughput", "--environment", name, "--envs", str(count), "--seconds", str(seconds), "--json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"swift-gym " + row["transport"]: row["steps_per_second"] for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help="the gym-bench program")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each window")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    gymnasium.logger.min_level = gymnasium.logger.ERROR

    report = []
    for name, count in CASES:
        peers = {f"EnvPool, {threads} thread{'s' * (threads > 1)}": pool(name, count, threads) for threads in (1, 2)}
        peers["Gymnasium sync"] = gymnasium_vector(name, count, "sync")
        if name == "CartPole-v1":
            peers["Gymnasium vectorised"] = gymnasium_vector(name, count, "vector_entry_point")
        for step in peers.values():
            step()
        found = {}
        for _ in range(options.rounds):
            for peer, step in peers.items():
                found.setdefault(peer, []).append(rate(step, count, options.seconds))
            # gym-bench takes the median of three windows of its own.
            for way, value in served(options.bench, name, count, options.seconds / 3).items():
                found.setdefault(way, []).append(value)
        medians = {who: statistics.median(values) for who, values in found.items()}
        best = max(value for who, value in medians.items() if who.startswith("EnvPool"))
        report.append({"environment": name, "num_envs": count, "steps_per_second": medians,
                       "times_envpool": {who: value / best for who, value in medians.items()}})
        if not options.json:
            print(f"{name} x{count}")
            for who, value in medians.items():
                print(f"    {who:28s} {value:14,.0f} steps/s {value / best:8.2f} times EnvPool's best")
    if options.json:
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
