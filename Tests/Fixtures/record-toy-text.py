"""Records what Gymnasium's environments of toy text do, over many seeds and options, as digests.

    pip install gymnasium==1.4.0
    python3 Tests/Fixtures/record-toy-text.py

writes toy-text.json.gz beside itself: cases of an id, Gymnasium's options as ours are called, the policy of the
actions, and for each seed from 0 on the digest after 20 steps and after all. A digest takes in observations, rewards,
flags and info of every step and of every reset, which after the first is unseeded; where there is a text to be seen,
that too.
"""

import gzip
import json
import pathlib
import struct

import gymnasium
import numpy as np
from gymnasium.envs.toy_text.frozen_lake import generate_random_map

SEEDS = 30
STEPS = 300
FIRST = 20
MASK = 2**64 - 1


class Digest:
    """FNV-1a over words of 64 bits."""

    def __init__(self):
        self.value = 0xCBF29CE484222325

    def add(self, word):
        self.value = ((self.value ^ (word & MASK)) * 0x100000001B3) & MASK

    def add_number(self, number):
        self.add(struct.unpack("<Q", struct.pack("<d", float(number)))[0])

    def add_step(self, observation, info):
        for part in observation if isinstance(observation, tuple) else (observation,):
            self.add(int(part))
        if "prob" in info:
            self.add_number(info["prob"])
        for bit in info.get("action_mask", ()):
            self.add(int(bit))

    def add_text(self, text):
        for byte in text.encode():
            self.add(byte)


def record(id, seed, kwargs, policy):
    modes = gymnasium.spec(id).entry_point
    mode = "ansi" if "blackjack" not in modes else None
    env = gymnasium.make(id, render_mode=mode, disable_env_checker=True, **kwargs)
    actions = np.random.default_rng(10_000 + seed)
    digest = Digest()

    def look(observation, info):
        digest.add_step(observation, info)
        if mode is not None:
            digest.add_text(env.render())

    observation, info = env.reset(seed=seed)
    look(observation, info)
    values = []
    for step in range(STEPS):
        if policy == "mask":
            allowed = np.flatnonzero(info["action_mask"])
            action = int(allowed[actions.integers(len(allowed))])
        else:
            action = int(actions.integers(env.action_space.n))
        observation, reward, terminated, truncated, info = env.step(action)
        look(observation, info)
        digest.add_number(reward)
        digest.add(2 * terminated + truncated)
        if terminated or truncated:
            observation, info = env.reset()
            look(observation, info)
        if step + 1 in (FIRST, STEPS):
            values.append(f"{digest.value:016x}")
    return values


CASES = []


def case(id, kwargs=None, policy="any", ours=None):
    kwargs = kwargs or {}
    digests = [record(id, seed, kwargs, policy) for seed in range(SEEDS)]
    CASES.append({"id": id, "kwargs": kwargs if ours is None else ours, "policy": policy, "digests": digests})
    print(id, kwargs, policy)


lake = "FrozenLake-v1"
case(lake)
case("FrozenLake8x8-v1")
case("FrozenLake8x8-v1", {"map_name": "4x4"})
for name in ("4x4", "8x8"):
    case(lake, {"map_name": name, "is_slippery": False})
    for rate in (0.0, 0.1, 0.5, 0.7, 0.8, 0.9, 1.0):
        case(lake, {"map_name": name, "success_rate": rate})
case(lake, {"reward_schedule": [10, -5, -0.1], "success_rate": 0.6})
for desc in (
    ["SFG"], ["SS", "GH"], ["SFS", "FHF", "SGS"], ["SSS", "SSS", "SGH"],
    ["SFFFFFFFFFFFFFFFFFFG"], ["FFF", "FSF", "FFF"], ["SSSSSSS", "HFFFFFG"], ["HFSFH", "GSHSG", "SSSSS"],
):
    case(lake, {"desc": desc})
for size, p, seed in ((8, 0.8, 0), (2, 0.8, 1), (4, 0.5, 2), (5, 0.3, 3), (12, 0.7, 4), (9, 1.0, 5), (16, 0.6, 6)):
    case(
        lake, {"desc": generate_random_map(size=size, p=p, seed=seed)},
        ours={"map_name": "random", "map_size": size, "map_p": p, "map_seed": seed})

case("CliffWalking-v1")
case("CliffWalking-v1", {"is_slippery": True})
case("CliffWalkingSlippery-v1")
case("CliffWalkingSlippery-v1", {"is_slippery": False})

taxi = "Taxi-v4"
for policy in ("any", "mask"):
    case(taxi, policy=policy)
    for kwargs in (
        {"is_rainy": True}, {"is_rainy": True, "rainy_probability": 0.5}, {"is_rainy": True, "rainy_probability": 0.0},
        {"is_rainy": True, "rainy_probability": 1.0}, {"is_rainy": True, "rainy_probability": 0.9},
        {"fickle_passenger": True}, {"fickle_passenger": True, "fickle_probability": 1.0},
        {"fickle_passenger": True, "fickle_probability": 0.0},
        {"fickle_passenger": True, "fickle_probability": 0.7, "is_rainy": True, "rainy_probability": 0.6},
    ):
        case(taxi, kwargs, policy)

for kwargs in ({}, {"natural": True}, {"sab": False}, {"sab": False, "natural": True}):
    case("Blackjack-v1", kwargs)

versions = {"gymnasium": gymnasium.__version__, "numpy": np.__version__}
text = json.dumps({"versions": versions, "steps": STEPS, "first": FIRST, "cases": CASES})
with gzip.GzipFile(pathlib.Path(__file__).parent / "toy-text.json.gz", "wb", mtime=0) as file:
    file.write(text.encode())
