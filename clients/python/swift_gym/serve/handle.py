"""A handle: a batch, and the thread that answers for it."""

from __future__ import annotations

import queue
import threading
from typing import Any, Protocol

from swift_gym.protocol import messages
from swift_gym.serve.batch import Batch
from swift_gym.serve.refusal import Refusal

__all__ = ["Handle", "Owner", "refuse_handle"]


class Owner(Protocol):
    """Whoever made the handle: what its thread needs of the session."""

    @property
    def most_sent(self) -> int:
        """The largest body that may be sent."""

    def answer(self, request: messages.Request, respond: Any) -> None:
        """Answers a request with what ``respond`` makes of it, or with an error."""

    def release(self, handle: Handle) -> None:
        """The handle is gone."""

    def count_steps(self, rows: int, faults: int) -> None:
        """So many rows were stepped."""


class Handle(threading.Thread):
    """A batch and the thread that answers for it."""

    def __init__(self, owner: Owner, number: int, batch: Batch, memory: int) -> None:
        super().__init__(name=f"handle {number}", daemon=True)
        self.number = number
        self.batch = batch
        self.memory = memory
        self.requests: queue.SimpleQueue[messages.Request | None] = queue.SimpleQueue()
        self.closed = threading.Event()
        self._owner = owner

    def run(self) -> None:
        """Answers requests until one closes the handle, or the session ends."""
        try:
            while (request := self.requests.get()) is not None:
                if request.WhichOneof("message") == "close":
                    # The answer says that the handle is gone, so it is gone before.
                    self._close()
                    self._owner.answer(request, _closed_response)
                    break
                self._owner.answer(request, self._respond)
        finally:
            self._close()
            # What was sent after the close finds no handle.
            while not self.requests.empty():
                rest = self.requests.get()
                if rest is not None:
                    self._owner.answer(rest, refuse_handle)

    def _close(self) -> None:
        if not self.closed.is_set():
            self.batch.close()
            self._owner.release(self)
            self.closed.set()

    def _respond(self, request: messages.Request, response: messages.Response) -> Any:
        kind = request.WhichOneof("message")
        assert kind is not None
        field = getattr(response, kind)
        field.SetInParent()
        batch = self.batch
        if kind == "set_state":
            batch.set_state(request.set_state)
        elif kind == "render":
            batch.render(request.render, field, self._owner.most_sent)
        elif kind == "get_state":
            batch.get_state(request.get_state, field, self._owner.most_sent)
        elif kind == "sample":
            return batch.sample(request.sample, field)
        else:
            getattr(batch, kind)(getattr(request, kind), field)
            if kind == "step":
                self._owner.count_steps(batch.count, len(field.faults))
            elif kind == "reset":
                self._owner.count_steps(0, len(field.faults))
        return None


def _closed_response(request: messages.Request, response: messages.Response) -> None:
    response.close.SetInParent()


def refuse_handle(request: messages.Request, response: messages.Response) -> None:
    """Answers a request about a handle that is not there (H1)."""
    raise Refusal(
        messages.UNKNOWN_HANDLE,
        f"this connection has no handle {request.handle}",
        [messages.ErrorDetail(field="handle", got=str(request.handle))],
    )
