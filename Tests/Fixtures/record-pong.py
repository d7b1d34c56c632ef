"""Records games of the Arcade Learning Environment at difficulties 1 to 3, which the golden traces lack.

    pip install ale-py==0.12.1
    python3 Tests/Fixtures/record-pong.py

writes pong-difficulty-traces.json.gz beside itself, in the format of golden/. Positions are read from the console's
memory; no picture and nothing of the program is kept.
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


def record(seed, difficulty, fire_probability, frames):
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", seed)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.setInt("frame_skip", 1)
    ale.loadROM(ale_py.roms.get_rom_path("pong"))
    ale.setDifficulty(difficulty)
    ale.reset_game()
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


traces = [
    record(10 * difficulty + index, difficulty, fire_probability, 3000)
    for difficulty in (1, 2, 3) for index, fire_probability in enumerate((0.3, 1.0))
]
content = {"versions": {"ale-py": "0.12.1"}, "columns": ["frame", "ale_action", *COLUMNS, "reward"], "traces": traces}
with gzip.GzipFile(pathlib.Path(__file__).with_name("pong-difficulty-traces.json.gz"), "wb", mtime=0) as file:
    file.write(json.dumps(content, separators=(",", ":")).encode())
