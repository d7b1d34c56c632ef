#!/usr/bin/env python3
"""The rigid-body environments beside Gymnasium's Box2D ones, over the same seeds and policies, in one run.

Usage: rigid_body_distributions.py [--seeds N] [--only TEXT] [--processes N]

Needs gymnasium[box2d] and the Python client, with a gym-server where that finds it. Every seed is played on three
sides, with the same policy:

  swift-gym          environments of the server;
  Gymnasium          Gymnasium's own, a fresh one for each episode;
  Gymnasium, reused  BipedalWalker alone: one environment for all episodes. It keeps Box2D's world from one to the next,
                     which changes the order of contacts: see docs/environments-rigid-body.md.

The policies: random; zero actions; sinusoidal gaits (for LunarLander one engine after the other); full motors, or the
main engine; the heuristic that comes with Gymnasium's environment.

Prints a table. Exits with 1 unless, beside fresh environments, mean return and mean length are within two standard
errors of swift-gym's and the shares of ends (failed, rest, goal, time) are the same. Counts the episodes whose
observations, rewards and ends are equal to the bit. What differs by more than two standard errors beside a reused
environment is printed and does not count: by as much Gymnasium differs from itself.
"""

import argparse
import collections
import multiprocessing
import os
import sys
import zlib

# This script's folder is on the path first, and the client in this checkout goes before any that is installed.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients", "python"))
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import gymnasium
import numpy as np
from gymnasium.envs.box2d.bipedal_walker import BipedalWalkerHeuristics
from gymnasium.envs.box2d.lunar_lander import heuristic as land

import swift_gym  # noqa: F401  registers SwiftGym/…

POLICIES = ["random", "zero", "gait", "full", "heuristic"]
WIND = {"enable_wind": True}
CASES = [
    ("BipedalWalker-v3", {}),
    ("BipedalWalkerHardcore-v3", {}),
    ("LunarLander-v3", {}),
    ("LunarLander-v3", WIND),
    ("LunarLanderContinuous-v3", {}),
    ("LunarLanderContinuous-v3", WIND),
]
SIDES = ["swift-gym", "Gymnasium", "Gymnasium, reused"]


def sides(id):
    """LunarLander-v3 makes a new world in every reset: used again or fresh is the same."""
    return SIDES if id.startswith("Bipedal") else SIDES[:2]


Episode = collections.namedtuple("Episode", "total length end checksum")


class Policy:
    """Actions that depend on the seed, the step and the observation alone."""

    def __init__(self, name, environment, seed):
        self.name = name
        self.space = environment.action_space
        self.rng = np.random.default_rng(seed + 1_000_000)
        self.frequency = self.rng.uniform(0.05, 0.4)
        self.phases = self.rng.uniform(0, 2 * np.pi, 4)
        self.held = None
        self.walk = BipedalWalkerHeuristics().step_heuristic if environment.observation_space.shape == (24,) else None

    # What the lander's heuristic asks an environment for.
    unwrapped = property(lambda self: self)
    continuous = property(lambda self: isinstance(self.space, gymnasium.spaces.Box))

    def action(self, step, observation):
        if self.name == "heuristic":
            action = self.walk(observation) if self.walk else land(self, observation)
            return np.asarray(action, np.float32) if self.continuous else int(action)
        if not self.continuous:
            if self.name == "random":
                return int(self.rng.integers(self.space.n))
            return {"zero": 0, "gait": 1 + step // 10 % 3, "full": 2}[self.name]
        count = self.space.shape[0]
        if self.name == "random":
            return self.rng.uniform(-1, 1, count).astype(np.float32)
        if self.name == "zero":
            return np.zeros(count, np.float32)
        if self.name == "gait":
            return np.sin(self.frequency * step + self.phases[:count]).astype(np.float32)
        if step % 20 == 0:
            self.held = self.rng.choice(np.array([-1, 1], np.float32), count)
        return self.held


def play(environment, policy, seed):
    """One episode; its checksum is over every observation, reward and end."""
    policy = Policy(policy, environment, seed)
    observation, _ = environment.reset(seed=seed)
    checksum = zlib.crc32(np.asarray(observation, np.float32).tobytes())
    total, step = 0.0, 0
    while True:
        observation, reward, terminated, truncated, _ = environment.step(policy.action(step, observation))
        total += float(reward)
        step += 1
        checksum = zlib.crc32(np.asarray(observation, np.float32).tobytes(), checksum)
        checksum = zlib.crc32(np.float64(reward).tobytes() + bytes([terminated, truncated]), checksum)
        if terminated or truncated:
            end = {-100: "failed", 100: "rest"}.get(float(reward), "goal") if terminated else "time"
            return Episode(total, step, end, checksum)


def play_seeds(side, id, options, policy, seeds):
    """The episodes of one row of the table."""
    make = lambda: gymnasium.make(("SwiftGym/" if side == "swift-gym" else "") + id, disable_env_checker=True, **options)  # noqa: E731
    episodes = []
    environment = make()
    for seed in range(seeds):
        if side == "Gymnasium" and seed > 0:
            environment.close()
            environment = make()
        episodes.append(play(environment, policy, seed))
    environment.close()
    return episodes


def shares(episodes):
    return {end: count / len(episodes) for end, count in sorted(collections.Counter(e.end for e in episodes).items())}


def deviations(ours, theirs, is_exact):
    """What does not hold of two rows; an empty list when all does."""
    found = []
    for field in ("total", "length"):
        a, b = (np.array([getattr(e, field) for e in side], float) for side in (ours, theirs))
        allowed = 2 * np.sqrt((a.var() + b.var()) / len(a))
        if abs(a.mean() - b.mean()) > allowed:
            found.append(f"mean {field} off by {abs(a.mean() - b.mean()):.3g}, allowed {allowed:.3g}")
    mine, other = shares(ours), shares(theirs)
    for end in sorted(set(mine) | set(other)):
        p, q = mine.get(end, 0), other.get(end, 0)
        allowed = 0 if is_exact else 2 * np.sqrt((p * (1 - p) + q * (1 - q)) / len(ours))
        if abs(p - q) > allowed:
            found.append(f"share of '{end}' off by {abs(p - q):.3g}, allowed {allowed:.3g}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--only", default="", help="only environments whose id has this in it")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    cases = [(id, options) for id, options in CASES if arguments.only in id]
    rows = [(side, id, options, policy) for id, options in cases for policy in POLICIES for side in sides(id)]
    print(f"gymnasium {gymnasium.__version__}, {arguments.seeds} seeds; returns and lengths as mean ± deviation")
    print(f"{'environment':29} {'policy':9} {'side':18} {'return':>18} {'length':>16}  equal to the bit  ends")
    failed = equal = pairs = 0
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        pending = [pool.apply_async(play_seeds, (*row, arguments.seeds)) for row in rows]
        for (side, id, options, policy), result in zip(rows, pending):
            episodes = result.get()
            if side == SIDES[0]:
                ours = episodes
            same = sum(a.checksum == b.checksum for a, b in zip(ours, episodes))
            totals, lengths = np.array([e.total for e in episodes]), np.array([e.length for e in episodes])
            ends = ", ".join(f"{end} {share:.1%}" for end, share in shares(episodes).items())
            name = id + (" wind" if options else "")
            print(
                f"{name:29} {policy:9} {side:18} {totals.mean():9.2f} ± {totals.std():6.2f} "
                f"{lengths.mean():8.1f} ± {lengths.std():5.1f}  {'' if side == SIDES[0] else same:>16}  {ends}",
                flush=True,
            )
            if side == SIDES[1]:
                equal += same
                pairs += len(episodes)
            for deviation in deviations(ours, episodes, is_exact=side == SIDES[1]):
                failed += side == SIDES[1]
                print(f"    {'OFF' if side == SIDES[1] else 'Gymnasium beside itself'}: {deviation}", flush=True)
    print(f"beside fresh environments, {equal} of {pairs} episodes are equal to the bit, {pairs - equal} are not")
    print("beside fresh environments all checks hold" if failed == 0 else f"{failed} checks do not hold")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
