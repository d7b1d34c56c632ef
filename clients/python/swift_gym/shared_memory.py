"""The shared-memory transport: actions one way, results the other, and a doorbell each way.

**Memory order.** Python has neither atomics nor fences. This module relies on what x86-64 guarantees for plain aligned
stores and loads (TSO: stores are seen in their order, loads are done in theirs), which is all that handing over actions
and results needs: whoever sees the doorbell's word sees what was written before it. One thing TSO does not give is
that a store comes before a later load of another word, and the sleeper words need that: "I rang, then saw nobody
asleep" against "I went to sleep, then saw no ring" must not both be possible. Acquiring a lock is a locked instruction,
hence a full fence; see :func:`_fence`. On other machines the transport is not offered, and environments use the socket.
"""

from __future__ import annotations

import ctypes
import fcntl
import math
import mmap
import os
import platform
import struct
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swift_gym.channel import Channel
from swift_gym.errors import ProtocolError, ServerError, ServerTimeout
from swift_gym.protocol import messages
from swift_gym.spaces import LeafLayout
from swift_gym.tensors import dtype_from_wire

__all__ = ["ResultSet", "SharedSteps", "is_available"]

# Words of the control block, as indices of 32-bit words.
_REQUEST = 0
_REQUEST_FLAGS = 1
_RESPONSE = 16
_STATUS = 17
_REQUEST_SLEEPER = 32
_RESPONSE_SLEEPER = 48
_CONTROL_BYTES = 256

_WANT_INFO = 1

_FRAME_FOLLOWS = 1
_FAILED = 2

_F_GET_SEALS = 1034
_F_SEAL_SHRINK = 2
_F_SEAL_GROW = 4

_SYS_FUTEX = 202
_FUTEX_WAIT = 0
_FUTEX_WAKE = 1

# Looks at the response word before sleeping, some 100 µs. Longer burns a core that the server may need for its work;
# shorter pays a wake-up of some 20 µs for every batch that takes longer.
_LONG_SPIN = range(3000)
# After a wait that outlasted the long spin: some 2 µs. The server may be waiting for this very core, or its steps take
# so long that spinning gains nothing.
_SHORT_SPIN = range(50)
# With one processor, spinning only keeps the server from answering.
_NO_SPIN = range(0)
# So many sleeps later the long spin is tried again.
_SLEEPS_BETWEEN_TRIALS = 64
# Seconds of one sleep; in between, the socket is looked at. A server that died is noticed within this time.
_SLEEP = 0.1


def is_available() -> bool:
    """Whether this machine has what the transport relies on."""
    return sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64") and sys.byteorder == "little"


_lock = threading.Lock()


def _fence() -> None:
    """A full memory fence: taking a free lock is a locked instruction."""
    _lock.acquire()
    _lock.release()


@dataclass(slots=True)
class ResultSet:
    """The results of a step: arrays whose first axis are the environments.

    With shared memory these are views of it: they change when the step after the next is made.
    """

    observation: list[Any]
    final_observation: list[Any]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    message: messages.StepResponse | None = None
    """Info and faults, if there are any."""
    final_rows: NDArray[np.intp] | None = None
    """Which rows ``final_observation`` has; ``None``: it has all rows, valid where an episode ended."""


class SharedSteps:
    """Steps of one handle through memory that the server maps as well."""

    def __init__(
        self,
        connection: Channel,
        handle: int,
        description: messages.SharedMemory,
        descriptor: int,
        observation: list[LeafLayout],
        action: list[LeafLayout],
        num_envs: int,
        same_step: bool,
    ) -> None:
        """Maps the memory.

        Args:
            descriptor: of the memory; it is closed here.

        Raises:
            ProtocolError: the description does not fit the spaces or the memory.

        """
        self._connection = connection
        self._handle = handle
        try:
            size = description.size
            seals = fcntl.fcntl(descriptor, _F_GET_SEALS)
            if not (seals & _F_SEAL_SHRINK and seals & _F_SEAL_GROW):
                raise ProtocolError("the shared memory is not sealed: it could shrink under its users")
            if not 0 < size <= os.fstat(descriptor).st_size:
                raise ProtocolError(f"the shared memory is said to have {size} bytes, which it has not")
            # Without trackfd, Python keeps a descriptor of its own for as long as the memory is mapped.
            untracked: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
            self._memory = mmap.mmap(descriptor, size, **untracked)
        except OSError as problem:
            raise ProtocolError(f"the shared memory cannot be mapped: {problem}") from None
        finally:
            os.close(descriptor)
        control = description.control_offset
        if control % 64 or control > size - _CONTROL_BYTES:
            raise ProtocolError("the control block is not inside the shared memory")
        self._taken = [(control, control + _CONTROL_BYTES, "the control block")]
        self._control = memoryview(self._memory)[control : control + _CONTROL_BYTES].cast("I")
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory)) + control
        self.actions = self._views(description.actions, action, num_envs)
        if len(description.results) != 2:
            raise ProtocolError(f"the shared memory has {len(description.results)} sets of results, not 2")
        self.results = [self._result_set(regions, observation, num_envs, same_step) for regions in description.results]
        connection.expect_steps(handle)
        self._number = 0
        self.is_under_way = False
        """Whether a step was begun and not finished."""
        self._wants_info = False
        self._has_processors = len(os.sched_getaffinity(0)) > 1
        self._spin = _LONG_SPIN if self._has_processors else _NO_SPIN
        self._sleeps = 0

    def _result_set(
        self, regions: messages.ResultRegions, observation: list[LeafLayout], num_envs: int, same_step: bool
    ) -> ResultSet:
        def column(region: messages.Region, dtype: Any) -> Any:
            return self._view(region, np.dtype(dtype), (num_envs,))

        return ResultSet(
            observation=self._views(regions.observation, observation, num_envs),
            final_observation=self._views(regions.final_observation, observation, num_envs) if same_step else [],
            rewards=column(regions.rewards, "<f8"),
            terminated=column(regions.terminated, np.bool_),
            truncated=column(regions.truncated, np.bool_),
        )

    def _views(self, regions: Any, layouts: list[LeafLayout], num_envs: int) -> list[Any]:
        if len(regions) != len(layouts):
            raise ProtocolError(f"the shared memory has {len(regions)} regions for {len(layouts)} leaves")
        return [
            self._view(region, layout.dtype, (num_envs, *layout.shape))
            for region, layout in zip(regions, layouts, strict=True)
        ]

    def _view(self, region: messages.Region, dtype: np.dtype[Any] | None, shape: tuple[int, ...]) -> NDArray[Any]:
        if dtype is None or dtype_from_wire(region.dtype) != dtype or tuple(region.shape) != shape:
            raise ProtocolError(f"a region of the shared memory is not {dtype} of shape {shape}")
        count = math.prod(shape)
        start, end = region.offset, region.offset + count * dtype.itemsize
        if start % 64 or end > len(self._memory):
            raise ProtocolError("a region is not inside the shared memory")
        # Results that lie in each other's place, or actions in theirs, would not be what the server says they are.
        for other_start, other_end, name in self._taken:
            if start < other_end and other_start < end:
                raise ProtocolError(f"a region of {dtype} of shape {shape} overlaps {name}")
        self._taken.append((start, end, f"another of {dtype} of shape {shape}"))
        return np.frombuffer(self._memory, dtype, count, region.offset).reshape(shape)

    # ------------------------------------------------------------------------------------ stepping

    def begin(self, want_info: bool) -> None:
        """Asks for a step with the actions that lie in :attr:`actions`."""
        if self._connection.closed:
            # The server may not have heard of it yet, and would step.
            self._connection.check_alive()
        control = self._control
        self.is_under_way = True
        if want_info is not self._wants_info:
            self._wants_info = want_info
            control[_REQUEST_FLAGS] = _WANT_INFO if want_info else 0
        self._number = number = (self._number + 1) & 0xFFFF_FFFF
        control[_REQUEST] = number
        _lock.acquire()
        _lock.release()
        if control[_REQUEST_SLEEPER]:
            _futex(self._address + 4 * _REQUEST, _FUTEX_WAKE, 0x7FFF_FFFF, None)

    def finish(self) -> ResultSet:
        """Waits for the step that was begun.

        Raises:
            ServerError: the server refused; nothing was stepped.
            ServerDied: the server has gone.

        """
        control = self._control
        number = self._number
        for _ in self._spin:
            if control[_RESPONSE] == number:
                break
        else:
            self._sleep(number)
            if self._has_processors:
                self._sleeps += 1
                self._spin = _SHORT_SPIN if self._sleeps % _SLEEPS_BETWEEN_TRIALS else _LONG_SPIN
        self.is_under_way = False
        if control[_STATUS]:
            return self._collect()
        # Step number s, from 1, writes set (s - 1) mod 2.
        result = self.results[(number - 1) & 1]
        result.message = None
        return result

    def settle(self) -> None:
        """Lets a step end that an exception, such as Ctrl-C, made everybody lose interest in.

        Before that nothing may be asked of the handle, nor may actions be written: the server may yet read them.
        """
        self._sleep(self._number)
        self.is_under_way = False
        if self._control[_STATUS]:
            try:
                self._collect()
            except ServerError as refusal:
                if isinstance(refusal, ConnectionError):
                    raise

    def _collect(self) -> ResultSet:
        """Takes the frame that goes with a step."""
        result = self.results[(self._number - 1) & 1]
        result.message = None
        status = self._control[_STATUS]
        if status in (_FRAME_FOLLOWS, _FAILED):
            response = self._connection.wait_for_step(self._handle)
            if response.WhichOneof("message") != "step":
                raise ProtocolError("the frame about a step in shared memory is of another kind")
            result.message = response.step
        else:
            self._connection.check_alive()
            raise ProtocolError(f"the server closed the handle (status {status})")
        return result

    def _sleep(self, number: int) -> None:
        """Sleeps until the response word is ``number``, looking after the server in between."""
        control = self._control
        timeout = self._connection.timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while True:
                control[_RESPONSE_SLEEPER] = 1
                _fence()
                shown = control[_RESPONSE]
                if shown == number:
                    return
                _futex(self._address + 4 * _RESPONSE, _FUTEX_WAIT, shown, _SLEEP)
                if control[_RESPONSE] == number:
                    return
                self._connection.check_alive()
                if deadline is not None and time.monotonic() > deadline:
                    self._connection.close()
                    raise ServerTimeout(f"the server did not answer a step within {timeout} seconds")
        finally:
            control[_RESPONSE_SLEEPER] = 0


_syscall = None


def _futex(address: int, operation: int, value: int, seconds: float | None) -> None:
    """The system call; waits may end early, which those who wait expect."""
    global _syscall
    if _syscall is None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall.restype = ctypes.c_long
        libc.syscall.argtypes = [
            ctypes.c_long,
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_uint32,
            ctypes.c_char_p,
            ctypes.c_void_p,
            ctypes.c_uint32,
        ]
        _syscall = libc.syscall
    limit = None if seconds is None else struct.pack("@ll", int(seconds), int(seconds % 1 * 1e9))
    _syscall(_SYS_FUTEX, address, operation, value, limit, None, 0)
