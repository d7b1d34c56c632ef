"""What a server offers: Gymnasium's registrations as the protocol describes them."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import threading
from typing import Any

import gymnasium
from gymnasium import error as gymnasium_error
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector.utils import batch_space

from swift_gym.options import option_to_message
from swift_gym.protocol import messages
from swift_gym.serve.refusal import Refusal
from swift_gym.serve.state import survives
from swift_gym.spaces import space_to_message
from swift_gym.tensors import WireError

__all__ = ["Catalogue", "Entry"]

# What can be sent: pictures and text. The other modes of Gymnasium are screens and lists of these.
_RENDER_MODES = ("rgb_array", "ansi")

# Arguments of an environment that are not options of its own.
_RESERVED = ("self", "render_mode")


class Entry:
    """An environment that is offered."""

    def __init__(self, name: str) -> None:
        """Finds the registration.

        Args:
            name: Gymnasium's id; ``module:ID`` imports the module first.

        Raises:
            gymnasium.error.Error: there is none.

        """
        # Gymnasium imports the module in "module:ID" when it looks for the registration.
        self.spec: EnvSpec = gymnasium.envs.registration._find_spec(name)
        self.id = self.spec.id
        creator: Any = self.spec.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
        self._creator = creator
        metadata = getattr(creator, "metadata", {})
        if not isinstance(metadata, dict):
            metadata = {}
        modes = [mode for mode in metadata.get("render_modes") or [] if mode]
        self.render_modes = tuple(mode for mode in _RENDER_MODES if mode in modes)
        # 30 is what Gymnasium takes where an environment does not say.
        self.render_fps = float(metadata.get("render_fps") or (30 if self.render_modes else 0))
        # What an option may be, where the environment says so; Gymnasium itself has no place for it.
        self.choices: dict[str, tuple[str, ...]] = metadata.get("choices", {})
        self.defaults, self.takes_any_option = self._options()
        self._lock = threading.Lock()
        self._message: messages.EnvironmentSpec | None = None
        self._reset_options: dict[str, Any] = {}
        self._is_restorable = False

    def _options(self) -> tuple[dict[str, Any], bool]:
        """The environment's arguments with their defaults, and whether it takes others, too."""
        defaults: dict[str, Any] = {}
        try:
            parameters = inspect.signature(self._creator).parameters.values()
        except (TypeError, ValueError):
            return dict(self.spec.kwargs), True
        for parameter in parameters:
            if parameter.name in _RESERVED or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            defaults[parameter.name] = None if parameter.default is parameter.empty else parameter.default
        defaults.update(self.spec.kwargs)
        return defaults, any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)

    def check_options(self, options: dict[str, Any]) -> None:
        """Refuses options that the environment does not have."""
        for name, value in options.items():
            detail = messages.ErrorDetail(field=f"options.{name}", got=repr(value))
            if name not in self.defaults:
                if self.takes_any_option and name not in _RESERVED:
                    continue
                known = ", ".join(self.defaults) or "none"
                detail.expected = f"one of: {known}"
                raise Refusal(
                    messages.INVALID_OPTION, f"{self.id} has no option {name!r}; its options: {known}", [detail]
                )
            self.check_kind(f"options.{name}", value, self.defaults[name])

    def resolved(self, options: dict[str, Any]) -> dict[str, str]:
        """Options as they are in force, defaults included, as text: alike where they mean the same (M36)."""
        values = {**self.defaults, **options}
        for name, value in values.items():
            if isinstance(self.defaults.get(name), float) and isinstance(value, int) and not isinstance(value, bool):
                # A whole number is taken where a real one is asked for (M6).
                values[name] = float(value)
        return {name: repr(value) for name, value in values.items()}

    def check_kind(self, field: str, value: Any, default: Any) -> None:
        """Refuses a value of another kind than the default's, as far as that says one."""
        if default is None or isinstance(default, (list, tuple, dict)):
            return
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {
            bool: isinstance(value, bool),
            int: isinstance(value, int) and not isinstance(value, bool),
            float: number,
            str: isinstance(value, str),
        }.get(type(default), True)
        if not fits:
            expected = f"a {type(default).__name__}, such as {default!r}"
            raise Refusal(
                messages.INVALID_OPTION,
                f"{field} of {self.id} is {value!r}; it has to be {expected}",
                [messages.ErrorDetail(field=field, expected=expected, got=repr(value))],
            )

    def make(self, options: dict[str, Any], render_mode: str, max_episode_steps: int | None) -> gymnasium.Env[Any, Any]:
        """One environment, without Gymnasium's wrappers that check the use of it: the server does that.

        Raises:
            Refusal: it cannot be made so.

        """
        if render_mode:
            # Not otherwise: an environment that cannot be rendered need not have the argument.
            options = {**options, "render_mode": render_mode}
        try:
            # The time limit is the server's own (A2), since it needs to know why an episode was cut off.
            return gymnasium.make(
                self.spec,
                disable_env_checker=True,
                max_episode_steps=-1,
                **options,
            )
        except gymnasium_error.DependencyNotInstalled as problem:
            raise Refusal(messages.ENVIRONMENT_FAULT, f"{self.id} cannot be made: {problem}") from None
        except (TypeError, ValueError, AssertionError, KeyError) as problem:
            if not options:
                raise Refusal(messages.ENVIRONMENT_FAULT, f"{self.id} cannot be made: {problem}") from None
            details = [
                messages.ErrorDetail(field=f"options.{name}", got=repr(value)) for name, value in options.items()
            ]
            raise Refusal(
                messages.INVALID_OPTION, f"{self.id} does not take these options: {problem}", details
            ) from None
        except Exception as problem:
            raise Refusal(messages.ENVIRONMENT_FAULT, f"{self.id} cannot be made: {problem}") from None

    def reset_options(self) -> dict[str, Any]:
        """The options that a reset looks for, with what it takes without them where that could be seen.

        Environments do not declare them, so they are found by looking on.
        """
        self.describe()
        return self._reset_options

    def describe(self) -> messages.EnvironmentSpec:
        """The spec, with the spaces of an environment that is made for it once."""
        with self._lock:
            if self._message is None:
                environment = self.make({}, "", None)
                try:
                    self._reset_options = _watched_reset(environment)
                    self._is_restorable = survives(environment)
                    self._message = self.describe_as(environment)
                finally:
                    environment.close()
            return self._message

    def describe_as(self, environment: gymnasium.Env[Any, Any]) -> messages.EnvironmentSpec:
        """The spec, with the spaces of the given environment (M12)."""
        message = messages.EnvironmentSpec(
            id=self.id,
            summary=_summary(self._creator),
            max_episode_steps=self.spec.max_episode_steps or 0,
            nondeterministic=self.spec.nondeterministic,
            render_modes=self.render_modes,
            render_fps=self.render_fps,
            autoreset_modes=[messages.NEXT_STEP, messages.SAME_STEP, messages.DISABLED],
            restorable=self._is_restorable,
        )
        if self.spec.reward_threshold is not None:
            message.reward_threshold.real = self.spec.reward_threshold
        for name, default in self.defaults.items():
            # What the protocol cannot carry as a default is an option all the same; its kind is not known then.
            with contextlib.suppress(TypeError):
                spec = _option_spec(name, default)
                if name in self.choices:
                    spec.allowed = f"one of {', '.join(self.choices[name])}"
                message.options.append(spec)
        for name, default in self._reset_options.items():
            with contextlib.suppress(TypeError):
                message.reset_options.append(_option_spec(name, default))
        message.observation_space.CopyFrom(self.space(environment.observation_space))
        message.action_space.CopyFrom(self.space(environment.action_space))
        return message

    def space(self, space: spaces.Space[Any]) -> messages.Space:
        """The space as a message.

        Raises:
            Refusal: the protocol has no such space.

        """
        try:
            return space_to_message(space)
        except WireError as problem:
            raise Refusal(messages.ENVIRONMENT_FAULT, f"{self.id} cannot be served: {problem}") from None

    def batched_space(self, space: spaces.Space[Any], count: int) -> messages.Space:
        """The space of so many members side by side (T6)."""
        message = messages.Space()
        if isinstance(space, spaces.Dict):
            # Not by batch_space, which sorts the keys; their order is a part of the space (T7).
            message.dict.SetInParent()
            for key, part in space.spaces.items():
                message.dict.entries.add(key=str(key), space=self.batched_space(part, count))
        elif isinstance(space, spaces.Tuple):
            message.tuple.SetInParent()
            message.tuple.spaces.extend(self.batched_space(part, count) for part in space.spaces)
        else:
            return self.space(batch_space(space, count))
        return message


def _option_spec(name: str, default: Any) -> messages.OptionSpec:
    """An option, or a TypeError when the protocol cannot carry its default."""
    spec = messages.OptionSpec(name=name)
    option_to_message(name, "" if default is None else default, spec.default_value)
    spec.allowed = "as the environment takes it" if default is None else f"a {type(default).__name__}"
    return spec


class _WatchedOptions(dict[str, Any]):
    """Empty options that remember what was looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_for: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        self.looked_for.setdefault(str(name), None)
        return False

    def get(self, name: str, default: Any = None) -> Any:
        self.looked_for[name] = default
        return default

    def __missing__(self, name: str) -> Any:
        self.looked_for.setdefault(name, None)
        raise KeyError(name)


def _watched_reset(environment: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    options = _WatchedOptions()
    # One that fails for want of an option has shown that it takes it.
    with contextlib.suppress(Exception):
        environment.reset(seed=0, options=options)
    return options.looked_for


def _summary(creator: Any) -> str:
    lines = (inspect.getdoc(creator) or "").splitlines()
    # The first sentence that is not a heading.
    return next((line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")), "")


class Catalogue:
    """The environments that a server offers."""

    def __init__(self, names: list[str]) -> None:
        """Finds the registrations.

        Raises:
            gymnasium.error.Error: one is unknown.

        """
        self._entries: dict[str, Entry] = {}
        for name in names:
            entry = Entry(name)
            self._entries[entry.id] = entry

    def list(self) -> list[messages.EnvironmentSpec]:
        """All specs (M4)."""
        return [entry.describe() for entry in self._entries.values()]

    def __getitem__(self, id: str) -> Entry:
        if id in self._entries:
            return self._entries[id]
        near = difflib.get_close_matches(id, self._entries, n=3, cutoff=0.3) or list(self._entries)[:3]
        raise Refusal(
            messages.UNKNOWN_ENVIRONMENT,
            f"there is no environment {id!r} here; the nearest: {', '.join(near)}",
            [messages.ErrorDetail(field="id", expected=", ".join(near), got=id)],
        )
