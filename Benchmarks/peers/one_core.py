#!/usr/bin/env python3
"""EnvPool beside swift-gym with one thread and with two, in one run: rigid bodies, where EnvPool is Box2D in C++ with the
same number of solver iterations, and toy text.

Usage: one_core.py GYM_BENCH [--family rigid-bodies|toy-text] [--rounds N] [--seconds S]

Batches through the vector interface, random actions, episodes restarted by the batch. EnvPool and gym-bench's in-process
batch step in the measuring process; with two threads gym-server steps, reached through shared memory. All take turns in
each round; medians over the rounds are compared.
"""

import argparse
import json
import statistics
import subprocess

from compare import pool, rate

# Environments of a batch, and ids; EnvPool's where it has another version.
FAMILIES = {
    "rigid-bodies": (64, ["BipedalWalker-v3", "BipedalWalkerHardcore-v3", "LunarLander-v3"]),
    "toy-text": (1024, ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1"]),
}
ENVPOOL_IDS = {"Taxi-v4": "Taxi-v3"}


def rates(bench, name, count, seconds):
    command = [bench, "throughput", "--environment", name, "--envs", str(count), "--seconds", str(seconds)]
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
    parser.add_argument("--family", choices=FAMILIES, action="append", help="one or several; all unless given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each window")
    options = parser.parse_args()
    for family in options.family or FAMILIES:
        count, names = FAMILIES[family]
        for name in names:
            compare(name, count, options)


def compare(name, count, options):
    pools = {
        f"EnvPool, {threads} thread{'s' * (threads > 1)}": pool(ENVPOOL_IDS.get(name, name), count, threads)
        for threads in (1, 2)
    }
    found = {}
    for _ in range(options.rounds):
        for peer, step in pools.items():
            found.setdefault(peer, []).append(rate(step, count, options.seconds))
        for way, value in rates(options.bench, name, count, options.seconds / 3).items():
            found.setdefault(way, []).append(value)
    medians = {who: statistics.median(values) for who, values in found.items()}
    print(f"{name} x{count}")
    for who, value in medians.items():
        print(f"    {who:31} {value:12,.0f} steps/s")
    envpool, served = medians["EnvPool, 1 thread"], medians["swift-gym, served by 1 thread"]
    print(f"    one thread beside EnvPool: {medians['swift-gym, in process'] / envpool:.2f} times its rate")
    print(f"    two threads beside one: {medians['swift-gym, served by 2 threads'] / served:.2f} times the rate")


if __name__ == "__main__":
    main()
