"""Frames on a stream socket: eight bytes of header, then a protobuf message."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["HEADER_SIZE", "NOTICE", "REQUEST", "RESPONSE", "Frame", "FrameError", "FrameReader", "frame", "header"]

REQUEST = 1
RESPONSE = 2
NOTICE = 3
_NAMES = {REQUEST: "request", RESPONSE: "response", NOTICE: "notice"}

# Length of the body (u32), kind (u8), flags (u8), reserved (u16), little-endian.
_HEADER = struct.Struct("<IBBH")
HEADER_SIZE = _HEADER.size

_INITIAL_CAPACITY = 64 << 10
# Room for one descriptor; the kernel drops what does not fit.
_ANCILLARY_SIZE = socket.CMSG_SPACE(4)
# Descriptors that are kept until they are taken: one for each make under way.
_MOST_DESCRIPTORS = 16


class FrameError(Exception):
    """What came is not a frame. ``too_large`` tells a body over the limit from a malformed header."""

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


@dataclass
class Frame:
    """A frame as it came; its body is valid until the next one is read."""

    kind: int
    body: memoryview


def header(kind: int, size: int) -> bytes:
    """The header of a frame whose body has ``size`` bytes.

    Raises:
        FrameError: the body is larger than a frame can say.

    """
    if size > 0xFFFF_FFFF:
        raise FrameError(f"a frame's body has at most {0xFFFF_FFFF} bytes, not {size}", too_large=True)
    return _HEADER.pack(size, kind, 0, 0)


def frame(kind: int, body: bytes) -> bytes:
    """A frame, ready to be sent.

    Raises:
        FrameError: the body is larger than a frame can say.

    """
    return header(kind, len(body)) + body


class FrameReader:
    """Reads frames from a socket into memory that is used again for each.

    What the other side says about sizes is believed only as far as its bytes arrive: the memory grows with them.
    """

    def __init__(self, stream: socket.socket, max_body: int, kinds: tuple[int, ...]) -> None:
        """A reader of frames of the given kinds, with bodies up to ``max_body`` bytes."""
        self.max_body = max_body
        self.bytes_received = 0
        self.deadline: float | None = None
        """The moment, of ``time.monotonic``, after which no more bytes are waited for; ``None``: never."""
        self._kinds = kinds
        self._socket = stream
        self._memory = bytearray(_INITIAL_CAPACITY)
        self._view = memoryview(self._memory)
        self._start = 0
        self._end = 0
        self._descriptors: list[int] = []

    def next(self) -> Frame | None:
        """The next frame; ``None`` when the other side has closed between two frames.

        Raises:
            FrameError: what came is not a frame.
            BlockingIOError: a receive took as long as the socket allows, or :attr:`deadline` has passed; what came is
                kept.
            OSError: the socket failed.

        """
        if self._start == self._end:
            self._start = self._end = 0
        if not self._fill(HEADER_SIZE):
            return None
        length, kind, flags, reserved = _HEADER.unpack_from(self._memory, self._start)
        if kind not in self._kinds:
            taken = " or ".join(f"{taken} ({_NAMES[taken]})" for taken in self._kinds)
            raise FrameError(f"the frame's kind is {kind}; what is taken here is {taken}")
        if flags or reserved:
            raise FrameError("the frame's flags and reserved bytes have to be 0")
        if length > self.max_body:
            raise FrameError(
                f"the frame's body is said to have {length} bytes; at most {self.max_body} are taken", too_large=True
            )
        self._fill(HEADER_SIZE + length)
        start = self._start + HEADER_SIZE
        self._start = start + length
        return Frame(kind, self._view[start : self._start])

    def next_expected(self, size: int, fits: Callable[[bytearray], bool]) -> bytes | None:
        """The next frame, if it has this size and is what ``fits`` expects; else ``None``, and it is left for ``next``.

        Raises:
            OSError: the socket failed.

        """
        if self._start != self._end or size > len(self._memory):
            return None
        self._start = 0
        # Nothing that passes descriptors is expected here; the kernel closes one that comes.
        self._end = received = self._socket.recv_into(self._memory)
        self.bytes_received += received
        if received < size or not fits(self._memory):
            return None
        self._start = size
        return bytes(self._view[:size])

    @property
    def has_buffered_bytes(self) -> bool:
        """Whether bytes of another frame are here already."""
        return self._end > self._start

    def take_descriptor(self) -> int | None:
        """The oldest descriptor that came with the frames read so far; the caller closes it."""
        return self._descriptors.pop(0) if self._descriptors else None

    def _keep(self, descriptors: tuple[int, ...]) -> None:
        """Keeps descriptors that came; more than anybody could be waiting for are closed."""
        for descriptor in descriptors:
            if len(self._descriptors) < _MOST_DESCRIPTORS:
                self._descriptors.append(descriptor)
            else:
                os.close(descriptor)

    def close(self) -> None:
        """Closes descriptors that nobody took."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _fill(self, count: int) -> bool:
        """Receives until ``count`` bytes lie at the start; ``False``: the other side closed before the first."""
        while self._end - self._start < count:
            if self.deadline is not None and time.monotonic() >= self.deadline:
                raise BlockingIOError
            if self._end == len(self._memory):
                self._make_room(count)
            received, ancillary, _, _ = self._socket.recvmsg_into(
                [self._view[self._end :]], _ANCILLARY_SIZE, socket.MSG_CMSG_CLOEXEC
            )
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    self._keep(struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4]))
            if received == 0:
                if self._end == self._start and count == HEADER_SIZE:
                    return False
                raise FrameError(
                    f"the connection ended inside a frame: {self._end - self._start} of {count} bytes came"
                )
            self.bytes_received += received
            self._end += received
        return True

    def _make_room(self, count: int) -> None:
        rest = self._end - self._start
        # A new array, since views of the old one may still be in somebody's hands.
        capacity = len(self._memory)
        if rest == capacity:
            capacity = min(max(count, capacity + 1), 2 * capacity)
        memory = bytearray(capacity)
        memory[:rest] = self._view[self._start : self._end]
        self._memory = memory
        self._view = memoryview(memory)
        self._start, self._end = 0, rest
