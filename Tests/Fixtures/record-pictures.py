"""Records what Gymnasium's pictures look like, ten times smaller and in gray.

    pip install "gymnasium[box2d]==1.4.0" pygame==2.6.1
    python3 Tests/Fixtures/record-pictures.py

writes classic-control-pictures.json.gz and rigid-body-pictures.json.gz beside itself: for each picture the environment,
the seed, the action that is repeated in all its elements, how often, and the means of 10×10 pixels, row by row.
"""

import gzip
import json
import pathlib

import gymnasium
import numpy as np

CLASSIC_CONTROL = [
    ("CartPole-v1", 42, 0, 0), ("CartPole-v1", 1, 1, 7),
    ("Pendulum-v1", 42, 0.0, 0), ("Pendulum-v1", 1, 1.5, 9), ("Pendulum-v1", 2, -2.0, 4),
    ("MountainCar-v0", 42, 1, 0), ("MountainCar-v0", 1, 2, 25),
    ("MountainCarContinuous-v0", 42, 0.0, 0), ("MountainCarContinuous-v0", 1, -1.0, 30),
    ("Acrobot-v1", 42, 1, 0), ("Acrobot-v1", 1, 2, 14),
]
# Without engines: their exhaust flies at random places.
RIGID_BODY = [
    ("BipedalWalker-v3", 42, 0.0, 0), ("BipedalWalker-v3", 1, 0.4, 25), ("BipedalWalker-v3", 2, -0.7, 60),
    ("BipedalWalkerHardcore-v3", 42, 0.0, 0), ("BipedalWalkerHardcore-v3", 7, 0.9, 40),
    ("LunarLander-v3", 42, 0, 0), ("LunarLander-v3", 1, 0, 40), ("LunarLander-v3", 3, 0, 65),
    ("LunarLanderContinuous-v3", 5, 0.0, 50),
]


def record(environment_id, seed, action, steps):
    environment = gymnasium.make(environment_id, render_mode="rgb_array")
    environment.reset(seed=seed)
    for _ in range(steps):
        shape = environment.action_space.shape
        environment.step(np.full(shape, action, np.float32) if isinstance(action, float) else action)
    picture = environment.render().astype(float).mean(axis=2)
    height, width = picture.shape
    small = picture.reshape(height // 10, 10, width // 10, 10).mean(axis=(1, 3))
    return {"environment": environment_id, "seed": seed, "action": action, "steps": steps, "width": width,
            "height": height, "means": small.round(2).ravel().tolist()}


for name, pictures in (("classic-control", CLASSIC_CONTROL), ("rigid-body", RIGID_BODY)):
    content = {"versions": {"gymnasium": gymnasium.__version__}, "pictures": [record(*picture) for picture in pictures]}
    path = pathlib.Path(__file__).with_name(f"{name}-pictures.json.gz")
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(json.dumps(content, separators=(",", ":")).encode())
