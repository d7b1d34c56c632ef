"""Errors as the protocol has them."""

from __future__ import annotations

from collections.abc import Iterable

from swift_gym.protocol import messages

__all__ = ["Refusal", "row_details"]

# A server may stop naming environments after so many (E3).
_MOST_DETAILS = 64
# Codes below it are fatal, and only they (E1).
_FIRST_HARMLESS_CODE = 16


class Refusal(Exception):
    """A request, or a connection, that is answered with an error."""

    def __init__(self, code: int, message: str, details: Iterable[messages.ErrorDetail] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.details = list(details)[:_MOST_DETAILS]

    @property
    def is_fatal(self) -> bool:
        """Whether the connection closes after it."""
        return self.code < _FIRST_HARMLESS_CODE

    def to_message(self, message: messages.Error) -> None:
        """Writes the error."""
        message.code = self.code  # type: ignore[assignment]
        message.message = str(self)
        message.fatal = self.is_fatal
        message.details.extend(self.details)


def row_details(field: str, rows: Iterable[int], expected: str, got: str = "") -> list[messages.ErrorDetail]:
    """A detail for each environment at fault."""
    return [messages.ErrorDetail(field=field, environment_index=row, expected=expected, got=got) for row in rows]
