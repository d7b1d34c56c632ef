"""Environments that the tests serve: every space, info of every kind, failures on request."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

FIXED = spaces.Dict(
    {
        "box": spaces.Box(-1, 1, (2, 3), np.float32),
        "image": spaces.Box(0, 255, (4, 5, 3), np.uint8),
        "wide": spaces.Box(np.array([-np.inf, 0.0]), np.array([np.inf, 9.0]), dtype=np.float64),
        "half": spaces.Box(-2, 2, (), np.float16),
        "whole": spaces.Box(-5, 5, (2,), np.int32),
        "discrete": spaces.Discrete(4, start=-1),
        "nested": spaces.Tuple([spaces.MultiDiscrete([3, 4]), spaces.MultiBinary(3), spaces.MultiBinary([2, 2])]),
        "started": spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]), start=np.array([[1, 0], [-1, 2]])),
    }
)
RAGGED = spaces.Dict(
    {
        "text": spaces.Text(8, min_length=0, charset="abcdé"),
        "sequence": spaces.Sequence(spaces.Box(0, 1, (2,), np.float32)),
        "stacked": spaces.Sequence(spaces.Discrete(5), stack=True),
        "graph": spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Discrete(3)),
        "edgeless": spaces.Graph(spaces.Discrete(4), None),
        "one_of": spaces.OneOf([spaces.Discrete(3), spaces.Box(0, 1, (2,)), spaces.Text(3)]),
        "deep": spaces.Sequence(spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Tuple([spaces.Text(3)])})),
    }
)
EVERYTHING = spaces.Dict({"fixed": FIXED, "ragged": RAGGED})


class Everything(gymnasium.Env[Any, Any]):
    """Echoes its action, which is in a space of all spaces."""

    observation_space = EVERYTHING
    action_space = EVERYTHING

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(1 << 30)))
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return action, 0.0, False, False, {}


class Counter(gymnasium.Env[Any, Any]):
    """Counts its steps up to a limit; with action k the count grows by k. Its info has every kind of value."""

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 10}
    action_space = spaces.Box(0, 9, (1,), np.int64)
    observation_space = spaces.Box(0, 1000, (1,), np.int64)

    def __init__(self, limit: int = 3, fail_at: int = -1, render_mode: str | None = None) -> None:
        self.limit = limit
        self.fail_at = fail_at
        self.render_mode = render_mode
        self.count = 0

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {
            "count": self.count,
            "half": self.count / 2,
            "is_even": self.count % 2 == 0,
            "array": np.full(2, self.count, np.float32),
            "text": f"at {self.count}",
            "list": [self.count, "x"],
        }
        if self.count % 2:
            info["odd"] = self.count
        return info

    def _observation(self) -> Any:
        return np.array([self.count])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        options = options or {}
        self.count = options.get("start", 0)
        if self.count < 0:
            raise ValueError("start has to be at least 0")
        return self._observation(), self._info()

    def step(self, action: Any) -> Any:
        self.count += int(action[0])
        if self.count == self.fail_at:
            raise RuntimeError("told to fail")
        return self._observation(), float(self.count), self.count >= self.limit, False, self._info()

    def render(self) -> Any:
        if self.render_mode == "ansi":
            return f"count {self.count}"
        return np.full((3, 4, 3), self.count, np.uint8)


class TextEnvironment(gymnasium.Env[Any, Any]):
    """Says back what it is told; its spaces are ragged at the root."""

    observation_space = spaces.Text(10, min_length=0)
    action_space = spaces.Text(10, min_length=0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return "", {}

    def step(self, action: str) -> Any:
        if action == "fail":
            raise RuntimeError("told to fail")
        return action, 1.0, action == "end", False, {}


class Large(gymnasium.Env[Any, Any]):
    """Keeps a megabyte, so that its states have one."""

    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.kept = np.arange(1 << 20, dtype=np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: Any) -> Any:
        return int(action), 0.0, False, False, {}


ENTRIES = (("Everything", Everything), ("Counter", Counter), ("Text", TextEnvironment), ("Large", Large))
for name, entry in ENTRIES:
    gymnasium.register(f"swift_gym_tests/{name}-v0", entry)
