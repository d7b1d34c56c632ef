#!/usr/bin/env python3
"""Training by gym-agent, Stable-Baselines3 and SBX (its port to JAX): the same recipe, on this machine, in one run.

Usage: train.py FOLDER_OF_PROGRAMS [--rounds N] [--case NAME]... [--tiny] [--json]

Every contender trains in a process of its own, alone on the machine, and all take turns in each round; medians over the
rounds are compared. Stable-Baselines3 runs on one thread and on two in the first round, and goes on with what was
faster. What is timed is training: not the start of a program, not the final evaluation. SBX compiles while it trains,
and that counts, as its users wait for it; its updates are timed after that.

The recipes are rl-baselines3-zoo's. --tiny does a few steps of each case, to see that all start and end.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIBRARIES = ("Stable-Baselines3", "SBX")


class Case:
    """One recipe, and what this project asks of itself."""

    def __init__(self, algorithm, environment, preset, environments, steps, settings, normalize, aims):
        self.algorithm = algorithm
        self.environment = environment
        # gym-agent's preset of the same recipe; `None`: the environment's own.
        self.preset = preset
        self.environments = environments
        # Steps to train; for updates, how many of them.
        self.steps = steps
        # The peers' keyword arguments. Numbers as `lin_0.001` fall to 0 in a line.
        self.settings = settings
        self.normalize = normalize
        # How many times as fast as each peer it is to be at least.
        self.aims = aims


WALKER = dict(batch_size=256, buffer_size=300_000, learning_starts=10_000, policy_kwargs={"net_arch": [400, 300]})

CASES = {
    "ppo-cartpole": Case(
        "ppo", "CartPole-v1", None, 8, 100_000,
        dict(n_steps=32, batch_size=256, gae_lambda=0.8, gamma=0.98, n_epochs=20, ent_coef=0.0,
             learning_rate="lin_0.001", clip_range="lin_0.2"),
        False, {"Stable-Baselines3": 10, "SBX": 6}),
    # SBX has no A2C.
    "a2c-cartpole": Case("a2c", "CartPole-v1", None, 8, 100_000, dict(), False, {"Stable-Baselines3": 8}),
    "dqn-cartpole": Case(
        "dqn", "CartPole-v1", "CartPole-v1-zoo", 1, 50_000,
        dict(learning_rate=2.3e-3, batch_size=64, buffer_size=100_000, learning_starts=1000, gamma=0.99,
             target_update_interval=10, train_freq=256, gradient_steps=128, exploration_fraction=0.16,
             exploration_final_eps=0.04, policy_kwargs={"net_arch": [256, 256]}),
        False, {"Stable-Baselines3": 5, "SBX": 2.5}),
    "ppo-bipedal": Case(
        "ppo", "BipedalWalker-v3", "BipedalWalker-v3-zoo", 32, 65_536,
        dict(n_steps=2048, batch_size=64, gae_lambda=0.95, gamma=0.999, n_epochs=10, ent_coef=0.0, learning_rate=3e-4,
             clip_range=0.18),
        True, {"Stable-Baselines3": 10}),
    "sac-update": Case(
        "sac", "BipedalWalker-v3", None, 1, 300, dict(WALKER, learning_rate=7.3e-4, gamma=0.98, tau=0.02),
        False, {"Stable-Baselines3": 2, "SBX": 1.25}),
    "td3-update": Case(
        "td3", "BipedalWalker-v3", None, 1, 300, dict(WALKER, learning_rate=1e-3, gamma=0.98),
        False, {"Stable-Baselines3": 2, "SBX": 1.3}),
}  # fmt: skip


# MARK: A peer, in a process of its own


def peer(library, name, count, threads, changes):
    """Trains with a peer.

    Returns: seconds, and steps or updates.
    """
    case = CASES[name]
    import torch

    torch.set_num_threads(threads)
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    algorithms = stable_baselines3 if library == "Stable-Baselines3" else __import__("sbx")
    environments = make_vec_env(case.environment, n_envs=case.environments, seed=0, vec_env_cls=DummyVecEnv)
    if case.normalize:
        environments = VecNormalize(environments, gamma=case.settings["gamma"])
    settings = {key: falling(value) for key, value in {**case.settings, **changes}.items()}
    model = getattr(algorithms, case.algorithm.upper())("MlpPolicy", environments, seed=0, device="cpu", **settings)
    if not name.endswith("-update"):
        start = time.perf_counter()
        model.learn(count)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "count": model.num_timesteps}
    # Random steps fill the replay buffer; then a few updates that are not counted, one call each as in the recipe.
    model.learn(2000)
    for _ in range(10):
        model.train(gradient_steps=1, batch_size=case.settings["batch_size"])
    # The median of as many windows as gym-bench has.
    windows, each = (15, count // 15) if count >= 15 else (1, count)
    seconds = []
    for _ in range(windows):
        start = time.perf_counter()
        for _ in range(each):
            model.train(gradient_steps=1, batch_size=case.settings["batch_size"])
        # JAX computes later than it is asked to, until somebody looks.
        if library == "SBX":
            import jax

            jax.block_until_ready((model.policy.actor_state.params, model.policy.qf_state.params))
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "count": each}


def falling(value):
    if isinstance(value, str) and value.startswith("lin_"):
        initial = float(value[4:])
        return lambda remaining: remaining * initial
    return value


# MARK: All of them in turns


def run_peer(library, name, count, threads, changes):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="")
    command = [sys.executable, __file__, "--peer", library, name, str(count), str(threads), json.dumps(changes)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{library} failed at {name}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_own(programs, name, count, changes):
    case = CASES[name]
    if name.endswith("-update"):
        # 400×300, batch 256, observations and actions of BipedalWalker.
        seconds = "0.01" if count < 100 else "0.1"
        command = [programs / "gym-bench", "update", "--algorithm", case.algorithm, "--seconds", seconds, "--json"]
        rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        (row,) = [r for r in rows if (r["algorithm"], r["network"], r["batch"]) == (case.algorithm, "400x300", 256)]
        return {"seconds": row["update_ms"] / 1e3, "count": 1, "share": row["share"]}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [programs / "gym-agent", "train", case.algorithm, case.environment, "--steps", str(count), "--quiet",
                   "--run", run, "--set", "eval_freq=0"]  # fmt: skip
        for key, value in changes.items():
            command += ["--set", f"{key}={value}"]
        if case.preset:
            command += ["--preset", case.preset]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"gym-agent failed at {name}:\n{done.stderr}")
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return {"seconds": summary["wall_seconds"], "count": summary["steps"]}


def steps(options, name):
    """Steps to train, or updates to time."""
    if options.tiny:
        # Off-policy methods need as many steps as they wait before they learn.
        return {"dqn-cartpole": 1500, "sac-update": 5, "td3-update": 5}.get(name, 2000)
    return CASES[name].steps


def measure(options, name):
    """Seconds for each step or update, by contender."""
    case = CASES[name]
    count = steps(options, name)
    # A rollout of the recipe has 65,536 steps.
    changes = {"n_steps": 16} if options.tiny and name == "ppo-bipedal" else {}
    contenders = [("gym-agent", lambda: run_own(options.programs, name, count, changes))]
    for library in case.aims:
        for threads in (1, 2) if library == "Stable-Baselines3" else (2,):
            label = f"{library}, {threads} thread{'s' * (threads > 1)}" if library != "SBX" else library
            contenders.append(
                (label, lambda library=library, threads=threads: run_peer(library, name, count, threads, changes))
            )
    found = {}
    for _ in range(options.rounds):
        for label, run in contenders:
            result = run()
            found.setdefault(label, []).append(result["seconds"] / result["count"])
            if "share" in result:
                found.setdefault("share", []).append(result["share"])
        slower = slower_peers(found)
        contenders = [(label, run) for label, run in contenders if label not in slower]
    return {label: statistics.median(values) for label, values in found.items()}


def slower_peers(found):
    """Of the ways that a peer was run, all but its fastest."""
    slower = set()
    for library in LIBRARIES:
        ways = [label for label in found if label.startswith(library)]
        slower |= set(sorted(ways, key=lambda label: statistics.median(found[label]))[1:])
    return slower


def show(options, name, medians):
    case = CASES[name]
    what = "update" if name.endswith("-update") else "step"
    print(f"{name}: {case.algorithm} {case.environment}, {steps(options, name):,} {what}s")
    share = medians.pop("share", None)
    own = medians["gym-agent"]
    for label, seconds in medians.items():
        rate = f"{seconds * 1e3:12.3f} ms an update" if what == "update" else f"{1 / seconds:12,.0f} steps/s"
        ratio = "" if label == "gym-agent" else f"{seconds / own:8.2f} times as long"
        print(f"    {label:30s} {rate} {ratio}")
    if options.tiny:
        return
    for library, aim in case.aims.items():
        ratio = min(value for label, value in medians.items() if label.startswith(library)) / own
        print(f"    {ratio:.2f} x {library}'s best; at least {aim} x: {'reached' if ratio >= aim else 'missed'}")
    if share is not None:
        print(f"    {share:.0%} of the time its matrix products alone take; at least 80%")


def main():
    if sys.argv[1:2] == ["--peer"]:
        library, name, count, threads, changes = sys.argv[2:]
        # What libraries print is not the answer.
        answer = os.dup(1)
        os.dup2(2, 1)
        result = peer(library, name, int(count), int(threads), json.loads(changes))
        os.write(answer, (json.dumps(result) + "\n").encode())
        # Not waiting for what libraries do at their end.
        os._exit(0)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=Path, help="the folder of gym-agent and gym-bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one; may be repeated")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = []
    for name in options.case or CASES:
        medians = measure(options, name)
        if options.json:
            report.append({"case": name, "seconds_each": medians})
        else:
            show(options, name, medians)
            sys.stdout.flush()
    if options.json:
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
