"""Pong beside the Arcade Learning Environment: score distributions, pictures and speed, in one run on one core.

    pip install gymnasium==1.4.0 ale-py==0.12.1 numpy
    swift build -c release --product pong-bench
    python3 Benchmarks/pong.py [--bench .build/release/pong-bench] [--games 50]

Both sides play ALE/Pong-v5's defaults (frameskip 4, repeat_action_probability 0.25) with the same policies: `still`
does nothing, `random` draws each action, `track` keeps the paddle's middle at the ball's. Exit code 0 when the means
agree within two standard errors of their difference and the speeds are at least 30 times (rgb) and 60 times
(difference) the emulator's.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time

import ale_py
import gymnasium
import numpy as np

POLICIES = ("still", "random", "track")
# ALE's numbers of the six actions.
ALE_ACTIONS = (0, 1, 3, 4, 11, 12)
BALL_Y, PLAYER_Y = 54, 51


def track(ram):
    if ram[BALL_Y] == 0:
        return 0
    below = int(ram[BALL_Y]) - int(ram[PLAYER_Y]) - 6
    return 3 if below > 6 else 2 if below < -6 else 0


def ale_games(policy, count, seed):
    environment = gymnasium.make("ALE/Pong-v5", obs_type="ram")
    generator = np.random.default_rng(seed)
    games = []
    for game in range(count):
        ram, _ = environment.reset(seed=seed + game)
        points = [0, 0]
        steps = 0
        ended = False
        while not ended:
            action = {"still": lambda: 0, "random": lambda: int(generator.integers(6)), "track": lambda: track(ram)}
            ram, reward, terminated, truncated, _ = environment.step(action[policy]())
            points[0] += reward > 0
            points[1] += reward < 0
            steps += 1
            ended = terminated or truncated
        games.append((*points, steps))
    return np.array(games, float)


def our_games(bench, policy, count, seed):
    output = subprocess.run([bench, "games", policy, str(count), str(seed)], check=True, capture_output=True, text=True)
    return np.array([line.split() for line in output.stdout.splitlines()], float)


def ale_speed(seconds, render):
    """Frames a second of the emulator alone, frameskip 4, the screen fetched after each step if asked for."""
    ale = ale_py.ALEInterface()
    ale.setInt("frame_skip", 4)
    ale.setFloat("repeat_action_probability", 0.25)
    ale.loadROM(ale_py.roms.get_rom_path("pong"))
    ale.reset_game()
    screen = np.empty((210, 160, 3), np.uint8)
    generator = np.random.default_rng(0)
    actions = [ALE_ACTIONS[index] for index in generator.integers(6, size=4096)]
    start = time.perf_counter()
    steps = 0
    while time.perf_counter() - start < seconds:
        ale.act(actions[steps % 4096])
        if render:
            ale.getScreenRGB(screen)
        steps += 1
        if ale.game_over():
            ale.reset_game()
    return 4 * steps / (time.perf_counter() - start)


def gymnasium_speed(seconds):
    environment = gymnasium.make("ALE/Pong-v5")
    environment.reset(seed=0)
    generator = np.random.default_rng(0)
    actions = generator.integers(6, size=4096)
    start = time.perf_counter()
    steps = 0
    while time.perf_counter() - start < seconds:
        _, _, terminated, truncated, _ = environment.step(actions[steps % 4096])
        steps += 1
        if terminated or truncated:
            environment.reset()
    return 4 * steps / (time.perf_counter() - start)


def our_speed(bench, observation, environments, seconds):
    output = subprocess.run(
        [bench, "speed", observation, str(environments), str(seconds)], check=True, capture_output=True, text=True)
    return float(output.stdout)


def picture_agreement(bench, frames):
    """The share of frames whose every pixel agrees, and the most pixels that differ in one."""
    generator = np.random.default_rng(1)
    actions = np.repeat(generator.integers(6, size=frames), generator.integers(1, 20, size=frames))[:frames]
    output = subprocess.run(
        [bench, "frames", "rgb"], input=actions.astype(np.uint8).tobytes(), check=True, capture_output=True)
    ours = np.frombuffer(output.stdout, np.uint8).reshape(-1, 210, 160, 3)
    ale = ale_py.ALEInterface()
    ale.setInt("frame_skip", 1)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(ale_py.roms.get_rom_path("pong"))
    ale.reset_game()
    wrong = []
    for index, action in enumerate(actions):
        ale.act(ALE_ACTIONS[action])
        wrong.append(int((ale.getScreenRGB() != ours[index]).any(-1).sum()))
        if ale.game_over():
            break
    return float(np.mean(np.array(wrong) == 0)), max(wrong), len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", default=".build/release/pong-bench")
    parser.add_argument("--games", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)
    good = True
    print(f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, ale-py {ale_py.__version__}, "
          f"{arguments.games} games each\n")

    print("| policy | quantity | ALE | ours | difference in standard errors |")
    print("|---|---|---|---|---|")
    for policy in POLICIES:
        theirs = ale_games(policy, arguments.games, 1000)
        ours = our_games(arguments.bench, policy, arguments.games, 1000)
        for name, values in (
            ("player's points", (theirs[:, 0], ours[:, 0])), ("opponent's points", (theirs[:, 1], ours[:, 1])),
            ("return", (theirs[:, 0] - theirs[:, 1], ours[:, 0] - ours[:, 1])), ("steps", (theirs[:, 2], ours[:, 2])),
        ):
            error = np.sqrt(sum(value.var(ddof=1) / len(value) for value in values))
            gap = abs(values[0].mean() - values[1].mean())
            distance = gap / error if error > 0 else (0.0 if gap == 0 else np.inf)
            if name == "return":
                good &= bool(distance <= 2)
            columns = " | ".join(f"{value.mean():.2f} ± {value.std(ddof=1):.2f}" for value in values)
            print(f"| {policy} | {name} | {columns} | {distance:.2f} |", flush=True)

    share, worst, frames = picture_agreement(arguments.bench, 3000)
    print(f"\nPictures: {100 * share:.1f} % of {frames} frames agree in every pixel; at most {worst} pixels differ.\n")

    speeds = {
        "ALE, act only": ale_speed(arguments.seconds, False), "ALE, act and screen": ale_speed(arguments.seconds, True),
        "ALE/Pong-v5 through Gymnasium": gymnasium_speed(arguments.seconds),
    }
    emulator = max(speeds.values())
    for observation in ("rgb", "grayscale", "stack", "difference", "state"):
        speeds[f"ours, {observation}, 16 environments"] = our_speed(
            arguments.bench, observation, 16, arguments.seconds)
    print("| what | frames a second | times the fastest ALE |")
    print("|---|---|---|")
    for name, speed in speeds.items():
        print(f"| {name} | {speed:,.0f} | {speed / emulator:.1f} |")
    good &= speeds["ours, rgb, 16 environments"] >= 30 * emulator
    good &= speeds["ours, difference, 16 environments"] >= 60 * emulator
    sys.exit(0 if good else 1)


main()
