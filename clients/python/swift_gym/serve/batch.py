"""A batch of Gymnasium environments, stepped one after the other (clauses A, H and M13 to M31)."""

from __future__ import annotations

import contextlib
import copy
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from swift_gym.options import option_from_message
from swift_gym.protocol import messages
from swift_gym.serve import state as states
from swift_gym.serve.catalogue import Entry
from swift_gym.serve.refusal import Refusal, row_details
from swift_gym.spaces import LeafLayout, leaf_layouts, row_of, take_apart
from swift_gym.tensors import WireError, tensor_to_message
from swift_gym.values import leaf_to_message, leaves_from_messages, plain_value_to_message, value_to_message
from swift_gym.version import VERSION

__all__ = ["Batch", "Settings"]


class _Phase(Enum):
    FRESH = 0
    RUNNING = 1
    ENDED = 2


@dataclass(frozen=True)
class Settings:
    """How a batch is made."""

    count: int
    options: dict[str, Any]
    autoreset: int
    autoreset_options: dict[str, Any]
    render_mode: str
    max_episode_steps: int | None
    checks_observations: bool
    passes_out_of_bounds: bool
    tells_step_time: bool = False


@dataclass
class _Row:
    """An environment and where it is in its life."""

    environment: gymnasium.Env[Any, Any]
    phase: _Phase = _Phase.FRESH
    seed: int | None = None
    steps: int = 0
    episode_return: float = 0.0


class _Observations:
    """The leaves of a batch's observations, one row an environment."""

    def __init__(self, space: spaces.Space[Any], layouts: list[LeafLayout], count: int) -> None:
        self._space = space
        self._layouts = layouts
        self.leaves: list[Any] = [
            [None] * count if layout.dtype is None else np.zeros((count, *layout.shape), layout.dtype)
            for layout in layouts
        ]

    def store(self, row: int, member: Any) -> None:
        """Writes one environment's observation.

        Raises:
            ValueError, TypeError: it is not shaped as the space is.

        """
        parts = take_apart(self._space, member)
        for layout, leaf, part in zip(self._layouts, self.leaves, parts, strict=True):
            if layout.dtype is not None:
                array = np.asarray(part)
                if array.shape != layout.shape:
                    raise ValueError(f"the observation has shape {array.shape}; its space says {layout.shape}")
                np.copyto(leaf[row : row + 1].reshape(layout.shape), array, casting="same_kind")
            else:
                # Now and not when it is sent, so that what cannot be sent is this environment's fault alone.
                value_to_message(layout.space, part)
                leaf[row] = part

    def clear(self, row: int) -> None:
        for layout, leaf in zip(self._layouts, self.leaves, strict=True):
            leaf[row] = None if layout.dtype is None else 0

    def to_messages(self, fields: Any, rows: Sequence[int] | None = None) -> None:
        """Writes the leaves of all rows, or of the given ones."""
        for layout, leaf in zip(self._layouts, self.leaves, strict=True):
            message = fields.add()
            if layout.dtype is not None:
                leaf_to_message(layout, leaf if rows is None else leaf[list(rows)], message)
                continue
            message.values.SetInParent()
            for row in range(len(leaf)) if rows is None else rows:
                value = message.values.values.add()
                if leaf[row] is not None:
                    value_to_message(layout.space, leaf[row], value)


class _Room:
    """What is left of the bytes that an answer may have: looked after while it is built, and not when it is there."""

    def __init__(self, most: int, parts: int) -> None:
        self._most = most
        self._left = most
        self._parts = parts

    def take(self, size: int) -> None:
        """Takes a part's bytes.

        Raises:
            Refusal: there are not so many left.

        """
        self._left -= size
        if self._left < 0:
            raise Refusal(
                messages.RESPONSE_TOO_LARGE,
                f"the first {self._most - self._left} bytes of {self._parts} parts are more than the {self._most} that "
                "can be sent; ask for fewer at a time",
            )


class Batch:
    """Environments of one kind; everything that a handle can be asked for."""

    def __init__(self, entry: Entry, settings: Settings) -> None:
        """Makes the environments.

        Raises:
            Refusal: they cannot be made so.

        """
        self._entry = entry
        self.settings = settings
        self._rows: list[_Row] = []
        self._trial: gymnasium.Env[Any, Any] | None = None
        try:
            for _ in range(settings.count):
                self._rows.append(_Row(self._make()))
            first = self._rows[0].environment
            self.observation_space = first.observation_space
            self.action_space = first.action_space
            self._observation_layouts = leaf_layouts(self.observation_space)
            self._action_layouts = leaf_layouts(self.action_space)
            self.message = entry.describe_as(first)
            self._check_reset_options(settings.autoreset_options, "autoreset_options")
        except BaseException:
            self.close()
            raise
        # Spaces of its own to draw samples from: their generators are the handle's, apart from the environments' (M30).
        self._samplers = {
            messages.ACTION: copy.deepcopy(self.action_space),
            messages.OBSERVATION: copy.deepcopy(self.observation_space),
        }
        for space in self._samplers.values():
            space.seed(None)
        count = settings.count
        self._observations = _Observations(self.observation_space, self._observation_layouts, count)

    def _make(self) -> gymnasium.Env[Any, Any]:
        settings = self.settings
        return self._entry.make(settings.options, settings.render_mode, settings.max_episode_steps)

    @property
    def count(self) -> int:
        """How many environments there are."""
        return self.settings.count

    def close(self) -> None:
        """Closes the environments."""
        for environment in [row.environment for row in self._rows] + ([self._trial] if self._trial else []):
            try:
                environment.close()
            except Exception as problem:  # One that cannot be closed must not keep the others open.
                gymnasium.logger.warn(f"{self._entry.id} failed to close: {problem}")
        self._rows, self._trial = [], None

    # ------------------------------------------------------------------------------------ reset

    def reset(self, request: messages.ResetRequest, response: messages.ResetResponse) -> None:
        """Starts episodes (M13 to M18)."""
        mask = self._mask(request.mask)
        seeds = self._seeds(request)
        options = options_of(request.options)
        self._check_reset_options(options, "options")
        infos: list[dict[str, Any]] = [{} for _ in self._rows]
        for index, row in enumerate(self._rows):
            if not mask[index]:
                continue
            if seeds[index] is not None:
                seed = row.seed = seeds[index]
            elif row.seed is None:
                seed = row.seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
            else:
                seed = None
            try:
                infos[index] = self._start(index, seed, options)
            except Exception as problem:
                self._fail(index, problem, response.faults)
        self._observations.to_messages(response.observation)
        response.effective_seeds[:] = [row.seed or 0 for row in self._rows]
        if request.want_info:
            write_info(infos, response.info)

    def _mask(self, mask: bytes) -> NDArray[np.bool_]:
        if not mask:
            return np.ones(self.count, np.bool_)
        if len(mask) != self.count or not set(mask) <= {0, 1} or 1 not in mask:
            expected = f"{self.count} bytes of 0 or 1, at least one of them 1"
            raise Refusal(
                messages.INVALID_MASK,
                f"the mask has {len(mask)} bytes; it has to be {expected}, or empty for all",
                [messages.ErrorDetail(field="mask", expected=expected, got=f"{len(mask)} bytes")],
            )
        return np.frombuffer(mask, np.bool_)

    def _seeds(self, request: messages.ResetRequest) -> list[int | None]:
        given = [seed.value if seed.HasField("value") else None for seed in request.seeds]
        if not given:
            return [None] * self.count
        if len(given) == self.count:
            # With one environment, one seed and one for each are the same.
            return given
        if len(given) != 1:
            expected = f"none, 1 or {self.count}"
            raise Refusal(
                messages.INVALID_ARGUMENT,
                f"there are {len(given)} seeds for {self.count} environments; there have to be {expected}",
                [messages.ErrorDetail(field="seeds", expected=expected, got=str(len(given)))],
            )
        first = given[0]
        return [None if first is None else (first + row) % (1 << 64) for row in range(self.count)]

    def _check_reset_options(self, options: dict[str, Any], field: str) -> None:
        """Refuses options that the environment does not take.

        Gymnasium's environments do not say which they take, and say what is wrong with one by failing. So they are
        tried on an environment that nobody else uses. Failures that do not speak of a wrong value are left
        to the reset itself.
        """
        if not options:
            return
        known = self._entry.reset_options()
        for name, value in options.items():
            if name not in known:
                allowed = ", ".join(known) or "none"
                raise Refusal(
                    messages.INVALID_OPTION,
                    f"{self._entry.id} has no reset option {name!r}; its reset options: {allowed}",
                    [messages.ErrorDetail(field=f"{field}.{name}", expected=f"one of: {allowed}", got=repr(value))],
                )
            self._entry.check_kind(f"{field}.{name}", value, known[name])
        try:
            if self._trial is None:
                self._trial = self._make()
            with contextlib.suppress(RuntimeError, OSError, ArithmeticError):
                self._trial.reset(seed=0, options=dict(options))
        except (AssertionError, LookupError, TypeError, ValueError, gymnasium.error.Error) as problem:
            raise Refusal(
                messages.INVALID_OPTION,
                f"{self._entry.id} does not take these reset options: {problem}",
                [messages.ErrorDetail(field=f"{field}.{name}", got=repr(value)) for name, value in options.items()],
            ) from None

    def _start(self, index: int, seed: int | None, options: dict[str, Any]) -> dict[str, Any]:
        row = self._rows[index]
        row.steps, row.episode_return = 0, 0.0
        observation, info = row.environment.reset(seed=seed, options=dict(options) if options else None)
        self._store(index, observation)
        row.phase = _Phase.RUNNING
        return info

    def _store(self, index: int, observation: Any) -> None:
        if self.settings.checks_observations and not self.observation_space.contains(observation):
            raise ValueError(f"the observation left its space: {observation!r:.200}")
        self._observations.store(index, observation)

    def _fail(self, index: int, problem: BaseException, faults: Any) -> None:
        """Ends the episode of an environment that failed (A9, A10)."""
        self._rows[index].phase = _Phase.ENDED
        self._observations.clear(index)
        faults.add(environment_index=index, message=f"{type(problem).__name__}: {problem}")

    # ------------------------------------------------------------------------------------ step

    def step(self, request: messages.StepRequest, response: messages.StepResponse) -> None:
        """Steps all environments (M19 to M22, A)."""
        self._require_reset(range(self.count), including_ended=self.settings.autoreset == messages.DISABLED)
        actions = self._actions(request.action)
        same_step = self.settings.autoreset == messages.SAME_STEP
        count = self.count
        rewards = np.zeros(count, "<f8")
        terminated = np.zeros(count, np.bool_)
        truncated = np.zeros(count, np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in self._rows]
        ended: list[tuple[int, float, int]] = []
        times = np.zeros(count, "<i8")
        final = _Observations(self.observation_space, self._observation_layouts, count) if same_step else None
        final_infos: list[dict[str, Any]] = []
        for index, row in enumerate(self._rows):
            resetting = row.phase is _Phase.ENDED
            began = time.perf_counter_ns()
            try:
                if resetting:
                    infos[index] = self._start(index, None, self.settings.autoreset_options)
                    continue
                observation, reward, is_terminated, is_truncated, info = row.environment.step(actions[index])
                reward = float(reward)
                self._store(index, observation)
                row.steps += 1
                row.episode_return += reward
                limit = self.settings.max_episode_steps
                is_truncated = bool(is_truncated) or (limit is not None and row.steps >= limit)
                rewards[index], terminated[index], truncated[index] = reward, is_terminated, is_truncated
                infos[index] = info
                if not (is_terminated or is_truncated):
                    continue
                row.phase = _Phase.ENDED
                ended.append((index, row.episode_return, row.steps))
                final_infos.append(info)
                if final is not None:
                    final.store(index, observation)
                    try:
                        infos[index] = self._start(index, None, self.settings.autoreset_options)
                    except Exception as problem:
                        # The end of the episode before stands: its reward must not be lost (A11).
                        infos[index] = {}
                        self._fail(index, problem, response.faults)
            except Exception as problem:
                if ended and ended[-1][0] == index:
                    ended.pop()
                    final_infos.pop()
                if resetting:
                    row.steps, row.episode_return = 0, 0.0
                self._fail(index, problem, response.faults)
                rewards[index], terminated[index], truncated[index] = 0.0, False, True
                infos[index] = {}
                ended.append((index, row.episode_return, row.steps))
                final_infos.append({})
                if final is not None:
                    final.clear(index)
            finally:
                times[index] = time.perf_counter_ns() - began
        if self.settings.tells_step_time:
            response.step_nanoseconds = times.tobytes()
        self._observations.to_messages(response.observation)
        response.rewards = rewards.tobytes()
        response.terminated = terminated.tobytes()
        response.truncated = truncated.tobytes()
        rows = [index for index, _, _ in ended]
        response.final_index[:] = rows
        response.episode_returns = struct.pack(f"<{len(ended)}d", *(value for _, value, _ in ended))
        response.episode_lengths = struct.pack(f"<{len(ended)}q", *(length for _, _, length in ended))
        if final is not None and ended:
            final.to_messages(response.final_observation, rows)
        if request.want_info:
            write_info(infos, response.info)
            if same_step and ended:
                write_info(final_infos, response.final_info)

    def _require_reset(self, rows: Iterable[int], including_ended: bool) -> None:
        waiting = [
            row
            for row in rows
            if self._rows[row].phase is _Phase.FRESH or (including_ended and self._rows[row].phase is _Phase.ENDED)
        ]
        if waiting:
            named = ", ".join(map(str, waiting[:8])) + (", …" if len(waiting) > 8 else "")
            raise Refusal(
                messages.NEEDS_RESET,
                f"environments have to be reset first: {named}",
                row_details("environment_index", waiting, "a reset first"),
            )

    def _actions(self, leaves: Any) -> list[Any]:
        """The action of each environment; ``None`` in rows that this step resets (M21)."""
        try:
            batch = leaves_from_messages(self._action_layouts, leaves, self.count, "action", lenient=True)
        except WireError as problem:
            raise Refusal(
                messages.INVALID_ACTION, str(problem), [messages.ErrorDetail(field="action", got=str(problem))]
            ) from None
        actions: list[Any] = []
        wrong: list[int] = []
        for index, row in enumerate(self._rows):
            if row.phase is _Phase.ENDED:
                actions.append(None)
                continue
            action = row_of(self._action_layouts, batch, self.action_space, index)
            if not self._is_allowed(self.action_space, action):
                wrong.append(index)
            actions.append(action)
        if wrong:
            got = repr(actions[wrong[0]])
            raise Refusal(
                messages.INVALID_ACTION,
                f"the action of environment {wrong[0]} is not in its space: {got:.200}; the space is "
                f"{self.action_space}",
                row_details("action", wrong, str(self.action_space), got[:200]),
            )
        return actions

    def _is_allowed(self, space: spaces.Space[Any], action: Any) -> bool:
        """Whether the action is in the space, bounds of boxes aside when the client said so (M20)."""
        if not self.settings.passes_out_of_bounds:
            return _contains(space, action)
        if isinstance(space, spaces.Dict):
            return all(self._is_allowed(part, action[key]) for key, part in space.spaces.items())
        if isinstance(space, spaces.Tuple):
            return all(self._is_allowed(part, action[position]) for position, part in enumerate(space.spaces))
        if isinstance(space, spaces.Box):
            return bool(np.isfinite(action).all()) or _contains(space, action)
        return _contains(space, action)

    # ------------------------------------------------------------------------------------ everything else

    def _indices(self, indices: Sequence[int], default: Iterable[int]) -> list[int]:
        """The rows asked for: each below the batch's number, none twice."""
        # Before anything is done for each: there may be millions.
        wrong = next((index for index in indices if index >= self.count), None)
        if wrong is not None:
            raise Refusal(
                messages.INVALID_ARGUMENT,
                f"environment {wrong} does not exist; there are {self.count}, from 0 on",
                row_details("environment_index", [wrong], f"below {self.count}"),
            )
        if len(set(indices)) != len(indices):
            raise Refusal(
                messages.INVALID_ARGUMENT,
                "an environment is named twice; each is to be named once",
                [messages.ErrorDetail(field="environment_index", expected="each once", got=f"{len(indices)} of them")],
            )
        return list(indices) or list(default)

    def render(self, request: messages.RenderRequest, response: messages.RenderResponse, most: int) -> None:
        """Pictures (M26), of ``most`` bytes together."""
        if not self.settings.render_mode:
            raise Refusal(messages.RENDER_UNAVAILABLE, "the environments were made without a render mode")
        indices = self._indices(request.environment_index, [0])
        self._require_reset(indices, including_ended=False)
        room = _Room(most, len(indices))
        for index in indices:
            try:
                picture = self._rows[index].environment.render()
                message = messages.Frame()
                if isinstance(picture, str):
                    message.text = picture
                else:
                    image = np.asarray(picture)
                    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                        raise TypeError(f"it rendered {type(picture).__name__} of shape {image.shape}, {image.dtype}")
                    tensor_to_message(image, message.image)
            except Exception as problem:
                raise Refusal(
                    messages.ENVIRONMENT_FAULT,
                    f"environment {index} cannot be rendered: {problem}",
                    row_details("environment_index", [index], "a picture"),
                ) from None
            room.take(message.ByteSize())
            response.frames.append(message)

    def get_state(self, request: messages.GetStateRequest, response: messages.GetStateResponse, most: int) -> None:
        """States (M27, M28), of ``most`` bytes together."""
        self._require_restorable()
        indices = self._indices(request.environment_index, range(self.count))
        room = _Room(most, len(indices))
        for index in indices:
            row = self._rows[index]
            # The generator is the environment's own and in its pickle.
            content = (self._origin(), row.phase.value, row.seed, row.steps, row.episode_return)
            try:
                state = states.save((content, row.environment))
            except states.StateError as problem:
                raise Refusal(
                    messages.ENVIRONMENT_FAULT,
                    f"the state of environment {index} cannot be taken: {problem}",
                    row_details("environment_index", [index], "an environment that can be pickled"),
                ) from None
            room.take(len(state))
            response.states.append(state)

    def _origin(self) -> states.Origin:
        return states.Origin(self._entry.id, self._entry.resolved(self.settings.options), VERSION)

    def set_state(self, request: messages.SetStateRequest) -> None:
        """Takes over states, all or none (M29)."""
        self._require_restorable()
        indices = self._indices(request.environment_index, range(self.count))
        if len(indices) != len(request.states):
            raise Refusal(
                messages.INVALID_ARGUMENT,
                f"there are {len(request.states)} states for {len(indices)} environments; there has to be one for each",
                [messages.ErrorDetail(field="states", expected=str(len(indices)), got=str(len(request.states)))],
            )
        taken: list[_Row] = []
        for index, state in zip(indices, request.states, strict=True):
            try:
                (origin, phase, seed, steps, episode_return), environment = states.load(state)
                differences = self._origin().differences(origin)
            except (states.StateError, TypeError, ValueError) as problem:
                raise Refusal(
                    messages.INVALID_STATE,
                    f"the state for environment {index} cannot be taken over: {problem}",
                    row_details("states", [index], f"a state of {self._entry.id} from this server"),
                ) from None
            if differences:
                field, expected, got = differences[0]
                raise Refusal(
                    messages.INCOMPATIBLE_STATE,
                    f"the state for environment {index} is of something else: its {field.removeprefix('states.')} is "
                    f"{got}, and has to be {expected}",
                    [
                        messages.ErrorDetail(field=field, environment_index=index, expected=expected, got=got)
                        for field, expected, got in differences
                    ],
                )
            # What it was rendered by was not part of the state, and may have been another mode.
            environment.unwrapped.render_mode = self.settings.render_mode or None
            taken.append(_Row(environment, _Phase(phase), seed, steps, episode_return))
        for index, row in zip(indices, taken, strict=True):
            self._rows[index].environment.close()
            self._rows[index] = row

    def _require_restorable(self) -> None:
        if not self.message.restorable:
            raise Refusal(messages.UNSUPPORTED_CAPABILITY, f"{self._entry.id} cannot be saved and restored")

    def sample(self, request: messages.SampleRequest, response: messages.SampleResponse) -> Callable[[], None]:
        """Members of a space, one for each environment (M30); returns what has them not drawn (H6)."""
        space = self._sampler(request.space)
        before = copy.deepcopy(space)
        if request.seed.HasField("value"):
            space.seed(request.seed.value)
        layouts = leaf_layouts(space)
        samples = _Observations(space, layouts, self.count)
        for row in range(self.count):
            samples.store(row, space.sample())
        samples.to_messages(response.sample)

        def undo() -> None:
            self._samplers[request.space] = before

        return undo

    def contains(self, request: messages.ContainsRequest, response: messages.ContainsResponse) -> None:
        """Whether members are in a space (M31)."""
        space = self._sampler(request.space)
        try:
            layouts = leaf_layouts(space)
            batch = leaves_from_messages(layouts, request.members, self.count, "members", lenient=True)
        except WireError as problem:
            raise Refusal(
                messages.INVALID_ARGUMENT, str(problem), [messages.ErrorDetail(field="members", got=str(problem))]
            ) from None
        members = (row_of(layouts, batch, space, row) for row in range(self.count))
        response.contained = bytes(_contains(space, member) for member in members)

    def _sampler(self, kind: int) -> spaces.Space[Any]:
        if kind not in self._samplers:
            raise Refusal(messages.INVALID_ARGUMENT, f"space is {kind}; it is 0 (ACTION) or 1 (OBSERVATION)")
        return self._samplers[kind]  # type: ignore[index]


def _contains(space: spaces.Space[Any], member: Any) -> bool:
    try:
        return bool(space.contains(member))
    except (TypeError, ValueError, AttributeError):
        # Some spaces fail where others say no.
        return False


def options_of(fields: Iterable[messages.Option]) -> dict[str, Any]:
    """Options by name.

    Raises:
        Refusal: one is given twice, or without value.

    """
    options: dict[str, Any] = {}
    for option in fields:
        if option.name in options:
            raise Refusal(messages.MALFORMED_MESSAGE, f"option {option.name!r} is given twice")
        try:
            options[option.name] = option_from_message(option.value)
        except WireError as problem:
            raise Refusal(messages.MALFORMED_MESSAGE, f"option {option.name!r}: {problem}") from None
    return options


def write_info(infos: Sequence[dict[str, Any]], columns: Any) -> None:
    """Writes ``info`` as columns (M23): numbers and arrays of one shape as tensors, everything else as values.

    The protocol's columns are flat: the entries of a dictionary inside of info are named ``outer/inner``.
    """
    flat = [_flat(info) for info in infos]
    names: dict[str, None] = {}
    for info in flat:
        names.update(dict.fromkeys(info))
    for name in names:
        mask = bytes(name in info for info in flat)
        column = columns.add(name=name, mask=mask)
        arrays = [_as_array(info[name]) for info in flat if name in info]
        first = arrays[0]
        if first is not None and all(
            array is not None and array.shape == first.shape and array.dtype == first.dtype for array in arrays
        ):
            values = np.zeros((len(flat), *first.shape), first.dtype)
            values[np.frombuffer(mask, np.bool_)] = arrays
            tensor_to_message(values, column.tensor)
        else:
            column.objects.SetInParent()
            for info in flat:
                value = column.objects.values.add()
                if name in info:
                    plain_value_to_message(info[name], value)


def _flat(info: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in info.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}/"))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _as_array(value: Any) -> NDArray[Any] | None:
    """The value as an array that can be sent, or ``None``."""
    if isinstance(value, (bool, int, float, np.generic, np.ndarray)):
        array = np.asarray(value)
        if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
            return array
    return None
