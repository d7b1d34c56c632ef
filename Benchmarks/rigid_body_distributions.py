"""Returns, lengths and ends of the rigid-body environments beside Gymnasium's, over the same seeds and policies.

Usage: rigid_body_distributions.py [seeds]           (default 200; needs gymnasium, box2d and the Python client)

Both sides play each seed with the same policy: random, zero actions, a sinusoidal gait, full motors. Prints a table;
a row is fine when means differ by less than two standard errors and the shares of ends are equal.
"""

import sys

import gymnasium as gym
import numpy as np

import swift_gym  # noqa: F401  registers SwiftGym/…

POLICIES = ["random", "zero", "sinusoid", "full"]
ENVIRONMENTS = ["BipedalWalker-v3", "BipedalWalkerHardcore-v3", "LunarLander-v3", "LunarLanderContinuous-v3"]


def action(space, policy, step, rng, gait):
    if isinstance(space, gym.spaces.Discrete):
        if policy == "random":
            return int(rng.integers(space.n))
        return {"zero": 0, "sinusoid": 1 + step // 10 % 3, "full": 2}[policy]
    if policy == "random":
        return rng.uniform(-1, 1, space.shape).astype(np.float32)
    if policy == "zero":
        return np.zeros(space.shape, np.float32)
    if policy == "sinusoid":
        return np.sin(gait[0] * step + gait[1 : 1 + space.shape[0]]).astype(np.float32)
    return np.sign(rng.uniform(-1, 1, space.shape)).astype(np.float32)


def episode(environment, policy, seed):
    rng = np.random.default_rng(seed + 1_000_000)
    gait = rng.uniform(0.05, 0.4, 5) * np.array([1, 15, 15, 15, 15])
    environment.reset(seed=seed)
    total, step = 0.0, 0
    while True:
        _, reward, terminated, truncated, _ = environment.step(
            action(environment.action_space, policy, step, rng, gait)
        )
        total += float(reward)
        step += 1
        if terminated or truncated:
            end = "time" if not terminated else {-100: "failed", 100: "rest"}.get(round(float(reward)), "goal")
            return total, step, end


def summary(results):
    returns, lengths, ends = zip(*results)
    return np.array(returns), np.array(lengths), {end: ends.count(end) / len(ends) for end in sorted(set(ends))}


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    failed = 0
    print(f"{'environment':26} {'policy':9} {'side':10} {'return':>18} {'length':>16}  ends")
    for id in ENVIRONMENTS:
        for policy in POLICIES:
            sides = {}
            for side, prefix in (("Gymnasium", ""), ("swift-gym", "SwiftGym/")):
                environment = gym.make(prefix + id)
                sides[side] = summary([episode(environment, policy, seed) for seed in range(seeds)])
                environment.close()
                returns, lengths, ends = sides[side]
                print(
                    f"{id:26} {policy:9} {side:10} {returns.mean():9.2f} ± {returns.std():6.2f} "
                    f"{lengths.mean():8.1f} ± {lengths.std():5.1f}  {ends}"
                )
            theirs, ours = sides["Gymnasium"], sides["swift-gym"]
            for index in (0, 1):
                error = 2 * np.sqrt((theirs[index].var() + ours[index].var()) / seeds)
                if abs(theirs[index].mean() - ours[index].mean()) > error:
                    failed += 1
            failed += theirs[2] != ours[2]
    print("all within two standard errors, same ends" if failed == 0 else f"{failed} comparisons are off")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
