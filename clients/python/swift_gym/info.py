"""``info``, from the protocol's columns to Gymnasium's dictionaries."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swift_gym.protocol import messages
from swift_gym.tensors import WireError, tensor_from_message, truths
from swift_gym.values import plain_value_from_message

__all__ = ["single_info", "vector_info"]

# What an array of info may take: some of its rows come, all of them are made. A gibibyte.
_MOST_BYTES = 1 << 30


def single_info(columns: Iterable[messages.InfoColumn]) -> dict[str, Any]:
    """The ``info`` of the first row: Python's numbers, arrays, text, tuples."""
    info: dict[str, Any] = {}
    for column in columns:
        if column.mask[:1] != b"\x01":
            continue
        if column.WhichOneof("values") == "tensor":
            values = tensor_from_message(column.tensor)
            if values.shape[:1] != (1,):
                raise WireError(f"info {column.name!r} has values of shape {values.shape}, not of one row")
            row = values[0]
            info[column.name] = row.copy() if isinstance(row, np.ndarray) else row.item()
        else:
            if len(column.objects.values) != 1:
                raise WireError(f"info {column.name!r} has {len(column.objects.values)} values, not one")
            info[column.name] = plain_value_from_message(column.objects.values[0])
    return info


def vector_info(
    columns: Iterable[messages.InfoColumn], num_envs: int, rows: NDArray[np.intp] | None = None
) -> dict[str, Any]:
    """The ``info`` of a batch as Gymnasium's vector environments have it: for each key an array and a mask.

    Args:
        rows: which environment each row of the columns is; ``None``: row i is environment i.

    """
    infos: dict[str, Any] = {}
    count = num_envs if rows is None else len(rows)
    for column in columns:
        mask = truths(np.frombuffer(column.mask, np.uint8))
        if len(mask) != count:
            raise WireError(f"info {column.name!r} has a mask of {len(mask)} rows, not {count}")
        if column.WhichOneof("values") == "tensor":
            values = tensor_from_message(column.tensor)
            if values.shape[:1] != (count,):
                raise WireError(f"info {column.name!r} has values of shape {values.shape}, not of {count} rows")
            values = values.copy()
        else:
            items = column.objects.values
            if len(items) != count:
                raise WireError(f"info {column.name!r} has {len(items)} values, not {count}")
            values = np.full(count, None, dtype=object)
            for row in np.flatnonzero(mask):
                values[row] = plain_value_from_message(items[row])
        if rows is None:
            infos[column.name], infos[f"_{column.name}"] = values, mask
        else:
            if values.dtype != object and num_envs * math.prod(values.shape[1:]) * values.itemsize > _MOST_BYTES:
                raise WireError(f"info {column.name!r}, of shape {values.shape[1:]}, is too large for {num_envs} rows")
            full = (
                np.full(num_envs, None, dtype=object)
                if values.dtype == object
                else np.zeros((num_envs, *values.shape[1:]), values.dtype)
            )
            full[rows[mask]] = values[mask]
            everywhere = np.zeros(num_envs, np.bool_)
            everywhere[rows[mask]] = True
            infos[column.name], infos[f"_{column.name}"] = full, everywhere
    return infos
