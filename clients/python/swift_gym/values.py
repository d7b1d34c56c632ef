"""Members of spaces, as Gymnasium has them and as the protocol sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from swift_gym.protocol import messages
from swift_gym.spaces import LeafLayout, leaf_layouts, members_of, take_apart_once
from swift_gym.tensors import WireError, tensor_from_message, tensor_to_message

__all__ = [
    "leaf_to_message",
    "leaves_from_messages",
    "plain_value_from_message",
    "plain_value_to_message",
    "value_from_message",
    "value_to_message",
]


# ---------------------------------------------------------------------------------------------- leaves of batches


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


# ---------------------------------------------------------------------------------------------- single members


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
    elif isinstance(space, (spaces.Dict, spaces.Tuple)):
        message.list.SetInParent()
        for part, value in zip(members_of(space), take_apart_once(space, member), strict=True):
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
        parts = members_of(space)
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
        # Parts of no rows are as good as absent (T3).
        edges, linked = _has_rows(graph.edges), _has_rows(graph.edge_links)
        if space.edge_space is None and (edges or linked):
            raise WireError("a graph whose space has no edges has some")
        if space.edge_space is None or not (edges or linked):
            return spaces.GraphInstance(nodes, None, None)
        links = tensor_from_message(graph.edge_links)
        if links.dtype != np.dtype("<i8") or links.ndim != 2 or links.shape[1] != 2:
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


def _has_rows(message: messages.Tensor) -> bool:
    return bool(message.shape) and message.shape[0] > 0


def _graph_rows(space: spaces.Space[Any], message: messages.Tensor, what: str) -> NDArray[Any]:
    (layout,) = leaf_layouts(space)
    rows = tensor_from_message(message)
    if rows.dtype != layout.dtype or rows.ndim == 0 or rows.shape[1:] != layout.shape:
        raise WireError(f"a graph's {what} are {rows.dtype} of shape {rows.shape}; the space is {space}")
    return rows.copy()


# ---------------------------------------------------------------------------------------------- info


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
        try:
            tensor_to_message(array, message.tensor)
        except WireError:
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
