#!/usr/bin/env python3
"""A trained walker in swift-gym's environment and in Gymnasium's own, Box2D's, over the same seeds.

Usage: policy_transfer.py RUN… [--episodes N] [--seed S] [--bin FOLDER]

Each RUN is a folder that `gym-agent train … BipedalWalker-v3` left, trained on either side; needs gymnasium[box2d] and
the Python client. To train on Gymnasium's own walker:

    python -m swift_gym.serve --socket /tmp/box2d.sock BipedalWalker-v3
    gym-agent train ppo BipedalWalker-v3 --server unix:/tmp/box2d.sock --steps 3000000 --run RUN

`gym-agent evaluate` plays greedy episodes on three servers: gym-server; Gymnasium's environments, fresh; Gymnasium's
environments that have played two episodes before. Prints mean returns with their standard errors, and how many episodes
have the same return and length to the bit. Exits with 1 when a policy's return in Gymnasium's fresh environments differs
from that here by 5 % or more. Used ones are shown beside them and do not count: by as much Gymnasium differs from itself.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

CHECKOUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(CHECKOUT, "clients", "python"))
ALLOWED_DIFFERENCE = 0.05
ID = "BipedalWalker-v3"


def make_used(**options):
    """Gymnasium's walker after two episodes: it keeps its Box2D world, where shapes are then in another order."""
    from gymnasium.envs.box2d.bipedal_walker import BipedalWalker

    environment = BipedalWalker(**options)
    environment.action_space.seed(12345)
    for seed in (12345, 12346):
        environment.reset(seed=seed)
        for _ in range(300):
            if environment.step(environment.action_space.sample())[2]:
                break
    return environment


def serve(socket, are_used):
    import gymnasium

    from swift_gym.serve.__main__ import main as serve_main

    if are_used:
        gymnasium.registry[ID].entry_point = make_used
    return serve_main(["--socket", socket, "--until-eof", ID])


def evaluate(arguments, run, server):
    command = [os.path.join(arguments.bin, "gym-agent"), "evaluate", run, "--json", "--each"]
    command += ["--episodes", str(arguments.episodes), "--seed", str(arguments.seed)]
    if server:
        command += ["--server", f"unix:{server}"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=100000)
    parser.add_argument("--bin", default=os.path.join(CHECKOUT, ".build", "release"), help="where gym-agent lies")
    arguments = parser.parse_args()

    failed = False
    servers = []
    with tempfile.TemporaryDirectory() as folder:
        sides = {"swift-gym": None}
        try:
            for side, kind in (("Gymnasium", "fresh"), ("Gymnasium, used", "used")):
                sides[side] = os.path.join(folder, kind)
                command = [sys.executable, os.path.abspath(__file__), "--serve", kind, sides[side]]
                servers.append(
                    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                )
                if not servers[-1].stdout.readline().startswith("listening on"):
                    sys.exit("error: Gymnasium's walker could not be served")
            print(f"{ID}, {arguments.episodes} greedy episodes with seeds from {arguments.seed} on")
            for run in arguments.runs:
                print(os.path.basename(os.path.normpath(run)))
                found = {side: evaluate(arguments, run, server) for side, server in sides.items()}
                ours = found["swift-gym"]
                for side, report in found.items():
                    pairs = zip(ours["returns"], ours["lengths"], report["returns"], report["lengths"])
                    same = sum(a == c and b == d for a, b, c, d in pairs)
                    difference = report["mean_return"] / ours["mean_return"] - 1
                    failed = failed or (side == "Gymnasium" and abs(difference) >= ALLOWED_DIFFERENCE)
                    print(
                        f"    {side:16} return {report['mean_return']:8.2f} ± "
                        f"{report['std_return'] / arguments.episodes**0.5:5.2f}  length {report['mean_length']:7.1f}"
                        + (
                            f"  {difference:+6.1%}  {same} of {arguments.episodes} episodes equal to the bit"
                            if side != "swift-gym"
                            else ""
                        ),
                        flush=True,
                    )
        finally:
            for server in servers:
                server.stdin.close()
                server.wait()
    print("a policy's return differs by 5 % or more" if failed else "no policy's return differs by 5 %")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--serve":
        sys.exit(serve(sys.argv[3], sys.argv[2] == "used"))
    sys.exit(main())
