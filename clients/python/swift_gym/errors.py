"""What goes wrong, as exceptions.

Wrong use raises Gymnasium's own exceptions, so that code written for Gymnasium catches them: an action outside its
space is a :class:`gymnasium.error.InvalidAction`, a step before the reset a :class:`gymnasium.error.ResetNeeded`. Where
the server was the one to notice, the exception is both that and a :class:`ServerError`, which carries the protocol's
error code and details.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from gymnasium import error as gymnasium_error

from swift_gym.protocol import messages

__all__ = [
    "EnvironmentFault",
    "ErrorDetail",
    "InvalidOption",
    "ProtocolError",
    "ServerDied",
    "ServerError",
    "ServerNotFound",
    "ServerTimeout",
    "raise_server_error",
]


class ProtocolError(gymnasium_error.Error):
    """The other side sent what the protocol does not allow."""


class ServerDied(gymnasium_error.Error, ConnectionError):
    """The connection to the server ended: the server crashed, was stopped, or closed it."""


class ServerTimeout(gymnasium_error.Error, TimeoutError):
    """The server did not answer in time; the connection is closed, since a late answer could not be told apart."""


class ServerNotFound(gymnasium_error.Error, FileNotFoundError):
    """There is no server to connect to and none could be started."""


class EnvironmentFault(gymnasium_error.Error):
    """The environment itself failed on the server; it goes on after a reset."""


@dataclass(frozen=True)
class ErrorDetail:
    """One thing that was wrong with a request."""

    field: str
    """The request's field: ``action``, ``seeds``, ``options.g``."""
    environment_index: int | None
    """The environment of the batch, if it is about one."""
    expected: str
    got: str


class ServerError(gymnasium_error.Error):
    """The server refused a request, which then had no effect.

    Attributes:
        code: the name of the protocol's error code, such as ``INVALID_ARGUMENT``.
        details: what exactly was wrong, possibly empty.

    """

    code: str = "ERROR_UNSPECIFIED"
    details: tuple[ErrorDetail, ...] = ()


class InvalidOption(ServerError, ValueError):
    """An option has a name that the environment does not know, or a value that it does not take."""


class _InvalidArgument(ServerError, ValueError):
    pass


class _InvalidAction(ServerError, gymnasium_error.InvalidAction):
    pass


class _ResetNeeded(ServerError, gymnasium_error.ResetNeeded):
    pass


class _NameNotFound(ServerError, gymnasium_error.NameNotFound):
    pass


class _Closed(ServerError, gymnasium_error.ClosedEnvironmentError):
    pass


class _Unsupported(ServerError, gymnasium_error.UnsupportedMode):
    pass


class _NothingPending(ServerError, gymnasium_error.NoAsyncCallError):
    def __init__(self, message: str) -> None:
        super().__init__(message, "receive")


class _AlreadyPending(ServerError, gymnasium_error.AlreadyPendingCallError):
    def __init__(self, message: str) -> None:
        super().__init__(message, "send")


class _Fault(ServerError, EnvironmentFault):
    pass


class _Fatal(ServerError, ConnectionError):
    pass


_CLASSES: dict[str, type[ServerError]] = {
    "INVALID_ACTION": _InvalidAction,
    "NEEDS_RESET": _ResetNeeded,
    "UNKNOWN_ENVIRONMENT": _NameNotFound,
    "UNKNOWN_HANDLE": _Closed,
    "INVALID_ARGUMENT": _InvalidArgument,
    "INVALID_MASK": _InvalidArgument,
    "INVALID_STATE": _InvalidArgument,
    "INVALID_OPTION": InvalidOption,
    "RENDER_UNAVAILABLE": _Unsupported,
    "UNSUPPORTED_CAPABILITY": _Unsupported,
    "NOTHING_PENDING": _NothingPending,
    "ALREADY_PENDING": _AlreadyPending,
    "ENVIRONMENT_FAULT": _Fault,
}


def raise_server_error(error: messages.Error) -> NoReturn:
    """Raises the exception for an ``Error`` message of the protocol."""
    try:
        code = messages.ErrorCode.Name(error.code)
    except ValueError:
        code = f"ERROR_{error.code}"
    exception = (_Fatal if error.fatal else _CLASSES.get(code, ServerError))(error.message or code)
    exception.code = code
    exception.details = tuple(
        ErrorDetail(
            detail.field,
            detail.environment_index if detail.HasField("environment_index") else None,
            detail.expected,
            detail.got,
        )
        for detail in error.details
    )
    raise exception
