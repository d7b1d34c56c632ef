"""Spaces and members cross the wire unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from environments import EVERYTHING, FIXED, RAGGED
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from swift_gym.options import option_from_message, option_to_message
from swift_gym.protocol import messages
from swift_gym.spaces import assemble, leaf_layouts, space_from_message, space_to_message, take_apart
from swift_gym.tensors import WireError, tensor_from_message, tensor_to_message
from swift_gym.values import leaf_to_message, leaves_from_messages, value_from_message, value_to_message

ALL = [*FIXED.spaces.values(), *RAGGED.spaces.values(), EVERYTHING]


@pytest.mark.parametrize("space", ALL, ids=lambda space: type(space).__name__)
def test_a_space_survives(space: spaces.Space) -> None:
    sent = space_to_message(space).SerializeToString()
    received = space_from_message(messages.Space.FromString(sent))
    assert received == space
    assert received.dtype == space.dtype


def test_entries_of_a_dictionary_keep_their_order() -> None:
    space = spaces.Dict([("z", spaces.Discrete(2)), ("a", spaces.Discrete(3))])
    received = space_from_message(space_to_message(space))
    assert isinstance(received, spaces.Dict)
    assert list(received.spaces) == ["z", "a"]
    assert [leaf.path for leaf in leaf_layouts(received)] == ["/z", "/a"]


def test_a_uniform_bound_is_one_number() -> None:
    message = space_to_message(spaces.Box(0, 255, (210, 160, 3), np.uint8))
    assert len(message.box.low.data) == len(message.box.high.data) == 1


@pytest.mark.parametrize("space", ALL, ids=lambda space: type(space).__name__)
def test_members_survive_as_values(space: spaces.Space) -> None:
    space.seed(7)
    for _ in range(20):
        member = space.sample()
        sent = value_to_message(space, member).SerializeToString()
        received = value_from_message(space, messages.Value.FromString(sent))
        assert space.contains(received), (member, received)
        assert same(member, received)


def test_batches_survive_as_leaves() -> None:
    EVERYTHING.seed(3)
    members = [EVERYTHING.sample() for _ in range(4)]
    layouts = leaf_layouts(EVERYTHING)
    parts = [take_apart(EVERYTHING, member) for member in members]
    leaves = [messages.Leaf() for _ in layouts]
    for index, (layout, leaf) in enumerate(zip(layouts, leaves, strict=True)):
        batch = [part[index] for part in parts]
        leaf_to_message(layout, batch if layout.is_ragged else np.array(batch, layout.dtype), leaf)
    received = leaves_from_messages(layouts, leaves, 4, "observation")
    for row, member in enumerate(members):
        assert same(member, assemble(EVERYTHING, (leaf[row] for leaf in received)))


def same(one: object, other: object) -> bool:
    """Whether two members are equal, whether numbers are NumPy's or Python's, and links INT32 or INT64."""
    if isinstance(one, spaces.GraphInstance) and isinstance(other, spaces.GraphInstance):
        return all(
            (left is None or not np.size(left)) if right is None else np.array_equal(left, right)
            for left, right in zip(one, other, strict=True)
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str):
        return one == other
    left, right = np.asarray(one), np.asarray(other)
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def test_batched_spaces_are_gymnasiums() -> None:
    batched = batch_space(EVERYTHING, 3)
    assert space_from_message(space_to_message(batched)) == batched


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"],
)
def test_tensors_are_little_endian_and_row_major(dtype: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    for arrangement in (array, np.asfortranarray(array), array.astype(array.dtype.newbyteorder(">"))):
        message = tensor_to_message(arrangement)
        assert message.data == array.tobytes()
        assert np.array_equal(tensor_from_message(message), array)
        assert tensor_from_message(message).dtype == array.dtype


def test_infinities_and_nan_survive() -> None:
    array = np.array([np.inf, -np.inf, np.nan, -0.0])
    assert tensor_from_message(tensor_to_message(array)).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (messages.Tensor(dtype=messages.FLOAT32, shape=[2], data=b"1234567"), "takes 8 bytes"),
        (messages.Tensor(dtype=99, shape=[1], data=b"1"), "dtype is 99"),  # type: ignore[arg-type]
        (messages.Tensor(shape=[1], data=b"1"), "dtype is 0"),
    ],
)
def test_tensors_that_contradict_themselves(message: messages.Tensor, wrong: str) -> None:
    with pytest.raises(WireError, match=wrong):
        tensor_from_message(message)


def test_spaces_that_make_no_sense() -> None:
    half_a_box = space_to_message(spaces.Box(0, 1, (2,)))
    half_a_box.box.shape[:] = [3]
    half_a_box.box.low.shape[:] = [2]
    half_a_box.box.low.data = bytes(8)
    for message in (messages.Space(), half_a_box, messages.Space(discrete=messages.DiscreteSpace(n=0))):
        with pytest.raises(WireError):
            space_from_message(message)


@pytest.mark.parametrize("value", [True, False, 3, -(1 << 63), 2.5, "text", [1, [2.0, "x"], True], []])
def test_options_survive(value: object) -> None:
    received = option_from_message(option_to_message("o", value))
    assert received == value
    assert type(received) is type(value)


def test_options_that_cannot_be_sent_are_named() -> None:
    with pytest.raises(TypeError, match="'colour' is a dict"):
        option_to_message("colour", {})
    assert option_from_message(option_to_message("g", np.float32(9.5))) == 9.5
