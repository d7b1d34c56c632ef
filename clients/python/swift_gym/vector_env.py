"""A batch of environments of a server as a :class:`gymnasium.vector.VectorEnv`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import error as gymnasium_error
from gymnasium import logger, spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from swift_gym.batch import RemoteBatch, invalid_action, mark_ended, split_state
from swift_gym.channel import Channel
from swift_gym.info import vector_info
from swift_gym.protocol import messages
from swift_gym.shared_memory import ResultSet
from swift_gym.spaces import LeafLayout, assemble, row_of
from swift_gym.specs import EnvironmentSpec
from swift_gym.tensors import WireError, truths

__all__ = ["VectorEnv"]

_StepResult = tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class VectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Environments of one kind that a server steps together.

    Everything is as in :class:`gymnasium.vector.SyncVectorEnv`: spaces, seeds, the three autoreset modes, ``info`` as
    arrays with masks, ``options={"reset_mask": ...}``. An environment that fails does not stop the others: its row is
    truncated, and its message is in ``infos["fault"]``. Under ``SameStep`` a reset that fails leaves the end of the
    episode before as it is.

    Args:
        environment: the id on the server, such as ``CartPole-v1``.
        num_envs: how many.
        autoreset_mode: what happens when an episode ends.
        autoreset_options: reset options that autoreset uses.
        copy: whether results are the caller's to keep, as in Gymnasium. With ``False`` and shared memory they are views
            of it without a copy, which change with the step after the next; with the socket they cannot be written to.
        server, render_mode, max_episode_steps, transport, pass_out_of_bounds, check_observations, want_info, token,
            timeout, **options: as in :class:`swift_gym.Env`.

    Raises:
        ServerNotFound, NameNotFound, InvalidOption: as :class:`swift_gym.Env`.

    """

    def __init__(
        self,
        environment: str,
        num_envs: int = 1,
        *,
        server: str | Channel | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        autoreset_options: Mapping[str, Any] | None = None,
        copy: bool = True,
        transport: str = "auto",
        pass_out_of_bounds: bool = True,
        check_observations: bool = False,
        want_info: bool = True,
        token: str = "",
        timeout: float | None = 60.0,
        **options: Any,
    ) -> None:
        if render_mode == "human":
            raise gymnasium_error.UnsupportedMode(
                "a server has no screen: take render_mode='rgb_array' and gymnasium.wrappers.vector.HumanRendering"
            )
        mode = AutoresetMode(autoreset_mode)
        self._batch = batch = RemoteBatch(
            environment,
            num_envs,
            server=server,
            token=token,
            timeout=timeout,
            autoreset=mode,
            render_mode=render_mode,
            max_episode_steps=max_episode_steps,
            transport=transport,
            pass_out_of_bounds=pass_out_of_bounds,
            check_observations=check_observations,
            autoreset_options=autoreset_options,
            options=options,
        )
        self.num_envs = batch.num_envs
        self.render_mode = render_mode
        self.metadata = {**batch.spec.metadata, "autoreset_mode": mode}
        self.single_observation_space = batch.observation_space
        self.single_action_space = batch.action_space
        self.observation_space = batch.batched_observation_space
        self.action_space = batch.batched_action_space
        self.copy = copy
        self._want_info = want_info
        self._pending: str | None = None
        self._seeds: tuple[int, ...] | None = None
        self._write_actions = _actions_writer(batch)
        # Which episodes have ended: the flags of the last step, or else what resets and states made of them.
        self._flags: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None
        self._ended = np.zeros(self.num_envs, np.bool_)

    @property
    def remote_spec(self) -> EnvironmentSpec:
        """What the server says of the environment: its options, limits and modes."""
        return self._batch.spec

    @property
    def transport(self) -> str:
        """``shared-memory`` or ``socket``: how steps travel."""
        return self._batch.transport

    @property
    def np_random_seed(self) -> tuple[int, ...] | None:  # type: ignore[override]
        """For each environment, the seed that its generator was last given; ``None`` before the first reset."""
        return self._seeds

    # ------------------------------------------------------------------------------------ resetting

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Starts episodes.

        Args:
            seed: ``None`` leaves generators as they stand; a number s gives environment i the seed s + i; a sequence
                has one seed, or ``None``, for each.
            options: the environment's reset options. ``reset_mask``, an array of booleans, says which environments
                are reset; the observations of the others stay as they were.

        """
        self._require_idle("reset")
        options = dict(options or {})
        mask = self._checked_mask(options.pop("reset_mask")) if "reset_mask" in options else None
        if seed is None:
            seeds: list[int | None] = []
        elif isinstance(seed, int):
            # Calls the check of the seed, and makes the generator of this object.
            super().reset(seed=seed)
            seeds = [seed]
        else:
            seeds = [None if one is None else int(one) for one in seed]
            if len(seeds) != self.num_envs:
                raise ValueError(
                    f"If seeds are passed as a list the length must match num_envs={self.num_envs} "
                    f"but got length={len(seeds)}."
                )
            if self.num_envs == 1 and seeds == [None]:
                seeds = []
        result = self._batch.reset(seeds, b"" if mask is None else mask.tobytes(), options, want_info=True)
        self._seeds = tuple(result.message.effective_seeds)
        self._ended = np.zeros(self.num_envs, np.bool_) if mask is None else self._ended_rows() & ~mask
        self._flags = None
        with self._batch.connection.understanding():
            infos = vector_info(result.message.info, self.num_envs)
            self._add_faults(infos, result.message.faults)
        return assemble(self.single_observation_space, iter(result.observation)), infos

    def _checked_mask(self, mask: Any) -> NDArray[np.bool_]:
        if not isinstance(mask, np.ndarray):
            raise TypeError(f"`options['reset_mask']` must be a numpy array, got {type(mask)}")
        if mask.shape != (self.num_envs,):
            raise ValueError(f"`options['reset_mask']` must have shape `({self.num_envs},)`, got {mask.shape}")
        if mask.dtype != np.bool_:
            raise TypeError(f"`options['reset_mask']` must have `dtype=np.bool_`, got {mask.dtype}")
        if not mask.any():
            raise ValueError(
                f"`options['reset_mask']` must contain a boolean array with at least one True value, got {mask}"
            )
        return mask

    # ------------------------------------------------------------------------------------ stepping

    def step(self, actions: Any) -> _StepResult:
        """Steps all environments.

        Raises:
            InvalidAction: an action is not in the action space; nothing was stepped.
            ResetNeeded: an environment has no episode, or it has ended under DISABLED; nothing was stepped.
            ServerDied: the server has gone.

        """
        if self._batch.steps.is_under_way:
            self._require_idle("step")
        self._write_actions(actions)
        self._batch.steps.begin(self._want_info)
        return self._results(self._batch.steps.finish())

    def step_async(self, actions: Any) -> None:
        """Has the server step all environments while this process does something else; then :meth:`step_wait`."""
        self._require_idle("step_async")
        self._write_actions(actions)
        self._batch.steps.begin(self._want_info)
        self._pending = "step"

    def step_wait(self) -> _StepResult:
        """The results of :meth:`step_async`.

        Raises:
            NoAsyncCallError: there was none.

        """
        if self._pending is None:
            self._batch.request()
            raise gymnasium_error.NoAsyncCallError(
                "Calling `step_wait` without any prior call to `step_async`.", "step_wait"
            )
        self._pending = None
        return self._results(self._batch.steps.finish())

    def send(self, actions: Any, indices: Sequence[int] | None = None) -> None:
        """Has some environments step without waiting for them; :meth:`receive` gives the first that are ready.

        So environments that take their time do not hold up the others. It needs ``transport="socket"``, and a server
        that has the capability ``async.v1``. Until all that was sent is received, the environments take no other call
        but these two and ``close``.

        Args:
            actions: one for each of the given environments, batched like those of :meth:`step`.
            indices: which environments, none twice; ``None``: all.

        Raises:
            InvalidAction: an action is not in the action space; nothing was stepped, in no environment.
            AlreadyPendingCallError: one of the environments was sent to and not received yet.
            ResetNeeded: an environment has no episode, or it has ended under DISABLED.
            UnsupportedMode: server or transport cannot do it.

        """
        self._require_idle("send")
        rows = range(self.num_envs) if indices is None else indices
        leaves: list[Any] = []
        for layout, leaf in zip(self._batch.action_layouts, self._batch.action_leaves(actions), strict=True):
            if layout.dtype is None:
                if len(leaf) != len(rows):
                    raise gymnasium_error.InvalidAction(f"there are {len(leaf)} actions for {len(rows)} environments")
                leaves.append(leaf)
            else:
                place = np.empty((len(rows), *layout.shape), layout.dtype)
                _write(layout, (len(rows),), place, leaf)
                leaves.append(place)
        self._batch.send(rows, leaves)

    def receive(self, count: int = 1) -> _StepResult:
        """Waits until ``count`` of the environments that were sent to are ready.

        Returns:
            What :meth:`step` returns, with ``count`` rows in the order in which the environments became ready;
            ``infos["env_id"]`` says which they are. Other info does not come with it, but for ``final_obs``.

        Raises:
            NoAsyncCallError: fewer than ``count`` environments are pending.
            UnsupportedMode: server or transport cannot do it.

        """
        self._require_idle("receive")
        rows, result = self._batch.receive(count)
        ended = self._ended_rows()
        self._ended = ended.copy()
        self._ended[rows] = False if self._batch.same_step else result.terminated | result.truncated
        infos = self._infos(result, {row: position for position, row in enumerate(rows.tolist())})
        infos["env_id"] = rows
        return self._step_result(result, infos)

    def _require_idle(self, what: str) -> None:
        if self._pending is not None and not self._batch.closed:
            raise gymnasium_error.AlreadyPendingCallError(
                f"Calling `{what}` while waiting for a pending call to `{self._pending}_wait` to complete",
                self._pending,
            )
        self._batch.request()

    def _results(self, result: ResultSet) -> _StepResult:
        if self._batch.transport == "shared-memory":
            # What lies there the server can change at any time: these are looked at more than once.
            result = dataclasses.replace(
                result, terminated=truths(result.terminated), truncated=truths(result.truncated)
            )
        self._flags = result.terminated, result.truncated
        return self._step_result(result, self._infos(result))

    def _step_result(self, result: ResultSet, infos: dict[str, Any]) -> _StepResult:
        terminated, truncated = result.terminated, result.truncated
        if not self.copy:
            observation = assemble(self.single_observation_space, iter(result.observation))
            return observation, result.rewards, terminated, truncated, infos
        leaves = (
            leaf if not isinstance(leaf, np.ndarray) else truths(leaf) if leaf.dtype == np.bool_ else leaf.copy()
            for leaf in result.observation
        )
        observation = assemble(self.single_observation_space, leaves)
        return observation, result.rewards.copy(), terminated.copy(), truncated.copy(), infos

    def _infos(self, result: ResultSet, places: Mapping[int, int] | None = None) -> dict[str, Any]:
        """The infos of a result; ``places``: which row each environment is, when environment i is not row i."""
        infos: dict[str, Any] = {}
        batch, message = self._batch, result.message
        with batch.connection.understanding():
            if message is not None:
                infos = vector_info(message.info, len(result.terminated))
                self._add_faults(infos, message.faults, places)
            if batch.same_step and (result.terminated.any() or result.truncated.any()):
                self._add_final(infos, result)
        return infos

    def _add_final(self, infos: dict[str, Any], result: ResultSet) -> None:
        """Adds ``final_obs`` and ``final_info`` with their masks, as Gymnasium's vector environments do."""
        ended = result.terminated | result.truncated
        rows = np.flatnonzero(ended)
        leaves, layouts = result.final_observation, self._batch.observation_layouts
        space = self.single_observation_space
        final = np.full(len(ended), None, dtype=object)
        if rows.size:
            named = rows if result.final_rows is None else result.final_rows
            if len(leaves) != len(layouts) or not np.array_equal(named, rows):
                raise WireError(f"episodes ended in rows {rows.tolist()}, whose last observations did not come")
            if result.final_rows is None:
                # All rows have a place; only those where an episode ended are valid.
                for row in rows.tolist():
                    final[row] = row_of(layouts, leaves, space, row)
            else:
                for position, row in enumerate(result.final_rows):
                    final[row] = row_of(layouts, leaves, space, position)
        infos["final_obs"] = final
        infos["_final_obs"] = ended
        columns = [] if result.message is None else result.message.final_info
        infos["final_info"] = vector_info(columns, len(ended), rows)
        infos["_final_info"] = ended.copy()

    def _add_faults(
        self, infos: dict[str, Any], faults: Sequence[messages.Fault], places: Mapping[int, int] | None = None
    ) -> None:
        if not faults:
            return
        count = self.num_envs if places is None else len(places)
        texts = np.full(count, None, dtype=object)
        mask = np.zeros(count, np.bool_)
        for fault in faults:
            row = fault.environment_index if places is None else places.get(fault.environment_index, count)
            if row >= count:
                raise WireError(f"a fault is of environment {fault.environment_index}, which has no row")
            texts[row] = fault.message
            mask[row] = True
        infos["fault"], infos["_fault"] = texts, mask

    # ------------------------------------------------------------------------------------ everything else

    def render(self) -> tuple[Any, ...] | None:
        """A picture of each environment, as the ``render_mode`` says."""
        self._require_idle("render")
        if self.render_mode is None:
            logger.warn("You are calling render method without specifying any render mode.")
            return None
        return tuple(self._batch.render(range(self.num_envs)))

    def get_state(self, indices: Sequence[int] = ()) -> list[bytes]:
        """The states of the given environments, of all when none are given; see :meth:`swift_gym.Env.get_state`."""
        self._require_idle("get_state")
        states = self._batch.get_state(indices)
        rows = indices or range(self.num_envs)
        ended = self._ended_rows()
        return [mark_ended(state, bool(ended[row])) for row, state in zip(rows, states, strict=True)]

    def set_state(self, states: Sequence[bytes], indices: Sequence[int] = ()) -> None:
        """Has the given environments, all when none are given, go on from these states; all or none."""
        self._require_idle("set_state")
        split = [split_state(state) for state in states]
        self._batch.set_state([state for state, _ in split], indices)
        self._ended = self._ended_rows().copy()
        for row, (_, has_ended) in zip(indices or range(self.num_envs), split, strict=True):
            self._ended[row] = has_ended

    def _ended_rows(self) -> NDArray[np.bool_]:
        """Which environments wait for a reset."""
        if self._flags is not None:
            terminated, truncated = self._flags
            self._flags = None
            self._ended = np.zeros_like(self._ended) if self._batch.same_step else terminated | truncated
        return self._ended

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the environments; ends the connection and the server if they were opened for them."""
        batch = getattr(self, "_batch", None)
        if batch is not None and not batch.closed:
            batch.close()
            self._write_actions = _refuse_closed


def _refuse_closed(actions: Any) -> None:
    raise gymnasium_error.ClosedEnvironmentError("the environments are closed; make new ones")


def _actions_writer(batch: RemoteBatch) -> Callable[[Any], None]:
    """A function that writes actions to where steps are sent from, after checking dtype and shape."""
    layouts, leaves, rows = batch.action_layouts, batch.steps.actions, (batch.num_envs,)
    if len(layouts) == 1 and not isinstance(batch.action_space, (spaces.Dict, spaces.Tuple)):
        layout = layouts[0]
        if not layout.is_ragged:
            place = leaves[0]
            return lambda actions: _write(layout, rows, place, actions)

    def write_leaves(actions: Any) -> None:
        for position, (layout, leaf) in enumerate(zip(layouts, batch.action_leaves(actions), strict=True)):
            if layout.is_ragged:
                if len(leaf) != rows[0]:
                    raise gymnasium_error.InvalidAction(f"there are {len(leaf)} actions for {rows[0]} environments")
                leaves[position] = tuple(leaf)
            else:
                _write(layout, rows, leaves[position], leaf)

    return write_leaves


def _write(layout: LeafLayout, rows: tuple[int, ...], place: NDArray[Any], actions: Any) -> None:
    array = actions if isinstance(actions, np.ndarray) else np.asarray(actions)
    if array.shape != place.shape:
        raise invalid_action(layout, rows, actions)
    try:
        np.copyto(place, array, casting="same_kind")
    except TypeError:
        raise invalid_action(layout, rows, actions) from None
