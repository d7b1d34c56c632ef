"""Has the Python client do all that it can with a server that plays hostile conversations to it.

    play.py [--seconds N] [--most COUNT] [--found PREFIX] HOSTILE-SERVER replay FILE...
    play.py [--seconds N] [--most COUNT] [--found PREFIX] HOSTILE-SERVER fuzz SEED FILE...

Ends with an error when the client raises what it does not document, takes too long, or takes too much memory. The
conversation that brought that about is then kept in PREFIX-NUMBER.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np

import swift_gym

# Seconds that one conversation may take: every wait in it is bounded, by a second or two.
HANG = 120
# Bytes of address space that the client may take beyond what it has before the first conversation.
MEMORY = 1 << 30
# What the client's documentation names: all are errors of Gymnasium's.
DOCUMENTED = (gymnasium.error.Error,)


@contextlib.contextmanager
def attempt() -> Iterator[None]:
    """Lets pass what the client documents."""
    with contextlib.suppress(*DOCUMENTED):
        yield


def play(path: str, id: str, count: int, mode: str, transport: str, render_mode: str) -> None:
    """The script of Tests/FuzzSupport/ClientScript.swift, in Python."""
    with attempt(), swift_gym.connect(path, timeout=10) as connection:
        with attempt():
            connection.list()
        with attempt():
            connection.status()
        with attempt():
            connection.ping()
        envs = connection.make_vec(
            id,
            count,
            autoreset_mode={"next_step": "NextStep", "same_step": "SameStep", "disabled": "Disabled"}[mode],
            transport=transport.replace("_", "-"),
            render_mode=None if render_mode == "none" else render_mode,
        )
        try:
            use(envs, count)
        finally:
            with attempt():
                envs.close()
        with attempt():
            connection.status()


def use(envs: swift_gym.VectorEnv, count: int) -> None:
    """Everything that can be done with a batch."""
    envs.action_space.seed(1)

    def step() -> None:
        with attempt():
            envs.step(envs.action_space.sample())

    with attempt():
        envs.reset(seed=1)
    for _ in range(3):
        step()
    with attempt():
        envs.reset(seed=[None, *range(1, count)], options={"reset_mask": np.arange(count) == 0})
    states: list[bytes] = []
    with attempt():
        states = envs.get_state()
    step()
    if states:
        with attempt():
            envs.set_state(states)
        with attempt():
            envs.set_state(states[-1:], [0])
    for _ in range(3):
        step()
    with attempt():
        envs.send(envs.action_space.sample())
        envs.receive(count)
    with attempt():
        envs.render()


def limit_memory() -> None:
    """Has what takes too much memory fail."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))


def main() -> int:
    """Plays until the time is over, or something is found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--most", type=int, default=sys.maxsize)
    parser.add_argument("--found", type=Path)
    parser.add_argument("server")
    parser.add_argument("mode", choices=["replay", "fuzz"])
    parser.add_argument("arguments", nargs="+")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    limit_memory()
    with tempfile.TemporaryDirectory() as folder:
        path, current = f"{folder}/socket", f"{folder}/current"
        if options.mode == "replay":
            files = [Path(file) for file in options.arguments]
            command = [options.server, "replay", path, *options.arguments]
        else:
            files = []
            command = [options.server, "fuzz", options.arguments[0], path, current, *options.arguments[1:]]
        number, problem = 0, None
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            end = time.monotonic() + options.seconds
            for line in server.stdout:
                if time.monotonic() > end or int(number) + 1 >= options.most:
                    break
                number, id, count, mode, transport, render_mode = line.split()
                # Also for what never comes back to Python: the process ends, with its traceback.
                faulthandler.dump_traceback_later(HANG, exit=True)
                try:
                    play(path, id, int(count), mode, transport, render_mode)
                except BaseException as error:
                    problem = error
                    break
                finally:
                    faulthandler.cancel_dump_traceback_later()
            if problem is None and options.mode == "replay" and server.wait(HANG) != 0:
                problem = RuntimeError("the hostile server failed")
            server.kill()
        if problem is None:
            print(f"{int(number) + 1} conversations")
            return 0
        traceback.print_exception(problem)
        culprit = files[int(number)] if files else Path(f"{current}-{number}")
        if options.found:
            kept = f"{options.found}-{number}"
            shutil.copyfile(culprit, kept)
            culprit = Path(kept)
        print(f"conversation {number}, {culprit}, made the client raise {problem!r}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
