"""Values of environments' options, as Python has them and as the protocol sends them."""

from __future__ import annotations

from typing import Any

import numpy as np

from swift_gym.protocol import messages
from swift_gym.tensors import WireError

__all__ = [
    "option_from_message",
    "option_to_message",
]


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
