"""Element types and tensors, as NumPy has them and as the protocol sends them."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from swift_gym.protocol import messages

__all__ = [
    "MOST_AXES",
    "WireError",
    "dtype_from_wire",
    "dtype_to_wire",
    "tensor_from_message",
    "tensor_to_message",
    "truths",
]


class WireError(ValueError):
    """Something does not fit the protocol or the space that it should be a member of."""


# What NumPy takes in all its versions.
MOST_AXES = 32
# Elements that a tensor without any would have if its axes of no extent had one.
MOST_EMPTY = 1 << 32

_DTYPES: dict[int, np.dtype[Any]] = {
    messages.BOOL: np.dtype(np.bool_),
    messages.INT8: np.dtype("<i1"),
    messages.INT16: np.dtype("<i2"),
    messages.INT32: np.dtype("<i4"),
    messages.INT64: np.dtype("<i8"),
    messages.UINT8: np.dtype("<u1"),
    messages.UINT16: np.dtype("<u2"),
    messages.UINT32: np.dtype("<u4"),
    messages.UINT64: np.dtype("<u8"),
    messages.FLOAT16: np.dtype("<f2"),
    messages.FLOAT32: np.dtype("<f4"),
    messages.FLOAT64: np.dtype("<f8"),
}
_DTYPE_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}


def dtype_from_wire(number: int) -> np.dtype[Any]:
    """NumPy's dtype for a ``DType`` of the protocol."""
    try:
        return _DTYPES[number]
    except KeyError:
        raise WireError(f"a tensor's dtype is {number}; dtypes are 1 (BOOL) to 12 (FLOAT64)") from None


def dtype_to_wire(dtype: np.dtype[Any]) -> messages.DType:
    """The ``DType`` of the protocol for NumPy's dtype."""
    try:
        return cast("messages.DType", _DTYPE_NUMBERS[dtype.newbyteorder("<")])
    except KeyError:
        raise WireError(f"the protocol has no element type for {dtype}") from None


def tensor_to_message(array: NDArray[Any], message: messages.Tensor | None = None) -> messages.Tensor:
    """The array as a message, row-major and little-endian."""
    if message is None:
        message = messages.Tensor()
    number = dtype_to_wire(array.dtype)
    message.dtype = number
    message.shape[:] = array.shape
    message.data = array.astype(_DTYPES[number], copy=False).tobytes()
    return message


def tensor_from_message(message: messages.Tensor) -> NDArray[Any]:
    """The tensor as an array that cannot be written to: it lies in the message's own memory."""
    dtype = dtype_from_wire(message.dtype)
    shape = tuple(message.shape)
    if len(shape) > MOST_AXES:
        raise WireError(f"a tensor has {len(shape)} axes; at most {MOST_AXES} are taken")
    size = dtype.itemsize * math.prod(shape)
    if len(message.data) != size:
        raise WireError(f"a {dtype} tensor of shape {shape} takes {size} bytes, {len(message.data)} came")
    if size == 0 and math.prod(extent or 1 for extent in shape) > MOST_EMPTY:
        # NumPy does not take these, though there is nothing in them.
        raise WireError(f"a tensor of no elements has the shape {shape}")
    if dtype == np.bool_:
        # Bytes other than 0 and 1 would be undefined as booleans (T1).
        flags = np.frombuffer(message.data, np.uint8)
        if flags.size and flags.max() > 1:
            raise WireError(f"a truth value is {flags.max()}; it is 0 or 1")
        return flags.view(np.bool_).reshape(shape)
    return np.frombuffer(message.data, dtype).reshape(shape)


def truths(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Truth values from bytes that somebody else wrote: whatever is not 0 is true, and NumPy counts on 1."""
    found: NDArray[np.bool_] = np.ascontiguousarray(values).view(np.uint8) != 0
    return found
