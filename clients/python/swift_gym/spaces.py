"""Spaces, as Gymnasium has them and as the protocol sends them, and the leaves that they are made of.

A batch of members travels as *leaves*: dictionaries and tuples are taken apart, depth first and in order, and every
other space is a leaf. A leaf of fixed size is one tensor whose first axis are the environments; a ragged one (text,
sequence, graph, one-of) is a list of values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from swift_gym.protocol import messages
from swift_gym.tensors import (
    MOST_AXES,
    WireError,
    dtype_from_wire,
    dtype_to_wire,
    tensor_from_message,
    tensor_to_message,
)

__all__ = [
    "MOST_ELEMENTS",
    "LeafLayout",
    "Room",
    "assemble",
    "leaf_layouts",
    "members_of",
    "row_of",
    "space_from_message",
    "space_to_message",
    "take_apart",
    "take_apart_once",
]


# Elements that the spaces of one message may have, all of them together: 16 million, those of 160 pictures of
# an arcade game. A box's bound may be a scalar, so that a message says nothing of how large its space becomes.
MOST_ELEMENTS = 1 << 24


class Room:
    """How many elements spaces may still have."""

    def __init__(self, most: int = MOST_ELEMENTS) -> None:
        self._most = most
        self.used = 0

    def take(self, shape: Sequence[int]) -> None:
        """Takes room for so many elements, at least for one.

        Raises:
            WireError: there is not so much.

        """
        if len(shape) > MOST_AXES:
            raise WireError(f"a space has {len(shape)} axes; at most {MOST_AXES} are taken")
        self.used += max(math.prod(shape), 1)
        if self.used > self._most:
            raise WireError(f"spaces have more than {self._most} elements, one of them of shape {tuple(shape)}")


def _uniform(bound: NDArray[Any]) -> NDArray[Any]:
    """The one value of all elements as a scalar, when there is one."""
    if bound.size > 1 and np.all(bound == bound.flat[0]):
        return np.array(bound.flat[0])
    return bound


def space_to_message(space: spaces.Space[Any]) -> messages.Space:
    """The space as a message.

    Raises:
        WireError: the protocol has no such space.

    """
    message = messages.Space()
    if isinstance(space, spaces.Box):
        message.box.shape[:] = space.shape
        tensor_to_message(_uniform(space.low), message.box.low)
        tensor_to_message(_uniform(space.high), message.box.high)
    elif isinstance(space, spaces.Discrete):
        message.discrete.n = int(space.n)
        message.discrete.start = int(space.start)
    elif isinstance(space, spaces.MultiDiscrete):
        message.multi_discrete.shape[:] = space.nvec.shape
        message.multi_discrete.nvec[:] = space.nvec.reshape(-1).tolist()
        if np.any(space.start != 0):
            message.multi_discrete.start[:] = space.start.reshape(-1).tolist()
    elif isinstance(space, spaces.MultiBinary):
        message.multi_binary.shape[:] = space.shape
    elif isinstance(space, spaces.Text):
        message.text.min_length = space.min_length
        message.text.max_length = space.max_length
        message.text.charset = "".join(space.character_list)
    elif isinstance(space, spaces.Dict):
        message.dict.SetInParent()
        for key, member in space.spaces.items():
            message.dict.entries.add(key=str(key), space=space_to_message(member))
    elif isinstance(space, spaces.Tuple):
        message.tuple.SetInParent()
        message.tuple.spaces.extend(space_to_message(member) for member in space.spaces)
    elif isinstance(space, spaces.Sequence):
        message.sequence.space.CopyFrom(space_to_message(space.feature_space))
        message.sequence.stack = space.stack
    elif isinstance(space, spaces.Graph):
        message.graph.node_space.CopyFrom(space_to_message(space.node_space))
        if space.edge_space is not None:
            message.graph.edge_space.CopyFrom(space_to_message(space.edge_space))
    elif isinstance(space, spaces.OneOf):
        message.one_of.spaces.extend(space_to_message(member) for member in space.spaces)
    else:
        raise WireError(f"the protocol has no space for {type(space).__name__}")
    return message


def space_from_message(message: messages.Space, room: Room | None = None) -> spaces.Space[Any]:
    """The space that the message describes.

    Args:
        room: for how many elements there is room, of this space and of others; by default for :data:`MOST_ELEMENTS`.

    Raises:
        WireError: the message is empty, inconsistent, or of a kind that this version does not know.

    """
    kind = message.WhichOneof("space")
    if kind is None:
        raise WireError("a space is empty, or of a kind that this version does not know")
    room = room or Room()
    room.take(())
    try:
        return _FROM_MESSAGE[kind](getattr(message, kind), room)
    except WireError:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as problem:
        # Gymnasium's own words for what makes no space: text that ends before it begins, bounds the wrong way round.
        raise WireError(f"this is no {kind} space: {problem or type(problem).__name__}") from None


def _box(message: messages.BoxSpace, room: Room) -> spaces.Space[Any]:
    shape = tuple(message.shape)
    room.take(shape)
    low, high = tensor_from_message(message.low), tensor_from_message(message.high)
    for bound in (low, high):
        if bound.shape not in ((), shape):
            raise WireError(f"a box of shape {shape} has a bound of shape {bound.shape}")
    if low.dtype != high.dtype:
        raise WireError("a box's bounds differ in dtype")
    return spaces.Box(
        np.broadcast_to(low, shape).copy(), np.broadcast_to(high, shape).copy(), shape, dtype=low.dtype.type
    )


def _discrete(message: messages.DiscreteSpace, room: Room) -> spaces.Space[Any]:
    if message.n < 1:
        raise WireError(f"a discrete space has {message.n} members")
    return spaces.Discrete(message.n, start=message.start)


def _multi_discrete(message: messages.MultiDiscreteSpace, room: Room) -> spaces.Space[Any]:
    shape = tuple(message.shape)
    room.take(shape)
    try:
        nvec = np.array(message.nvec, np.int64).reshape(shape)
        start = np.array(message.start, np.int64).reshape(shape) if message.start else None
        return spaces.MultiDiscrete(nvec, start=start)
    except (ValueError, AssertionError) as problem:
        raise WireError(f"a multi-discrete space's parts do not fit its shape {shape}: {problem}") from None


def _multi_binary(message: messages.MultiBinarySpace, room: Room) -> spaces.Space[Any]:
    shape = tuple(message.shape)
    room.take(shape)
    return spaces.MultiBinary(shape[0] if len(shape) == 1 else shape)


def _text(message: messages.TextSpace, room: Room) -> spaces.Space[Any]:
    return spaces.Text(message.max_length, min_length=message.min_length, charset=message.charset)


def _dict(message: messages.DictSpace, room: Room) -> spaces.Space[Any]:
    # A sequence of pairs keeps their order, which a mapping would not: Gymnasium sorts those.
    return spaces.Dict([(entry.key, space_from_message(entry.space, room)) for entry in message.entries])


def _tuple(message: messages.TupleSpace, room: Room) -> spaces.Space[Any]:
    return spaces.Tuple([space_from_message(member, room) for member in message.spaces])


def _sequence(message: messages.SequenceSpace, room: Room) -> spaces.Space[Any]:
    return spaces.Sequence(space_from_message(message.space, room), stack=message.stack)


def _graph(message: messages.GraphSpace, room: Room) -> spaces.Space[Any]:
    node = space_from_message(message.node_space, room)
    edge = space_from_message(message.edge_space, room) if message.HasField("edge_space") else None
    for part in (node, edge):
        if part is not None and not isinstance(part, (spaces.Box, spaces.Discrete)):
            raise WireError(f"nodes and edges of a graph are of boxes or discrete spaces, not of {part}")
    return spaces.Graph(node, edge)


def _one_of(message: messages.OneOfSpace, room: Room) -> spaces.Space[Any]:
    return spaces.OneOf([space_from_message(member, room) for member in message.spaces])


_FROM_MESSAGE: dict[str, Callable[[Any, Room], spaces.Space[Any]]] = {
    "box": _box,
    "discrete": _discrete,
    "multi_discrete": _multi_discrete,
    "multi_binary": _multi_binary,
    "text": _text,
    "dict": _dict,
    "tuple": _tuple,
    "sequence": _sequence,
    "graph": _graph,
    "one_of": _one_of,
}


# ---------------------------------------------------------------------------------------------- leaves


@dataclass(frozen=True)
class LeafLayout:
    """A leaf of a space: what one member of it is."""

    path: str
    space: spaces.Space[Any]
    dtype: np.dtype[Any] | None
    """The element type of the tensor; ``None``: the leaf is ragged."""
    shape: tuple[int, ...]
    """The shape of one member, without the axis of environments."""

    @property
    def is_ragged(self) -> bool:
        """Whether members differ in size and travel as values."""
        return self.dtype is None


_INT64 = np.dtype("<i8")


def leaf_layouts(space: spaces.Space[Any], path: str = "") -> list[LeafLayout]:
    """The space's leaves, in the protocol's order."""
    if isinstance(space, spaces.Dict):
        return [leaf for key, member in space.spaces.items() for leaf in leaf_layouts(member, f"{path}/{key}")]
    if isinstance(space, spaces.Tuple):
        return [leaf for index, member in enumerate(space.spaces) for leaf in leaf_layouts(member, f"{path}/{index}")]
    if isinstance(space, spaces.Box):
        return [LeafLayout(path, space, dtype_from_wire(dtype_to_wire(space.dtype)), space.shape)]
    if isinstance(space, spaces.Discrete):
        return [LeafLayout(path, space, _INT64, ())]
    if isinstance(space, spaces.MultiDiscrete):
        return [LeafLayout(path, space, _INT64, space.nvec.shape)]
    if isinstance(space, spaces.MultiBinary):
        return [LeafLayout(path, space, np.dtype("<i1"), space.shape)]
    return [LeafLayout(path, space, None, ())]


def assemble(space: spaces.Space[Any], leaves: Iterator[Any]) -> Any:
    """Puts leaves together again: dictionaries and tuples as Gymnasium nests them."""
    if isinstance(space, spaces.Dict):
        return {key: assemble(member, leaves) for key, member in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(assemble(member, leaves) for member in space.spaces)
    return next(leaves)


def row_of(layouts: Sequence[LeafLayout], leaves: Sequence[Any], space: spaces.Space[Any], row: int) -> Any:
    """One member of a batch; its arrays are copies."""

    def parts() -> Iterator[Any]:
        for layout, leaf in zip(layouts, leaves, strict=True):
            if layout.dtype is None or isinstance(layout.space, spaces.Discrete):
                yield leaf[row]
            else:
                # The dots keep an array of no axes an array.
                yield leaf[row, ...].copy()

    return assemble(space, parts())


def take_apart(space: spaces.Space[Any], member: Any) -> list[Any]:
    """The leaves of a member (or of a batch of members), in the protocol's order.

    Raises:
        WireError: the member is not nested as the space is.

    """
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        parts = zip(members_of(space), take_apart_once(space, member), strict=True)
        return [leaf for part, value in parts for leaf in take_apart(part, value)]
    return [member]


def members_of(space: spaces.Dict | spaces.Tuple[Any]) -> list[spaces.Space[Any]]:
    """The spaces that a dictionary or tuple is made of, in order."""
    return list(space.spaces.values()) if isinstance(space, spaces.Dict) else list(space.spaces)


def take_apart_once(space: spaces.Dict | spaces.Tuple[Any], member: Any) -> list[Any]:
    """The members of a dictionary's or tuple's own spaces, in order."""
    if isinstance(space, spaces.Dict):
        if not isinstance(member, dict) or set(member) != set(space.spaces):
            raise WireError(f"expected a dictionary with the keys {list(space.spaces)}, got {member!r:.200}")
        return [member[key] for key in space.spaces]
    if not isinstance(member, (tuple, list)) or len(member) != len(space.spaces):
        raise WireError(f"expected a tuple of {len(space.spaces)}, got {member!r:.200}")
    return list(member)
