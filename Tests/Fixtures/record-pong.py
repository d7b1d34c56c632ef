"""Records games of the Arcade Learning Environment: at difficulties 1 to 3, which the golden traces lack, and how whole
games look.

    pip install ale-py==0.12.1
    python3 Tests/Fixtures/record-pong.py

writes beside itself pong-difficulty-traces.json.gz, in the format of golden/, and pong-pictures.json.gz: games from the
first frame to the 21st point, with a digest of all their screens. Positions are read from the console's memory; no
picture and nothing of the program is kept.
"""

import gzip
import json
import pathlib

import ale_py
import numpy as np

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)

COLUMNS = {
    "ball_x_ram49": 49, "ball_y_ram54": 54, "enemy_y_ram50": 50, "player_y_ram51": 51, "cpu_score": 13,
    "player_score": 14,
}


def tracking_policy(generator, fire_probability):
    """Follows the ball with an offset that changes now and then, so that every zone of the paddle is hit."""
    offset = 4

    def act(ram):
        nonlocal offset
        if ram is None or ram[54] == 0:
            return 0
        if generator.random() < 0.02:
            offset = int(generator.integers(-5, 16))
        below = int(ram[54]) - int(ram[51]) - offset
        action = 4 if below > 5 else 3 if below < -5 else 0
        if generator.random() < fire_probability:
            action = {0: 1, 3: 11, 4: 12}[action]
        return action

    return act


def still_policy(generator):
    return lambda ram: 0


def winning_policy(generator):
    """Fires, and meets the ball with an end of the paddle, so that it leaves fast and steeply."""
    offset = 4

    def act(ram):
        nonlocal offset
        if ram is None or ram[54] == 0:
            return 0
        if generator.random() < 0.05:
            offset = int(generator.choice([-1, 13, 14]))
        below = int(ram[54]) - int(ram[51]) - offset
        return 12 if below > 3 else 11 if below < -3 else 1

    return act


def start(seed, difficulty):
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", seed)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.setInt("frame_skip", 1)
    ale.loadROM(ale_py.roms.get_rom_path("pong"))
    ale.setDifficulty(difficulty)
    ale.reset_game()
    return ale


def record(seed, difficulty, fire_probability, frames):
    ale = start(seed, difficulty)
    policy = tracking_policy(np.random.default_rng(seed), fire_probability)
    rows = []
    ram = None
    for frame in range(frames):
        action = policy(ram)
        reward = ale.act(action)
        ram = ale.getRAM()
        rows.append([frame, action, *(int(ram[byte]) for byte in COLUMNS.values()), int(reward)])
        if ale.game_over():
            break
    return {"name": f"difficulty-{difficulty}-fire-{fire_probability}", "seed": seed, "difficulty": difficulty,
            "rows": rows}


class ScreenDigest:
    """A polynomial over the 64-bit words of all screens, modulo 2**64."""

    FACTOR = 0x9E3779B97F4A7C15

    def __init__(self, bytes):
        powers = [1]
        for _ in range(bytes // 8 - 1):
            powers.append(powers[-1] * self.FACTOR % 2**64)
        self.powers = np.array(powers[::-1], np.uint64)
        self.whole = pow(self.FACTOR, bytes // 8, 2**64)
        self.value = 0

    def add(self, screen):
        words = np.ascontiguousarray(screen).reshape(-1).view("<u8")
        self.value = (self.value * self.whole + int((words * self.powers).sum(dtype=np.uint64))) % 2**64


def record_screens(name, seed, difficulty, make_policy):
    ale = start(seed, difficulty)
    policy = make_policy(np.random.default_rng(seed))
    colors, grays = ScreenDigest(210 * 160 * 3), ScreenDigest(210 * 160)
    colors.add(ale.getScreenRGB())
    grays.add(ale.getScreenGrayscale())
    actions, rewards, digests = "", [], []
    ram = None
    while not ale.game_over():
        action = policy(ram)
        reward = ale.act(action)
        ram = ale.getRAM()
        colors.add(ale.getScreenRGB())
        grays.add(ale.getScreenGrayscale())
        actions += str([0, 1, 3, 4, 11, 12].index(action))
        if reward:
            rewards.append([len(actions), int(reward)])
        if len(actions) % EVERY == 0 or ale.game_over():
            digests.append([f"{colors.value:016x}", f"{grays.value:016x}"])
    print(name, len(actions), "frames, score", int(ram[14]), "to", int(ram[13]))
    return {"name": name, "difficulty": difficulty, "actions": actions, "rewards": rewards, "digests": digests}


# Frames from one digest to the next.
EVERY = 500


def write(name, content):
    with gzip.GzipFile(pathlib.Path(__file__).with_name(name), "wb", mtime=0) as file:
        file.write(json.dumps(content, separators=(",", ":")).encode())


traces = [
    record(10 * difficulty + index, difficulty, fire_probability, 3000)
    for difficulty in (1, 2, 3) for index, fire_probability in enumerate((0.3, 1.0))
]
content = {"versions": {"ale-py": "0.12.1"}, "columns": ["frame", "ale_action", *COLUMNS, "reward"], "traces": traces}
write("pong-difficulty-traces.json.gz", content)

games = [
    record_screens("still", 1, 0, still_policy),
    record_screens("tracking, always fires", 4, 0, lambda generator: tracking_policy(generator, 1.0)),
    record_screens("winning", 5, 0, winning_policy),
    record_screens("winning, small opponent", 16, 1, winning_policy),
    record_screens("tracking, small player", 7, 2, lambda generator: tracking_policy(generator, 0.5)),
    record_screens("tracking, both small", 8, 3, lambda generator: tracking_policy(generator, 0.5)),
]
write("pong-pictures.json.gz", {"versions": {"ale-py": "0.12.1"}, "every": EVERY, "games": games})
