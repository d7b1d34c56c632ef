"""Spaces and their members, as Gymnasium has them and as the protocol sends them.

A batch of members travels as *leaves*: dictionaries and tuples are taken apart, depth first and in order, and every
other space is a leaf. A leaf of fixed size is one tensor whose first axis are the environments; a ragged one (text,
sequence, graph, one-of) is a list of values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from swift_gym.protocol import messages

__all__ = [
    "LeafLayout",
    "WireError",
    "assemble",
    "leaf_layouts",
    "leaf_to_message",
    "leaves_from_messages",
    "option_from_message",
    "option_to_message",
    "row_of",
    "space_from_message",
    "space_to_message",
    "take_apart",
    "tensor_from_message",
    "tensor_to_message",
    "value_from_message",
    "value_to_message",
]


class WireError(ValueError):
    """Something does not fit the protocol or the space that it should be a member of."""


# ---------------------------------------------------------------------------------------------- element types

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


# ---------------------------------------------------------------------------------------------- tensors


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
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if len(message.data) != size:
        raise WireError(f"a {dtype} tensor of shape {shape} takes {size} bytes, {len(message.data)} came")
    if dtype == np.bool_:
        # Bytes other than 0 and 1 would be undefined as booleans.
        flags: NDArray[Any] = np.frombuffer(message.data, np.uint8) != 0
        return flags.reshape(shape)
    return np.frombuffer(message.data, dtype).reshape(shape)


# ---------------------------------------------------------------------------------------------- spaces


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


def space_from_message(message: messages.Space) -> spaces.Space[Any]:
    """The space that the message describes.

    Raises:
        WireError: the message is empty, inconsistent, or of a kind that this version does not know.

    """
    kind = message.WhichOneof("space")
    if kind is None:
        raise WireError("a space is empty, or of a kind that this version does not know")
    return _FROM_MESSAGE[kind](getattr(message, kind))


def _box(message: messages.BoxSpace) -> spaces.Space[Any]:
    shape = tuple(message.shape)
    low, high = tensor_from_message(message.low), tensor_from_message(message.high)
    for bound in (low, high):
        if bound.shape not in ((), shape):
            raise WireError(f"a box of shape {shape} has a bound of shape {bound.shape}")
    if low.dtype != high.dtype:
        raise WireError("a box's bounds differ in dtype")
    return spaces.Box(
        np.broadcast_to(low, shape).copy(), np.broadcast_to(high, shape).copy(), shape, dtype=low.dtype.type
    )


def _discrete(message: messages.DiscreteSpace) -> spaces.Space[Any]:
    if message.n < 1:
        raise WireError(f"a discrete space has {message.n} members")
    return spaces.Discrete(message.n, start=message.start)


def _multi_discrete(message: messages.MultiDiscreteSpace) -> spaces.Space[Any]:
    shape = tuple(message.shape)
    try:
        nvec = np.array(message.nvec, np.int64).reshape(shape)
        start = np.array(message.start, np.int64).reshape(shape) if message.start else None
        return spaces.MultiDiscrete(nvec, start=start)
    except (ValueError, AssertionError) as problem:
        raise WireError(f"a multi-discrete space's parts do not fit its shape {shape}: {problem}") from None


def _multi_binary(message: messages.MultiBinarySpace) -> spaces.Space[Any]:
    shape = tuple(message.shape)
    return spaces.MultiBinary(shape[0] if len(shape) == 1 else shape)


def _text(message: messages.TextSpace) -> spaces.Space[Any]:
    return spaces.Text(message.max_length, min_length=message.min_length, charset=message.charset)


def _dict(message: messages.DictSpace) -> spaces.Space[Any]:
    # A sequence of pairs keeps their order, which a mapping would not: Gymnasium sorts those.
    return spaces.Dict([(entry.key, space_from_message(entry.space)) for entry in message.entries])


def _tuple(message: messages.TupleSpace) -> spaces.Space[Any]:
    return spaces.Tuple([space_from_message(member) for member in message.spaces])


def _sequence(message: messages.SequenceSpace) -> spaces.Space[Any]:
    return spaces.Sequence(space_from_message(message.space), stack=message.stack)


def _graph(message: messages.GraphSpace) -> spaces.Space[Any]:
    return spaces.Graph(
        space_from_message(message.node_space),
        space_from_message(message.edge_space) if message.HasField("edge_space") else None,
    )


def _one_of(message: messages.OneOfSpace) -> spaces.Space[Any]:
    return spaces.OneOf([space_from_message(member) for member in message.spaces])


_FROM_MESSAGE: dict[str, Callable[[Any], spaces.Space[Any]]] = {
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
        return [LeafLayout(path, space, _DTYPES[dtype_to_wire(space.dtype)], space.shape)]
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
    if isinstance(space, spaces.Dict):
        if not isinstance(member, dict) or set(member) != set(space.spaces):
            raise WireError(f"expected a dictionary with the keys {list(space.spaces)}, got {member!r:.200}")
        return [leaf for key, part in space.spaces.items() for leaf in take_apart(part, member[key])]
    if isinstance(space, spaces.Tuple):
        if not isinstance(member, (tuple, list)) or len(member) != len(space.spaces):
            raise WireError(f"expected a tuple of {len(space.spaces)}, got {member!r:.200}")
        return [leaf for part, value in zip(space.spaces, member, strict=True) for leaf in take_apart(part, value)]
    return [member]


def leaf_to_message(layout: LeafLayout, batch: Any, message: messages.Leaf) -> None:
    """Writes a leaf of a batch: an array with the environments as first axis, or for ragged leaves a sequence."""
    if layout.dtype is not None:
        tensor_to_message(batch, message.tensor)
    else:
        message.values.SetInParent()
        for member in batch:
            value_to_message(layout.space, member, message.values.values.add())


def leaves_from_messages(
    layouts: Sequence[LeafLayout],
    leaves: Sequence[messages.Leaf],
    rows: int | None,
    field: str,
    *,
    lenient: bool = False,
) -> list[Any]:
    """The leaves of a batch as arrays (not to be written to) and, for ragged ones, tuples of members.

    Args:
        rows: how many members there have to be; ``None``: however many there are, at least alike in all leaves.
        field: the message's field, for errors.
        lenient: takes ``None`` for ragged values that are not shaped like members, so that it shows which they are.

    Raises:
        WireError: leaves do not fit the layouts.

    """
    if len(leaves) != len(layouts):
        raise WireError(f"{field} has {len(leaves)} leaves; the space has {len(layouts)}")
    result: list[Any] = []
    for index, (layout, leaf) in enumerate(zip(layouts, leaves, strict=True)):
        if layout.dtype is None:
            if leaf.WhichOneof("leaf") != "values":
                raise WireError(f"leaf {index} of {field} has to be a list of values")
            # An empty value stands in the row of an environment that failed or was never reset.
            batch: Any = tuple(_ragged_member(layout.space, value, lenient) for value in leaf.values.values)
        else:
            if leaf.WhichOneof("leaf") != "tensor":
                raise WireError(f"leaf {index} of {field} has to be a tensor")
            batch = tensor_from_message(leaf.tensor)
            if batch.dtype != layout.dtype or batch.ndim == 0 or batch.shape[1:] != layout.shape:
                count = "n" if rows is None else str(rows)
                expected = f"{layout.dtype} of shape ({', '.join([count, *map(str, layout.shape)])})"
                raise WireError(
                    f"leaf {index} of {field} is {batch.dtype} of shape {batch.shape}; it has to be {expected}"
                )
        if rows is None:
            rows = len(batch)
        if len(batch) != rows:
            raise WireError(f"leaf {index} of {field} has {len(batch)} members; there have to be {rows}")
        result.append(batch)
    return result


def _ragged_member(space: spaces.Space[Any], message: messages.Value, lenient: bool) -> Any:
    if message.WhichOneof("value") is None:
        return None
    try:
        return value_from_message(space, message)
    except WireError:
        if lenient:
            return None
        raise


# ---------------------------------------------------------------------------------------------- values


def value_to_message(space: spaces.Space[Any], member: Any, message: messages.Value | None = None) -> messages.Value:
    """A member of any space as a tree.

    Raises:
        WireError: it is not a member.

    """
    if message is None:
        message = messages.Value()
    if isinstance(space, spaces.Text):
        if not isinstance(member, str):
            raise WireError(f"expected text, got {member!r:.200}")
        message.text = member
    elif isinstance(space, spaces.Dict):
        parts = take_apart_once(space, member)
        message.list.SetInParent()
        for part, value in zip(space.spaces.values(), parts, strict=True):
            value_to_message(part, value, message.list.values.add())
    elif isinstance(space, spaces.Tuple):
        parts = take_apart_once(space, member)
        message.list.SetInParent()
        for part, value in zip(space.spaces, parts, strict=True):
            value_to_message(part, value, message.list.values.add())
    elif isinstance(space, spaces.Sequence):
        members = iterate(space.stacked_feature_space, member) if space.stack else member
        message.list.SetInParent()
        for value in members:
            value_to_message(space.feature_space, value, message.list.values.add())
    elif isinstance(space, spaces.Graph):
        _graph_to_message(space, member, message.graph)
    elif isinstance(space, spaces.OneOf):
        try:
            index, value = member
            part = space.spaces[int(index)]
        except (TypeError, ValueError, IndexError):
            raise WireError(f"expected a pair of an index below {len(space.spaces)} and a member") from None
        message.one_of.index = int(index)
        value_to_message(part, value, message.one_of.value)
    else:
        (layout,) = leaf_layouts(space)
        array = np.asarray(member)
        if array.shape != layout.shape or not np.can_cast(array.dtype, cast("Any", layout.dtype), "same_kind"):
            raise WireError(
                f"expected {layout.dtype} of shape {layout.shape}, got {array.dtype} of shape {array.shape}"
            )
        tensor_to_message(array.astype(layout.dtype, copy=False), message.tensor)
    return message


def take_apart_once(space: spaces.Dict | spaces.Tuple[Any], member: Any) -> list[Any]:
    """The members of a dictionary's or tuple's own spaces, in order."""
    if isinstance(space, spaces.Dict):
        if not isinstance(member, dict) or set(member) != set(space.spaces):
            raise WireError(f"expected a dictionary with the keys {list(space.spaces)}, got {member!r:.200}")
        return [member[key] for key in space.spaces]
    if not isinstance(member, (tuple, list)) or len(member) != len(space.spaces):
        raise WireError(f"expected a tuple of {len(space.spaces)}, got {member!r:.200}")
    return list(member)


def _graph_to_message(space: spaces.Graph, member: Any, message: messages.GraphValue) -> None:
    if not isinstance(member, spaces.GraphInstance):
        raise WireError(f"expected a GraphInstance, got {member!r:.200}")
    (node_layout,) = leaf_layouts(space.node_space)
    tensor_to_message(np.asarray(member.nodes, node_layout.dtype), message.nodes)
    if member.edges is not None and space.edge_space is not None:
        (edge_layout,) = leaf_layouts(space.edge_space)
        tensor_to_message(np.asarray(member.edges, edge_layout.dtype), message.edges)
    links = np.zeros((0, 2), np.int64) if member.edge_links is None else np.asarray(member.edge_links, np.int64)
    tensor_to_message(links, message.edge_links)


def value_from_message(space: spaces.Space[Any], message: messages.Value) -> Any:
    """The member of the space that the message holds.

    Raises:
        WireError: what it holds is not shaped like a member. Bounds are not looked at.

    """
    kind = message.WhichOneof("value")

    def expect(wanted: str) -> None:
        if kind != wanted:
            raise WireError(f"expected a value of kind {wanted!r} for {space}, got {kind!r}")

    if isinstance(space, spaces.Text):
        expect("text")
        return message.text
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        expect("list")
        parts = list(space.spaces.values()) if isinstance(space, spaces.Dict) else list(space.spaces)
        if len(message.list.values) != len(parts):
            raise WireError(f"expected {len(parts)} values, got {len(message.list.values)}")
        members = [value_from_message(part, value) for part, value in zip(parts, message.list.values, strict=True)]
        return dict(zip(space.spaces, members, strict=True)) if isinstance(space, spaces.Dict) else tuple(members)
    if isinstance(space, spaces.Sequence):
        expect("list")
        items = tuple(value_from_message(space.feature_space, value) for value in message.list.values)
        if not space.stack:
            return items
        empty: Any = create_empty_array(space.feature_space, n=len(items))
        return concatenate(space.feature_space, items, empty) if items else empty
    if isinstance(space, spaces.Graph):
        expect("graph")
        graph = message.graph
        nodes = _graph_rows(space.node_space, graph.nodes, "nodes")
        if not graph.HasField("edges"):
            return spaces.GraphInstance(nodes, None, None)
        if space.edge_space is None:
            raise WireError("a graph without an edge space has edges")
        links = tensor_from_message(graph.edge_links)
        if links.dtype != _INT64 or links.ndim != 2 or links.shape[1] != 2:
            raise WireError(f"a graph's edge_links are {links.dtype} of shape {links.shape}; INT64 (edges, 2) is right")
        return spaces.GraphInstance(nodes, _graph_rows(space.edge_space, graph.edges, "edges"), links.copy())
    if isinstance(space, spaces.OneOf):
        expect("one_of")
        index = message.one_of.index
        if index >= len(space.spaces):
            raise WireError(f"a one-of's index is {index}; it has {len(space.spaces)} spaces")
        return np.int64(index), value_from_message(space.spaces[index], message.one_of.value)
    expect("tensor")
    (layout,) = leaf_layouts(space)
    array = tensor_from_message(message.tensor)
    if array.dtype != layout.dtype or array.shape != layout.shape:
        raise WireError(f"expected {layout.dtype} of shape {layout.shape}, got {array.dtype} of shape {array.shape}")
    return array[()] if isinstance(space, spaces.Discrete) else array.copy()


def _graph_rows(space: spaces.Space[Any], message: messages.Tensor, what: str) -> NDArray[Any]:
    (layout,) = leaf_layouts(space)
    rows = tensor_from_message(message)
    if rows.dtype != layout.dtype or rows.ndim == 0 or rows.shape[1:] != layout.shape:
        raise WireError(f"a graph's {what} are {rows.dtype} of shape {rows.shape}; the space is {space}")
    return rows.copy()


def plain_value_to_message(value: Any, message: messages.Value) -> None:
    """A value of ``info``, which belongs to no space: numbers and arrays as tensors, text, and lists of these.

    What the protocol cannot carry is sent as its text.
    """
    if isinstance(value, str):
        message.text = value
    elif isinstance(value, (tuple, list)):
        message.list.SetInParent()
        for item in value:
            plain_value_to_message(item, message.list.values.add())
    else:
        array = np.asarray(value)
        if array.dtype.newbyteorder("<") in _DTYPE_NUMBERS:
            tensor_to_message(array, message.tensor)
        else:
            message.text = str(value)


def plain_value_from_message(message: messages.Value) -> Any:
    """A value of ``info``: scalars as Python's numbers, arrays, text, and tuples of these."""
    kind = message.WhichOneof("value")
    if kind == "tensor":
        array = tensor_from_message(message.tensor)
        return array.item() if array.ndim == 0 else array.copy()
    if kind == "text":
        return message.text
    if kind == "list":
        return tuple(plain_value_from_message(item) for item in message.list.values)
    if kind == "graph":
        graph = message.graph
        return spaces.GraphInstance(
            tensor_from_message(graph.nodes).copy(),
            tensor_from_message(graph.edges).copy() if graph.HasField("edges") else None,
            tensor_from_message(graph.edge_links).copy() if graph.HasField("edge_links") else None,
        )
    if kind == "one_of":
        return np.int64(message.one_of.index), plain_value_from_message(message.one_of.value)
    return None


# ---------------------------------------------------------------------------------------------- options


def option_to_message(name: str, value: Any, message: messages.OptionValue | None = None) -> messages.OptionValue:
    """The value of an option.

    Raises:
        TypeError: options are booleans, integers, real numbers, text, or lists of these.

    """
    if message is None:
        message = messages.OptionValue()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        message.boolean = value
    elif isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise TypeError(f"option {name!r} is {value}, which does not fit into 64 bits")
        message.integer = value
    elif isinstance(value, float):
        message.real = value
    elif isinstance(value, str):
        message.text = value
    elif isinstance(value, (tuple, list, np.ndarray)):
        message.list.SetInParent()
        for item in value:
            option_to_message(name, item, message.list.values.add())
    else:
        raise TypeError(
            f"option {name!r} is a {type(value).__name__}; "
            "options are booleans, integers, real numbers, text, or lists of these"
        )
    return message


def option_from_message(message: messages.OptionValue) -> Any:
    """The option's value as a Python object."""
    kind = message.WhichOneof("value")
    if kind is None:
        raise WireError("an option has no value")
    if kind == "list":
        return [option_from_message(item) for item in message.list.values]
    return getattr(message, kind)
