"""Environments as a server lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from swift_gym.options import option_from_message
from swift_gym.protocol import messages
from swift_gym.spaces import Room, space_from_message
from swift_gym.tensors import WireError

__all__ = ["EnvironmentSpec", "OptionSpec"]

_AUTORESET_MODES = {
    messages.NEXT_STEP: AutoresetMode.NEXT_STEP,
    messages.SAME_STEP: AutoresetMode.SAME_STEP,
    messages.DISABLED: AutoresetMode.DISABLED,
}


@dataclass(frozen=True)
class OptionSpec:
    """An option that an environment takes when it is made or reset."""

    name: str
    default: Any
    allowed: str
    """What is allowed, for people: ``true or false``."""
    summary: str


@dataclass(frozen=True)
class EnvironmentSpec:
    """An environment as a server lists it."""

    id: str
    summary: str
    max_episode_steps: int | None
    reward_threshold: float | None
    nondeterministic: bool
    render_modes: tuple[str, ...]
    render_fps: float
    options: tuple[OptionSpec, ...]
    reset_options: tuple[OptionSpec, ...]
    autoreset_modes: tuple[AutoresetMode, ...]
    restorable: bool
    """Whether states can be taken and set."""
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]

    @classmethod
    def from_message(cls, message: messages.EnvironmentSpec, room: Room | None = None) -> EnvironmentSpec:
        """The spec that the message describes, with spaces for which there is room.

        Raises:
            WireError: the message makes no sense.

        """

        def options(specs: Any) -> tuple[OptionSpec, ...]:
            return tuple(
                OptionSpec(spec.name, option_from_message(spec.default_value), spec.allowed, spec.summary)
                for spec in specs
            )

        room = room or Room()
        threshold = option_from_message(message.reward_threshold) if message.HasField("reward_threshold") else None
        if threshold is not None and (isinstance(threshold, bool) or not isinstance(threshold, (int, float))):
            raise WireError(f"a reward threshold is {threshold!r:.100}, which is no number")
        return cls(
            id=message.id,
            summary=message.summary,
            max_episode_steps=message.max_episode_steps or None,
            reward_threshold=None if threshold is None else float(threshold),
            nondeterministic=message.nondeterministic,
            render_modes=tuple(message.render_modes),
            render_fps=message.render_fps,
            options=options(message.options),
            reset_options=options(message.reset_options),
            autoreset_modes=tuple(
                _AUTORESET_MODES[mode] for mode in message.autoreset_modes if mode in _AUTORESET_MODES
            ),
            restorable=message.restorable,
            observation_space=space_from_message(message.observation_space, room),
            action_space=space_from_message(message.action_space, room),
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """``render_modes`` and ``render_fps`` as Gymnasium's environments say them."""
        metadata: dict[str, Any] = {"render_modes": list(self.render_modes)}
        if self.render_fps > 0:
            fps = self.render_fps
            metadata["render_fps"] = int(fps) if fps == int(fps) else fps
        return metadata
