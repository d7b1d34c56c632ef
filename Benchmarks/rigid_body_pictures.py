#!/usr/bin/env python3
"""Pictures of the rigid-body environments beside Gymnasium's, of the same seeds and actions.

Usage: rigid_body_pictures.py [--out FOLDER]

Needs gymnasium[box2d], pillow and the Python client, with a gym-server where that finds it. Prints for each environment
how many pixels have the same colour to within 8 levels, and writes FOLDER/NAME.png (docs/images): swift-gym's picture
on the left, Gymnasium's on the right.
"""

import argparse
import os
import sys

CHECKOUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(CHECKOUT, "clients", "python"))
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import gymnasium
import numpy as np
from PIL import Image

import swift_gym  # noqa: F401  registers SwiftGym/…

# Environment, seed, picture's name; the step of the picture that is kept, of all those compared.
CASES = [
    ("BipedalWalker-v3", 0, "bipedal-walker-beside-gymnasium", 30),
    ("BipedalWalkerHardcore-v3", 7, "bipedal-walker-hardcore-beside-gymnasium", 30),
    ("LunarLander-v3", 3, "lunar-lander-beside-gymnasium", 50),
]
STEPS = 60
TOLERANCE = 8


def pictures(id, seed):
    environment = gymnasium.make(id, render_mode="rgb_array")
    environment.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        yield environment.render()
        if isinstance(environment.action_space, gymnasium.spaces.Discrete):
            # Without the engines, whose exhaust flies at random places.
            action = 0
        else:
            action = rng.uniform(-1, 1, environment.action_space.shape).astype(np.float32)
        _, _, terminated, _, _ = environment.step(action)
        if terminated:
            break
    environment.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(CHECKOUT, "docs", "images"))
    arguments = parser.parse_args()
    for id, seed, name, kept in CASES:
        same, exact, count = 0.0, 0.0, 0
        for step, (ours, theirs) in enumerate(zip(pictures("SwiftGym/" + id, seed), pictures(id, seed))):
            difference = np.abs(ours.astype(int) - theirs).max(axis=2)
            same += (difference <= TOLERANCE).mean()
            exact += (difference == 0).mean()
            count += 1
            if step == kept:
                pair = Image.fromarray(np.concatenate([ours, np.full((400, 8, 3), 128, np.uint8), theirs], axis=1))
                pair = pair.resize((pair.width // 2, pair.height // 2), Image.Resampling.LANCZOS)
                pair.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(
                    os.path.join(arguments.out, name + ".png"), optimize=True
                )
        print(f"{id:26} {count} pictures: {same / count:.1%} of the pixels alike, {exact / count:.1%} equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
