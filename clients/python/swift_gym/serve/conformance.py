"""The environments that ``gym-conformance`` checks a server with, as Gymnasium environments.

``python -m swift_gym.serve --socket PATH swift_gym.serve.conformance:conformance/Counter-v0 …``. What each does is
written down in ``Sources/ConformanceEnvironments``.
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

__all__ = ["IDS", "Counter", "Echo", "Fault", "Slow"]

_LARGEST = 2**31 - 1


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; it has to be a whole number from {low} to {high}")
    return value


class Counter(gymnasium.Env[Any, Any]):
    """Counts its steps, so that each answer in each autoreset mode can be written down beforehand."""

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 10, "choices": {"rewards": ("one", "count")}}
    observation_space = spaces.Box(0, _LARGEST, (2,), np.int64)
    action_space = spaces.Discrete(2)

    def __init__(
        self,
        limit: int = 3,
        cut: int = 0,
        rewards: str = "one",
        scale: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        self.limit = _whole("limit", limit, 1, _LARGEST)
        self.cut = _whole("cut", cut, 0, _LARGEST)
        if rewards not in ("one", "count"):
            raise ValueError(f"rewards is {rewards!r}; it has to be 'one' or 'count'")
        if not -100 <= scale <= 100:
            raise ValueError(f"scale is {scale}; it has to be from -100 to 100")
        self.rewards = rewards
        self.scale = float(scale)
        self.render_mode = render_mode
        self.count = 0
        self.draw = 0

    def _observation(self) -> Any:
        return np.array([self.count, self.draw])

    def _info(self, action: int | None = None) -> dict[str, Any]:
        info: dict[str, Any] = {"count": self.count}
        if action is not None:
            info["action"] = action
        if self.count % 2 == 0:
            info["even"] = f"{self.count} is even"
        return info

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts with the count that the option ``start`` says."""
        super().reset(seed=seed)
        self.count = _whole("start", ({} if options is None else options).get("start", 0), 0, _LARGEST)
        self.draw = int(self.np_random.integers(0, _LARGEST))
        return self._observation(), self._info()

    def step(self, action: Any) -> Any:
        """Counts."""
        self.count += 1
        reward = self.scale * (self.count if self.rewards == "count" else 1)
        truncated = 0 < self.cut <= self.count
        return self._observation(), reward, self.count >= self.limit, truncated, self._info(int(action))

    def render(self) -> Any:
        """Six pixels, or a line of text, that show count and draw."""
        if self.render_mode == "ansi":
            return f"count {self.count} draw {self.draw}"
        pixels = [[self.count & 0xFF, self.draw & 0xFF, index] for index in range(6)]
        return np.array(pixels, np.uint8).reshape(2, 3, 3)


def _echo_spaces() -> dict[str, spaces.Space[Any]]:
    whole = {
        name: spaces.Box(np.iinfo(name).min, np.iinfo(name).max, (2, 3), np.dtype(name).type)
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    }
    real = {name: spaces.Box(-1, 1, (2, 3), np.dtype(name).type) for name in ("float16", "float32", "float64")}
    return {
        "bool": spaces.Box(np.array([False, False, True]), np.array([True, False, True]), dtype=np.bool_),
        **whole,
        **real,
        "unbounded": spaces.Box(np.array([-np.inf, 0, -np.inf]), np.array([np.inf, np.inf, 0]), None, np.float64),
        "element-bounds": spaces.Box(np.array([-1, 0, 5], np.float32), np.array([1, 0, 6], np.float32)),
        "scalar": spaces.Box(-2, 2, ()),
        "discrete": spaces.Discrete(5),
        "discrete-start": spaces.Discrete(4, start=-2),
        "multi-discrete": spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]), start=np.array([[0, -1], [10, 0]])),
        "multi-binary": spaces.MultiBinary([2, 3]),
        "text": spaces.Text(8, min_length=1, charset="abcäß日本"),
        # Beyond the first plane, and one that combines: what counts is code points.
        "text-wide": spaces.Text(4, min_length=1, charset="a😀𝄞e\u0301"),
        "dict": spaces.Dict([("speed", spaces.Box(0, 1, (2,))), ("gear", spaces.Discrete(3))]),
        "tuple": spaces.Tuple([spaces.Discrete(2), spaces.Box(-5, 5, (3,), np.int8), spaces.MultiBinary(4)]),
        "nested": spaces.Tuple(
            [
                spaces.Dict(
                    [
                        ("b", spaces.Discrete(2)),
                        ("a", spaces.Tuple([spaces.MultiBinary(2), spaces.Discrete(3)])),
                    ]
                ),
                spaces.Box(0, 255, (2, 2, 3), np.uint8),
            ]
        ),
        "sequence": spaces.Sequence(spaces.Box(0, 1, (2,))),
        "graph": spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Discrete(3)),
        "graph-plain": spaces.Graph(spaces.Discrete(4), None),
        "one-of": spaces.OneOf(
            [spaces.Discrete(3), spaces.Box(0, 1, (2,), np.float64), spaces.Text(3, min_length=0, charset="xyz")]
        ),
        "mixed": spaces.Dict([("number", spaces.Discrete(3)), ("name", spaces.Text(4, min_length=0, charset="ab"))]),
    }


class Echo(gymnasium.Env[Any, Any]):
    """Observes the last action, in any space and dtype."""

    metadata = {"render_modes": [], "choices": {"space": tuple(_echo_spaces())}}

    def __init__(self, space: str = "float32") -> None:
        known = _echo_spaces()
        if space not in known:
            raise ValueError(f"space is {space!r}; it has to be one of {', '.join(known)}")
        self.observation_space = known[space]
        self.action_space = _echo_spaces()[space]
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts with a member drawn from the space."""
        super().reset(seed=seed)
        self.steps = 0
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        """Says the action back."""
        self.steps += 1
        return action, float(self.steps), False, False, {}


class Fault(gymnasium.Env[Any, Any]):
    """Fails when it is told to."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = spaces.Box(0, 1000, (1,), np.int64)
    action_space = spaces.Discrete(3)

    def __init__(
        self, at: int = 0, limit: int = 0, make: bool = False, render: bool = False, render_mode: str | None = None
    ) -> None:
        if make:
            raise RuntimeError("it was told not to be made")
        self.at = _whole("at", at, 0, 1000)
        self.limit = _whole("limit", limit, 0, 1000)
        self.fails_to_render = render
        self.render_mode = render_mode
        self.count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts, fails (``fail``), or leaves the observation space (``outside``)."""
        super().reset(seed=seed)
        self.count = 0
        options = {} if options is None else options
        # Looked for before anything is done, so that a server which looks on knows both.
        fails, is_outside = options.get("fail", False), options.get("outside", False)
        if fails:
            raise RuntimeError("it was told to fail in reset")
        return np.array([-1 if is_outside else 0]), {"count": 0}

    def step(self, action: Any) -> Any:
        """Counts, fails (1), or leaves the observation space (2)."""
        self.count += 1
        if action == 1 or self.count == self.at:
            raise RuntimeError(f"it was told to fail at step {self.count}")
        observation = np.array([-self.count if action == 2 else self.count])
        return observation, 1.0, 0 < self.limit <= self.count, False, {"count": self.count}

    def render(self) -> Any:
        """One pixel, or a failure."""
        if self.fails_to_render:
            raise RuntimeError("it was told to fail in render")
        return np.full((1, 1, 3), self.count & 0xFF, np.uint8)


class Slow(gymnasium.Env[Any, Any]):
    """Takes the milliseconds that it is told to take."""

    observation_space = spaces.Box(0, _LARGEST, (1,), np.int64)
    action_space = spaces.Discrete(2001)

    def __init__(self, make_milliseconds: int = 0) -> None:
        time.sleep(_whole("make_milliseconds", make_milliseconds, 0, 2000) / 1000)
        self.count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts after the milliseconds of the option of that name."""
        super().reset(seed=seed)
        milliseconds = ({} if options is None else options).get("milliseconds", 0)
        time.sleep(_whole("milliseconds", milliseconds, 0, 2000) / 1000)
        self.count = 0
        return np.array([0]), {}

    def step(self, action: Any) -> Any:
        """Takes as many milliseconds as the action says."""
        time.sleep(int(action) / 1000)
        self.count += 1
        return np.array([self.count]), 1.0, False, False, {}

    def __reduce__(self) -> Any:
        """Refuses to be saved: to find out whether it can be, a server would step it, which takes its time."""
        raise TypeError("conformance/Slow-v0 has no states")


IDS = tuple(f"conformance/{entry.__name__}-v0" for entry in (Counter, Echo, Fault, Slow))

for _id in IDS:
    gymnasium.register(_id, f"{__name__}:{_id[len('conformance/') : -len('-v0')]}", order_enforce=False)
