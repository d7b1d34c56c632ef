"""One environment of a server as a :class:`gymnasium.Env`."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import error as gymnasium_error
from gymnasium import logger, spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode

from swift_gym.batch import RemoteBatch, invalid_action, mark_ended, split_state
from swift_gym.channel import Channel
from swift_gym.errors import EnvironmentFault
from swift_gym.info import single_info
from swift_gym.spaces import LeafLayout, row_of
from swift_gym.specs import EnvironmentSpec
from swift_gym.tensors import truths

__all__ = ["Env"]

# Rewards are Python's floats, as in most of Gymnasium's environments. In these they are other numbers, and code that
# compares environments (check_environments_match) compares types, too.
_REWARD_TYPES: dict[str, Callable[[float], Any]] = {
    "Pendulum-v1": np.float64,
    "LunarLander-v3": np.float64,
    "LunarLanderContinuous-v3": np.float64,
    "BipedalWalker-v3": np.float32,
    "BipedalWalkerHardcore-v3": np.float32,
}
# Toy text has Python's integers: as observations, and, but for Blackjack, as rewards that are whole.
_WITH_INTEGERS = frozenset(
    {
        "Blackjack-v1",
        "CliffWalking-v1",
        "CliffWalkingSlippery-v1",
        "FrozenLake-v1",
        "FrozenLake8x8-v1",
        "Taxi-v4",
    }
)
_WITH_INTEGER_REWARDS = _WITH_INTEGERS - {"Blackjack-v1"}
# The probability that a reset tells is the integer 1 in these.
_WITH_INTEGER_CERTAINTY = _WITH_INTEGER_REWARDS - {"Taxi-v4"}


class Env(gymnasium.Env[Any, Any]):
    """One environment of a server.

    Observations, rewards, flags and infos are what the same environment in this process would give. A step after the
    end of an episode raises :class:`gymnasium.error.ResetNeeded`.

    Args:
        environment: the id on the server, such as ``CartPole-v1``.
        server: ``unix:PATH``, or an open :class:`swift_gym.Connection`; without it the server in the environment
            variable ``SWIFT_GYM_SERVER``; without that one that is started for this process and ended with its last
            environment.
        render_mode: ``None``, or one of the environment's; ``human`` comes with :func:`gymnasium.make`.
        max_episode_steps: after so many steps the server truncates an episode; ``None``: as registered there, 0: never.
        transport: ``shared-memory``, ``socket``, or ``auto``: shared memory where server, spaces and machine allow it.
        pass_out_of_bounds: hands finite actions outside the bounds of a box to the environment, as Gymnasium does;
            most clip them. Otherwise they are :class:`gymnasium.error.InvalidAction`.
        check_observations: has the server check each observation against its space.
        want_info: whether steps ask for ``info``; resets always do.
        token: what a server that was started with a token asks for.
        timeout: seconds that the server has for each answer; ``None`` waits for ever.
        **options: the environment's own options, such as ``gravity=9.8``.

    Raises:
        ServerNotFound: there is no server, and none could be started.
        NameNotFound: the server has no such environment.
        InvalidOption: the environment has no such option, or does not take this value.

    """

    # What some environment has: before one is made, gymnasium.make warns of other modes.
    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 50}

    def __init__(
        self,
        environment: str,
        *,
        server: str | Channel | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
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
                "a server has no screen: make the environment with gymnasium.make, which shows it through its "
                "HumanRendering wrapper, or wrap one of render_mode='rgb_array'"
            )
        self._batch = RemoteBatch(
            environment,
            1,
            server=server,
            token=token,
            timeout=timeout,
            # Not to have episodes restarted behind anybody's back, see step, but since it makes the reset after an
            # episode's end a step: through shared memory that takes a tenth of the time of a request.
            autoreset=AutoresetMode.NEXT_STEP,
            render_mode=render_mode,
            max_episode_steps=max_episode_steps,
            transport=transport,
            pass_out_of_bounds=pass_out_of_bounds,
            check_observations=check_observations,
            autoreset_options=None,
            options=options,
        )
        batch = self._batch
        self.render_mode = render_mode
        self.metadata = batch.spec.metadata
        self.observation_space = batch.observation_space
        self.action_space = batch.action_space
        self._want_info = want_info
        self._reward_type = _REWARD_TYPES.get(batch.spec.id)
        self._has_integer_rewards = batch.spec.id in _WITH_INTEGER_REWARDS
        self._has_ended = False
        self._write_action = _action_writer(batch)
        self._read_observation = _observation_reader(batch)
        self._steps = batch.steps
        self._begin = batch.steps.begin
        self._finish = batch.steps.finish

    @property
    def remote_spec(self) -> EnvironmentSpec:
        """What the server says of the environment: its options, limits and modes."""
        return self._batch.spec

    @property
    def transport(self) -> str:
        """``shared-memory`` or ``socket``: how steps travel."""
        return self._batch.transport

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: gives the environment a new generator; ``None`` leaves it as it stands. 0 is a seed like any other.
            options: the environment's reset options.

        """
        if seed is None and self._has_ended and not options:
            return self._reset_by_step()
        super().reset(seed=seed)
        self._has_ended = False
        result = self._batch.reset([] if seed is None else [seed], b"", options, want_info=True)
        message = result.message
        if message.faults:
            raise EnvironmentFault(message.faults[0].message)
        if self._np_random is None and message.effective_seeds:
            # The server drew a seed; here it becomes known, and a generator like the server's exists.
            self._np_random, self._np_random_seed = seeding.np_random(message.effective_seeds[0])
        with self._batch.connection.understanding():
            info = self._reset_info(single_info(message.info))
            return self._read_observation(result.observation), info

    def _reset_info(self, info: dict[str, Any]) -> dict[str, Any]:
        if self._batch.spec.id in _WITH_INTEGER_CERTAINTY and info.get("prob") == 1:
            info["prob"] = 1
        return info

    def _reset_by_step(self) -> tuple[Any, dict[str, Any]]:
        """Has the server restart the ended episode, which a step does: its action is not looked at."""
        self._batch.request()
        self._begin(True)
        result = self._finish()
        info: dict[str, Any] = {}
        if result.message is not None:
            if result.message.faults:
                raise EnvironmentFault(result.message.faults[0].message)
            with self._batch.connection.understanding():
                info = self._reset_info(single_info(result.message.info))
        self._has_ended = False
        return self._read_observation(result.observation), info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Steps the environment.

        Raises:
            InvalidAction: the action is not in the action space; nothing was stepped.
            ResetNeeded: there is no episode, or it has ended.
            EnvironmentFault: the environment failed; it goes on after a reset.
            ServerDied: the server has gone.

        """
        if self._steps.is_under_way:
            self._steps.settle()
        self._write_action(action)
        if self._has_ended:
            # The server would restart it.
            raise gymnasium_error.ResetNeeded("the episode has ended; call reset() before the next step")
        self._begin(self._want_info)
        result = self._finish()
        info: dict[str, Any] = {}
        if result.message is not None:
            if result.message.faults:
                self._has_ended = True
                raise EnvironmentFault(result.message.faults[0].message)
            with self._batch.connection.understanding():
                info = single_info(result.message.info)
        terminated, truncated = result.terminated.item(0), result.truncated.item(0)
        self._has_ended = terminated or truncated
        reward = result.rewards.item(0)
        if self._reward_type is not None or self._has_integer_rewards:
            reward = self._typed_reward(reward, terminated)
        return self._read_observation(result.observation), reward, terminated, truncated, info

    def _typed_reward(self, reward: float, terminated: bool) -> Any:
        """The reward as a number of the type that Gymnasium's environment gives."""
        if self._has_integer_rewards:
            return int(reward) if reward.is_integer() else reward
        assert self._reward_type is not None
        # The rewards for falling, crashing and landing are written as whole numbers there.
        return int(reward) if terminated and abs(reward) == 100 else self._reward_type(reward)

    def render(self) -> Any:
        """A picture of the environment, as its ``render_mode`` says."""
        if self.render_mode is None:
            logger.warn(
                "You are calling render method without specifying any render mode. "
                'You can specify the render_mode at initialization, e.g. gymnasium.make(..., render_mode="rgb_array")'
            )
            return None
        return self._batch.render([])[0]

    def get_state(self) -> bytes:
        """All of the environment, its generator and episode included, if it is ``remote_spec.restorable``."""
        return mark_ended(self._batch.get_state([])[0], self._has_ended)

    def set_state(self, state: bytes) -> None:
        """Goes on from where :meth:`get_state` was called, here or on another of the same id and options."""
        server_state, has_ended = split_state(state)
        self._batch.set_state([server_state], [])
        self._has_ended = has_ended

    def close(self) -> None:
        """Closes the environment; ends the connection and the server if they were opened for it."""
        batch = getattr(self, "_batch", None)
        if batch is not None and not batch.closed:
            batch.close()
            self._write_action = _refuse_closed


def _refuse_closed(action: Any) -> None:
    raise gymnasium_error.ClosedEnvironmentError("the environment is closed; make a new one")


def _action_writer(batch: RemoteBatch) -> Callable[[Any], None]:
    """A function that writes an action to where steps are sent from, after checking dtype and shape.

    Values are the server's to check: it has to do so anyway.
    """
    space, layouts = batch.action_space, batch.action_layouts
    leaves = batch.steps.actions
    if isinstance(space, spaces.Discrete):
        layout = layouts[0]
        place = memoryview(leaves[0]).cast("B").cast("q")

        def write_discrete(action: Any) -> None:
            try:
                place[0] = index(action)
            except (TypeError, ValueError, OverflowError):
                raise invalid_action(layout, (), action) from None

        return write_discrete
    if len(layouts) == 1 and not isinstance(space, (spaces.Dict, spaces.Tuple)) and not layouts[0].is_ragged:
        return _row_writer(layouts[0], leaves[0][0:1].reshape(layouts[0].shape))

    def write_leaves(action: Any) -> None:
        for position, (layout, leaf) in enumerate(zip(layouts, batch.action_leaves(action), strict=True)):
            if layout.is_ragged:
                leaves[position] = (leaf,)
            else:
                _row_writer(layout, leaves[position][0:1].reshape(layout.shape))(leaf)

    return write_leaves


def _row_writer(layout: LeafLayout, row: np.ndarray[Any, Any]) -> Callable[[Any], None]:
    shape = layout.shape

    def write(action: Any) -> None:
        array = action if isinstance(action, np.ndarray) else np.asarray(action)
        if array.shape != shape:
            raise invalid_action(layout, (), action)
        try:
            np.copyto(row, array, casting="same_kind")
        except TypeError:
            raise invalid_action(layout, (), action) from None

    return write


def _observation_reader(batch: RemoteBatch) -> Callable[[list[Any]], Any]:
    """A function that takes the one environment's observation out of a batch, as a copy."""
    space = batch.observation_space
    if batch.spec.id in _WITH_INTEGERS:
        if isinstance(space, spaces.Tuple):
            return lambda leaves: tuple(leaf.item(0) for leaf in leaves)
        return lambda leaves: leaves[0].item(0)
    if isinstance(space, spaces.Box) and space.shape and space.dtype == np.bool_:
        return lambda leaves: truths(leaves[0][0])
    if isinstance(space, spaces.Box) and space.shape:
        return lambda leaves: leaves[0][0].copy()
    return lambda leaves: _first_row(batch, leaves)


def _first_row(batch: RemoteBatch, leaves: list[Any]) -> Any:
    return row_of(batch.observation_layouts, leaves, batch.observation_space, 0)


def make_unlimited(**arguments: Any) -> Env:
    """The entry point of the registrations: Gymnasium's own ``TimeLimit`` counts steps, so the server does not."""
    return Env(max_episode_steps=0, **arguments)


# gymnasium.make looks here for what it can wrap to get other render modes.
make_unlimited.metadata = Env.metadata  # type: ignore[attr-defined]
