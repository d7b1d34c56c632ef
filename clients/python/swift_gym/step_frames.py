"""The frames of a step, laid out once: from step to step only what lies in the tensors changes.

Building and taking apart protobuf messages costs several times what a small step itself does. But all requests for
steps of one handle are the same bytes but for the actions, and so are the responses but for observations, rewards and
flags, as long as no episode ends and there is no info. So the request is a frame in which the actions are written in
place, and a response is compared with the bytes that it should consist of. One that differs, for whatever reason, is
decoded as any other message: servers are free in how they encode.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swift_gym.framing import HEADER_SIZE, REQUEST, RESPONSE, header
from swift_gym.protocol import messages
from swift_gym.spaces import LeafLayout
from swift_gym.tensors import dtype_to_wire, truths

__all__ = ["STEP_IDS", "StepRequestFrame", "StepResponseFrame"]

# The ids of steps begin here: all of them take five bytes, so that a frame keeps its length.
STEP_IDS = 1 << 28

# A piece of a message: bytes that are always the same, or the number of bytes that are not.
_Piece = bytes | int


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _size(pieces: Sequence[_Piece]) -> int:
    return sum(piece if isinstance(piece, int) else len(piece) for piece in pieces)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, *pieces: _Piece) -> list[_Piece]:
    """A field of wire type 2: bytes, a message, or packed numbers."""
    return [_varint(field << 3 | 2) + _varint(_size(pieces)), *pieces]


def _leaves(field: int, layouts: Sequence[LeafLayout], rows: int) -> list[_Piece]:
    pieces: list[_Piece] = []
    for layout in layouts:
        assert layout.dtype is not None
        shape = (rows, *layout.shape)
        data = math.prod(shape) * layout.dtype.itemsize
        tensor = [
            _number(messages.Tensor.DTYPE_FIELD_NUMBER, dtype_to_wire(layout.dtype)),
            *_bytes(messages.Tensor.SHAPE_FIELD_NUMBER, b"".join(map(_varint, shape))),
            *_bytes(messages.Tensor.DATA_FIELD_NUMBER, data),
        ]
        pieces += _bytes(field, *_bytes(messages.Leaf.TENSOR_FIELD_NUMBER, *tensor))
    return pieces


def _frame(kind: int, id: int, handle: int, step: list[_Piece]) -> tuple[list[bytes], list[int]]:
    """A frame's constant pieces, and the sizes of what lies between them; it begins and ends with a constant one."""
    # Fields 1, 2 and 3 of both envelopes.
    body: list[_Piece] = [_number(1, id) + _number(2, handle), *_bytes(3, *step)]
    constants, holes = [bytearray(header(kind, _size(body)))], []
    for piece in body:
        if isinstance(piece, int):
            holes.append(piece)
            constants.append(bytearray())
        else:
            constants[-1] += piece
    return [bytes(constant) for constant in constants], holes


class StepRequestFrame:
    """A request for a step, ready to be sent.

    Attributes:
        actions: the leaves of the actions, in the frame itself: who writes there writes the request.
        content: the frame.

    """

    def __init__(self, handle: int, layouts: Sequence[LeafLayout], num_envs: int) -> None:
        """A frame with actions of zeros, and the id :data:`STEP_IDS`."""
        step = [
            *_leaves(messages.StepRequest.ACTION_FIELD_NUMBER, layouts, num_envs),
            _number(messages.StepRequest.WANT_INFO_FIELD_NUMBER, 0),
        ]
        constants, holes = _frame(REQUEST, STEP_IDS, handle, step)
        size = _size([*constants, *holes])
        # The first leaf, usually the only one, lies aligned in memory.
        padding = -len(constants[0]) % 8
        memory = np.zeros(padding + size, np.uint8)
        frame = memory[padding:]
        self.actions: list[NDArray[Any]] = []
        offset = 0
        for constant, hole, layout in zip(constants, holes, layouts, strict=False):
            frame[offset : offset + len(constant)] = np.frombuffer(constant, np.uint8)
            offset += len(constant)
            self.actions.append(
                frame[offset : offset + hole].view(layout.dtype).reshape((num_envs, *layout.shape))  # type: ignore[arg-type]
            )
            offset += hole
        frame[offset:] = np.frombuffer(constants[-1], np.uint8)
        self.content = frame.data
        self._id = slice(HEADER_SIZE + 1, HEADER_SIZE + 6)

    def set_id(self, id: int) -> None:
        """Gives the request another id, from :data:`STEP_IDS` on."""
        encoded = _varint(id)
        assert len(encoded) == 5
        self.content[self._id] = encoded

    def set_want_info(self, want_info: bool) -> None:
        """Whether the step is to bring info."""
        self.content[-1] = want_info


class StepResponseFrame:
    """What the response to a step looks like as long as no episode ends and there is no info, nor any failure."""

    def __init__(self, id: int, handle: int, layouts: Sequence[LeafLayout], num_envs: int) -> None:
        """The response to the step with this id."""
        step = [
            *_leaves(messages.StepResponse.OBSERVATION_FIELD_NUMBER, layouts, num_envs),
            *_bytes(messages.StepResponse.REWARDS_FIELD_NUMBER, 8 * num_envs),
            *_bytes(messages.StepResponse.TERMINATED_FIELD_NUMBER, num_envs),
            *_bytes(messages.StepResponse.TRUNCATED_FIELD_NUMBER, num_envs),
        ]
        constants, holes = _frame(RESPONSE, id, handle, step)
        self.size = _size([*constants, *holes])
        layout = "".join(f"{len(constant)}s{hole}x" for constant, hole in zip(constants, holes, strict=False))
        self._constants = tuple(constants)
        self._unpack = struct.Struct(f"<{layout}{len(constants[-1])}s").unpack_from
        self._num_envs = num_envs
        offset, starts = 0, []
        for constant, hole in zip(constants, holes, strict=False):
            offset += len(constant)
            starts.append(offset)
            offset += hole
        self._rewards, self._terminated, self._truncated = starts[-3:]
        self._leaves = [
            (layout.dtype, hole // layout.dtype.itemsize, start, (num_envs, *layout.shape))  # type: ignore[union-attr]
            for layout, hole, start in zip(layouts, holes, starts, strict=False)
        ]

    def fits(self, memory: bytearray) -> bool:
        """Whether the memory, of at least :attr:`size` bytes, begins with such a frame."""
        return self._unpack(memory) == self._constants

    def observation(self, frame: bytes) -> list[NDArray[Any]]:
        """The leaves of the observations, which lie in the frame."""
        return [
            # Bytes other than 0 and 1 would be undefined as booleans.
            truths(np.frombuffer(frame, np.uint8, count, start)).reshape(shape)
            if dtype == np.bool_
            else np.frombuffer(frame, dtype, count, start).reshape(shape)
            for dtype, count, start, shape in self._leaves
        ]

    def rewards(self, frame: bytes) -> NDArray[np.float64]:
        """The rewards, which lie in the frame."""
        return np.frombuffer(frame, "<f8", self._num_envs, self._rewards)

    def terminated(self, frame: bytes) -> NDArray[np.bool_]:
        """The flags."""
        return truths(np.frombuffer(frame, np.uint8, self._num_envs, self._terminated))

    def truncated(self, frame: bytes) -> NDArray[np.bool_]:
        """The flags."""
        return truths(np.frombuffer(frame, np.uint8, self._num_envs, self._truncated))
