#!/usr/bin/env python3
"""Rigid bodies: EnvPool, which is Box2D in C++, beside swift-gym, with one thread and with two, in one run.

Usage: rigid_bodies.py GYM_BENCH [--rounds N] [--seconds S]

64 environments through the vector interface, random actions, episodes restarted by the batch, the same number of solver
iterations. EnvPool and gym-bench's in-process batch step in the measuring process; with two threads gym-server steps,
reached through shared memory. All take turns in each round; medians over the rounds are compared.
"""

import argparse
import json
import statistics
import subprocess

from compare import pool, rate

IDS = ["BipedalWalker-v3", "BipedalWalkerHardcore-v3", "LunarLander-v3"]
COUNT = 64


def rates(bench, name, seconds):
    command = [bench, "throughput", "--environment", name, "--envs", str(COUNT), "--seconds", str(seconds)]
    command += ["--threads", "1", "--threads", "2", "--json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = {(row["transport"], row.get("threads")): row["steps_per_second"] for row in rows}
    return {
        "swift-gym, in process": found["in-process", None],
        "swift-gym, served by 1 thread": found["shared-memory", 1],
        "swift-gym, served by 2 threads": found["shared-memory", 2],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help="the gym-bench program")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each window")
    options = parser.parse_args()
    for name in IDS:
        peers = {f"EnvPool, {threads} thread{'s' * (threads > 1)}": pool(name, COUNT, threads) for threads in (1, 2)}
        found = {}
        for _ in range(options.rounds):
            for peer, step in peers.items():
                found.setdefault(peer, []).append(rate(step, COUNT, options.seconds))
            for way, value in rates(options.bench, name, options.seconds / 3).items():
                found.setdefault(way, []).append(value)
        medians = {who: statistics.median(values) for who, values in found.items()}
        print(f"{name} x{COUNT}")
        for who, value in medians.items():
            print(f"    {who:31} {value:10,.0f} steps/s")
        envpool, served = medians["EnvPool, 1 thread"], medians["swift-gym, served by 1 thread"]
        print(f"    one thread beside EnvPool: {medians['swift-gym, in process'] / envpool:.2f} times its rate")
        print(f"    two threads beside one: {medians['swift-gym, served by 2 threads'] / served:.2f} times the rate")


if __name__ == "__main__":
    main()
