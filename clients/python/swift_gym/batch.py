"""A batch of environments on a server: what :class:`swift_gym.Env` and :class:`swift_gym.VectorEnv` are made of."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import error as gymnasium_error
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from swift_gym import protocol
from swift_gym.channel import Channel
from swift_gym.errors import ProtocolError, ServerError
from swift_gym.framing import REQUEST, frame
from swift_gym.options import option_to_message
from swift_gym.process import lease_server
from swift_gym.protocol import messages
from swift_gym.shared_memory import ResultSet, SharedSteps, is_available
from swift_gym.spaces import LeafLayout, Room, leaf_layouts, space_from_message, take_apart
from swift_gym.specs import EnvironmentSpec
from swift_gym.step_frames import StepRequestFrame, StepResponseFrame
from swift_gym.tensors import WireError, tensor_from_message, truths
from swift_gym.values import leaf_to_message, leaves_from_messages

__all__ = ["RemoteBatch", "ResetResult", "invalid_action", "mark_ended", "split_state"]

_MODES = {
    AutoresetMode.NEXT_STEP: messages.NEXT_STEP,
    AutoresetMode.SAME_STEP: messages.SAME_STEP,
    AutoresetMode.DISABLED: messages.DISABLED,
}
TRANSPORTS = ("auto", "socket", "shared-memory")


class ResetResult:
    """What a reset brought: fresh arrays, the seeds in force, and the message with info and faults."""

    def __init__(self, observation: list[Any], message: messages.ResetResponse) -> None:
        self.observation = observation
        self.message = message


class _Resources:
    """What has to be given back when an environment ends, also when nobody closed it."""

    def __init__(self) -> None:
        self.connection: Channel | None = None
        self.handle = 0
        self.stack = contextlib.ExitStack()
        self._pid = os.getpid()

    def release(self) -> None:
        # A process that was forked has copies of its parent's environments, which are not its to end.
        if os.getpid() != self._pid:
            return
        connection, handle = self.connection, self.handle
        self.connection = None
        with self.stack:
            if connection is not None and handle and not connection.closed:
                request = messages.Request(handle=handle)
                request.close.SetInParent()
                # A server that has gone has closed the environment with it.
                with contextlib.suppress(OSError, gymnasium_error.Error, gymnasium_error.ClosedEnvironmentError):
                    connection.exchange(request)


class RemoteBatch:
    """A handle of a server, and how its environments are reset and stepped."""

    def __init__(
        self,
        environment: str,
        num_envs: int,
        *,
        server: str | Channel | None,
        token: str,
        timeout: float | None,
        autoreset: AutoresetMode,
        render_mode: str | None,
        max_episode_steps: int | None,
        transport: str,
        pass_out_of_bounds: bool,
        check_observations: bool,
        autoreset_options: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> None:
        """Connects, or starts a server, and makes the environments; see :class:`swift_gym.VectorEnv`."""
        if transport not in TRANSPORTS:
            raise ValueError(f"transport is {transport!r}; it is one of {', '.join(TRANSPORTS)}")
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; it has to be at least 1")
        request = messages.Request()
        make = request.make
        make.id = environment
        make.num_envs = num_envs
        make.autoreset = _MODES[autoreset]
        make.render_mode = render_mode or ""
        make.pass_out_of_bounds = pass_out_of_bounds
        make.check_observations = check_observations
        if max_episode_steps is not None:
            # Gymnasium says "none" with -1.
            make.max_episode_steps = max(0, max_episode_steps)
        _add_options(make.options, options)
        _add_options(make.autoreset_options, autoreset_options or {})

        resources = _Resources()
        # Runs when the environment is collected, and at the end of the process.
        self._finalizer = weakref.finalize(self, resources.release)
        try:
            if isinstance(server, Channel):
                self.connection = server
            else:
                address = resources.stack.enter_context(lease_server(server))
                self.connection = Channel(address, token=token, timeout=timeout)
                resources.stack.callback(self.connection.close)
            resources.connection = self.connection
            response = self._make(request, transport)
            resources.handle = self.handle = response.handle
            with self.connection.understanding():
                self._take_over(response, request.make)
        except BaseException:
            self._finalizer()
            raise

    def _make(self, request: messages.Request, transport: str) -> messages.MakeResponse:
        shared = transport != "socket"
        if transport == "auto":
            shared = is_available() and protocol.SHARED_MEMORY in self.connection.capabilities
        elif shared and not is_available():
            raise gymnasium_error.UnsupportedMode("shared memory needs Linux on x86-64; take transport='socket'")
        if shared:
            request.make.transport = messages.SHARED_MEMORY
            try:
                return self.connection.exchange(request).make
            except ServerError as refusal:
                # Ragged spaces cannot be shared.
                if transport != "auto" or refusal.code != "UNSUPPORTED_CAPABILITY":
                    raise
        request.make.transport = messages.SOCKET
        return self.connection.exchange(request).make

    def _take_over(self, response: messages.MakeResponse, asked: messages.MakeRequest) -> None:
        if (response.num_envs, response.autoreset) != (asked.num_envs, asked.autoreset) or not response.handle:
            raise WireError(
                f"asked for {asked.num_envs} environments with autoreset {asked.autoreset}, the server made "
                f"{response.num_envs} with {response.autoreset}, of handle {response.handle}"
            )
        self.spec = EnvironmentSpec.from_message(response.spec)
        self.num_envs: int = response.num_envs
        self.max_episode_steps: int | None = response.max_episode_steps or None
        room = Room()
        self.observation_space = space_from_message(response.observation_space, room)
        self.action_space = space_from_message(response.action_space, room)
        # Batched, each takes as many times what it takes single, and itself once more; ragged leaves become tuples.
        room = Room((self.num_envs + 1) * room.used + 2)
        self.batched_observation_space = space_from_message(response.batched_observation_space, room)
        self.batched_action_space = space_from_message(response.batched_action_space, room)
        self.observation_layouts = leaf_layouts(self.observation_space)
        self.action_layouts = leaf_layouts(self.action_space)
        self.same_step = response.autoreset == messages.SAME_STEP
        steps: SharedSteps | SocketSteps
        if response.transport == messages.SHARED_MEMORY:
            descriptor = self.connection.take_descriptor()
            if descriptor is None:
                raise ProtocolError("the shared memory's descriptor did not come with the answer")
            steps = SharedSteps(
                self.connection,
                self.handle,
                response.shared_memory,
                descriptor,
                self.observation_layouts,
                self.action_layouts,
                self.num_envs,
                self.same_step,
            )
        else:
            steps = SocketSteps(
                self.connection,
                self.handle,
                self.observation_layouts,
                self.action_layouts,
                self.num_envs,
            )
        self.steps = steps
        self.transport = "shared-memory" if isinstance(steps, SharedSteps) else "socket"

    # ------------------------------------------------------------------------------------ requests

    @property
    def closed(self) -> bool:
        """Whether the batch was closed here."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Closes the handle, and what was opened for it. Closing twice is harmless."""
        self._finalizer()

    def request(self) -> messages.Request:
        """A request about these environments.

        Raises:
            ClosedEnvironmentError: they are closed.

        """
        if self.closed:
            raise gymnasium_error.ClosedEnvironmentError(f"the environment {self.spec.id} is closed; make a new one")
        if self.steps.is_under_way:
            self.steps.settle()
        return messages.Request(handle=self.handle)

    def reset(
        self,
        seeds: Sequence[int | None],
        mask: bytes,
        options: Mapping[str, Any] | None,
        want_info: bool,
    ) -> ResetResult:
        """Starts episodes: in all environments, or in those of the mask."""
        request = self.request()
        reset = request.reset
        reset.SetInParent()
        for seed in seeds:
            if seed is None:
                reset.seeds.add()
            else:
                if not 0 <= seed < 1 << 64:
                    raise gymnasium_error.Error(f"a seed is a number from 0 to 2**64 - 1, not {seed}")
                reset.seeds.add(value=seed)
        reset.mask = mask
        reset.want_info = want_info
        _add_options(reset.options, options or {})
        response = self.connection.exchange(request).reset
        with self.connection.understanding():
            if len(response.effective_seeds) != self.num_envs:
                raise WireError(f"{len(response.effective_seeds)} seeds are in force for {self.num_envs} environments")
            leaves = leaves_from_messages(
                self.observation_layouts, response.observation, self.num_envs, "the observation"
            )
        return ResetResult([leaf.copy() if isinstance(leaf, np.ndarray) else leaf for leaf in leaves], response)

    def send(self, rows: Sequence[int], actions: Sequence[Any]) -> None:
        """Has the given environments step; :meth:`receive` has what comes of it. The actions are leaves."""
        request = self._asynchronous_request()
        request.send.SetInParent()
        request.send.environment_index[:] = rows
        for layout, batch in zip(self.action_layouts, actions, strict=True):
            try:
                leaf_to_message(layout, batch, request.send.action.add())
            except ValueError as problem:
                raise gymnasium_error.InvalidAction(str(problem)) from None
        self.connection.exchange(request)

    def receive(self, count: int) -> tuple[NDArray[np.intp], ResultSet]:
        """The first ``count`` of the environments that were sent to: which they are, and their results."""
        request = self._asynchronous_request()
        request.receive.count = count
        response = self.connection.exchange(request).receive
        with self.connection.understanding():
            result = results_from_message(response, self.observation_layouts, count, has_indices=True)
        rows = np.array(response.environment_index, np.intp)
        if rows.max() >= self.num_envs:
            raise ProtocolError(f"environment_index names environment {rows.max()} of {self.num_envs}")
        return rows, result

    def _asynchronous_request(self) -> messages.Request:
        request = self.request()
        if self.transport != "socket" or protocol.ASYNCHRONOUS not in self.connection.capabilities:
            raise gymnasium_error.UnsupportedMode(
                f"send and receive need environments made with transport='socket' (these: {self.transport!r}) "
                f"on a server that has the capability {protocol.ASYNCHRONOUS}"
            )
        return request

    def render(self, rows: Sequence[int]) -> list[Any]:
        """A picture (or text) of each of the given environments."""
        request = self.request()
        request.render.environment_index[:] = rows
        frames = self.connection.exchange(request).render.frames
        with self.connection.understanding():
            if len(frames) != max(len(rows), 1):
                raise WireError(f"{len(frames)} pictures came of {max(len(rows), 1)} environments")
            return [
                tensor_from_message(frame.image).copy() if frame.WhichOneof("frame") == "image" else frame.text
                for frame in frames
            ]

    def get_state(self, rows: Sequence[int]) -> list[bytes]:
        """The states of the given environments; of all when none are given."""
        request = self.request()
        request.get_state.SetInParent()
        request.get_state.environment_index[:] = rows
        states = list(self.connection.exchange(request).get_state.states)
        with self.connection.understanding():
            if len(states) != (len(rows) or self.num_envs):
                raise WireError(f"{len(states)} states came of {len(rows) or self.num_envs} environments")
        return states

    def set_state(self, states: Sequence[bytes], rows: Sequence[int]) -> None:
        """Has the given environments (all when none are given) take over states."""
        request = self.request()
        request.set_state.SetInParent()
        request.set_state.environment_index[:] = rows
        request.set_state.states.extend(states)
        self.connection.exchange(request)

    def action_leaves(self, action: Any) -> list[Any]:
        """The leaves of an action, or of a batch of actions.

        Raises:
            InvalidAction: it is not nested as the action space is.

        """
        try:
            return take_apart(self.action_space, action)
        except ValueError as problem:
            raise gymnasium_error.InvalidAction(str(problem)) from None


def _add_options(fields: Any, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        fields.add(name=str(name), value=option_to_message(str(name), value))


def invalid_action(layout: LeafLayout, rows: tuple[int, ...], action: Any) -> gymnasium_error.InvalidAction:
    """What is wrong with a leaf of an action that cannot be written to its tensor."""
    where = f" at {layout.path}" if layout.path else ""
    array = np.asarray(action)
    return gymnasium_error.InvalidAction(
        f"the action{where} is {array.dtype} of shape {array.shape}: {action!r:.200}; "
        f"it has to be {layout.dtype} of shape {(*rows, *layout.shape)}, of the space {layout.space}"
    )


class SocketSteps:
    """Steps of one handle as frames on the socket."""

    def __init__(
        self,
        connection: Channel,
        handle: int,
        observation: list[LeafLayout],
        action: list[LeafLayout],
        num_envs: int,
    ) -> None:
        self._connection = connection
        self._handle = handle
        self._layouts = observation
        self._action_layouts = action
        self._num_envs = num_envs
        self.is_under_way = False
        self._frame: StepRequestFrame | None = None
        self._expected: StepResponseFrame | None = None
        if any(layout.is_ragged for layout in action):
            self.actions: list[Any] = [
                () if layout.dtype is None else np.zeros((num_envs, *layout.shape), layout.dtype) for layout in action
            ]
        else:
            self._frame = StepRequestFrame(handle, action, num_envs)
            self.actions = self._frame.actions
        self._take_id()

    def _take_id(self) -> None:
        """Gives the steps from here on an id of their own."""
        self._id = self._connection.new_step_id()
        if self._frame is not None:
            self._frame.set_id(self._id)
        if not any(layout.is_ragged for layout in self._layouts):
            self._expected = StepResponseFrame(self._id, self._handle, self._layouts, self._num_envs)

    def begin(self, want_info: bool) -> None:
        """Asks for a step with the actions that lie in :attr:`actions`."""
        if self._frame is not None:
            self._frame.set_want_info(want_info)
            self._connection.send_frame(self._frame.content)
        else:
            self._connection.send_frame(memoryview(frame(REQUEST, self._request(want_info).SerializeToString())))
        self.is_under_way = True

    def _request(self, want_info: bool) -> messages.Request:
        request = messages.Request(id=self._id, handle=self._handle)
        request.step.want_info = want_info
        for layout, batch in zip(self._action_layouts, self.actions, strict=True):
            try:
                leaf_to_message(layout, batch, request.step.action.add())
            except ValueError as problem:
                raise gymnasium_error.InvalidAction(str(problem)) from None
        return request

    def settle(self) -> None:
        """Forgets a step that an exception, such as Ctrl-C, made everybody lose interest in."""
        self.is_under_way = False
        self._connection.abandon(self._id)
        self._take_id()

    def finish(self) -> ResultSet:
        """Waits for the step that was begun."""
        expected = self._expected
        try:
            content = None if expected is None else self._connection.next_expected(expected)
            if content is None:
                response = self._connection.wait(self._id, "step").step
        except Exception:
            # Answered, in its way. What is no Exception, such as Ctrl-C, leaves it under way.
            self.is_under_way = False
            raise
        self.is_under_way = False
        if content is None:
            with self._connection.understanding():
                return results_from_message(response, self._layouts, self._num_envs)
        assert expected is not None
        return ResultSet(
            expected.observation(content),
            [],
            expected.rewards(content),
            expected.terminated(content),
            expected.truncated(content),
        )


def results_from_message(
    response: messages.StepResponse, layouts: Sequence[LeafLayout], rows: int, *, has_indices: bool = False
) -> ResultSet:
    """What the response to a step, or to receive, says of its rows.

    Args:
        has_indices: whether it has to say which environment each row is.

    Raises:
        WireError: it contradicts itself or the space.

    """
    if len(response.rewards) != 8 * rows or not len(response.terminated) == len(response.truncated) == rows:
        raise WireError(f"a step's rewards and flags are not those of {rows} environments")
    if has_indices and len(response.environment_index) != rows:
        raise WireError(f"environment_index names {len(response.environment_index)} environments for {rows} rows")
    final_rows = None
    final: list[Any] = []
    observation = leaves_from_messages(layouts, response.observation, rows, "the observation")
    if response.final_observation:
        final_rows = np.array(response.final_index, np.intp)
        if final_rows.size and final_rows.max() >= rows:
            raise WireError(f"final_index names row {final_rows.max()} of {rows}")
        final = leaves_from_messages(layouts, response.final_observation, len(final_rows), "the final observation")
    return ResultSet(
        observation=observation,
        final_observation=final,
        rewards=np.frombuffer(response.rewards, "<f8"),
        terminated=truths(np.frombuffer(response.terminated, np.uint8)),
        truncated=truths(np.frombuffer(response.truncated, np.uint8)),
        message=response if response.info or response.final_info or response.faults else None,
        final_rows=final_rows,
    )


def mark_ended(state: bytes, has_ended: bool) -> bytes:
    """A server's state, and before it whether its episode has ended, which an Env has to know without asking."""
    return (b"\1" if has_ended else b"\0") + state


def split_state(state: bytes) -> tuple[bytes, bool]:
    """What :func:`mark_ended` put together.

    Raises:
        ValueError: it was not made so.

    """
    if not isinstance(state, bytes) or state[:1] not in (b"\0", b"\1"):
        raise ValueError("this is not a state that get_state returned")
    return state[1:], state[:1] == b"\1"
