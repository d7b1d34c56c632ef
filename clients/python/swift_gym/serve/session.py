"""One connection: requests read, handed to the threads that answer them, and answered (clauses C, M, O).

Three kinds of threads keep what may be slow from what has to be prompt: one reads, one answers requests about the
connection, and each handle has one of its own, so that a slow environment delays nobody else (O4).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hmac
import queue
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from swift_gym import protocol
from swift_gym.framing import NOTICE, REQUEST, RESPONSE, FrameError, FrameReader, frame
from swift_gym.protocol import messages
from swift_gym.serve.batch import Batch, Settings, options_of
from swift_gym.serve.handle import Handle, refuse_handle
from swift_gym.serve.host import Host, Use
from swift_gym.serve.refusal import Refusal
from swift_gym.spaces import leaf_layouts, space_from_message
from swift_gym.version import VERSION

__all__ = ["Session"]

_CAPABILITIES = (protocol.RENDER, protocol.STATE, protocol.SPACES)

# What uses a capability (V7).
_NEEDS = {
    "send": protocol.ASYNCHRONOUS,
    "receive": protocol.ASYNCHRONOUS,
    "get_state": protocol.STATE,
    "set_state": protocol.STATE,
    "render": protocol.RENDER,
    "sample": protocol.SPACES,
    "contains": protocol.SPACES,
}
_ABOUT_CONNECTION = ("hello", "ping", "status", "list", "make", "shutdown")

# Codes that came with a minor version, and what older clients are told in their place (V9).
_NEWER_CODES: dict[int, tuple[int, int]] = {messages.INCOMPATIBLE_STATE: (1, messages.INVALID_STATE)}

# What an environment is taken to keep beside the numbers of its spaces, in bytes: Python's objects are not counted.
_ENVIRONMENT_BYTES = 4096

# Seconds for a hello (C7), and for a client to take what it is sent (C10).
_HELLO_SECONDS = 10
_SEND_SECONDS = 30
# The least that a client can say it takes (M1).
_LEAST_FRAME_BYTES = 4096
# How deep messages may be nested in the envelope (F8).
_DEEPEST = 64


class Session(threading.Thread):
    """A connection, from its acceptance to its end; this thread reads."""

    def __init__(self, host: Host, stream: socket.socket, number: int, forget: Callable[[Session], None]) -> None:
        super().__init__(name=f"session {number}", daemon=True)
        self._host = host
        self._forget = forget
        self._number = number
        self._socket = stream
        self._reader = FrameReader(stream, host.limits.max_frame_bytes, (REQUEST,))
        self._counted = 0
        self._capabilities: frozenset[str] | None = None
        self._minor = 0
        self._most_sent = host.limits.max_frame_bytes
        self._handles: dict[int, Handle] = {}
        self._next_handle = 1
        self._use = Use()
        self._lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._is_over = False
        self._last_activity = time.monotonic()
        # What is answered in the connection's own order (O3): requests about it, and what could not be read, with the
        # closes that have to be done before it.
        self._requests: queue.SimpleQueue[tuple[messages.Request | Refusal, list[Handle]] | None] = queue.SimpleQueue()
        self._closing: list[Handle] = []
        self._answerer = threading.Thread(target=self._answer_requests, name=f"answers {number}", daemon=True)

    @property
    def most_sent(self) -> int:
        """The largest body that the client takes."""
        return self._most_sent

    # ------------------------------------------------------------------------------------ life

    def run(self) -> None:
        """Reads until the connection is over, then ends what belongs to it."""
        self._set_timeout(socket.SO_SNDTIMEO, _SEND_SECONDS)
        self._set_timeout(socket.SO_RCVTIMEO, _HELLO_SECONDS)
        self._reader.deadline = self._last_activity + _HELLO_SECONDS
        self._host.change(threads=1)
        self._answerer.start()
        try:
            self._read()
        except Refusal as refusal:
            self._send_last(0, 0, refusal)
        except OSError:
            pass
        except Exception:
            traceback.print_exc()
        finally:
            self._finish()

    def end(self) -> None:
        """Has the session finish what is under way and close (C8)."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def _finish(self) -> None:
        self._is_over = self._is_over or not self._host.is_ending
        self._requests.put(None)
        self._answerer.join()
        self._host.change(threads=-1)
        handles = list(self._handles.values())
        for handle in handles:
            handle.requests.put(None)
        for handle in handles:
            handle.join()
        if self._host.is_ending:
            notice = messages.Notice()
            notice.shutting_down.reason = "the server was told to end"
            self._send(NOTICE, notice.SerializeToString())
        self._reader.close()
        with contextlib.suppress(OSError):
            # Also what the client still sends is to be read by nobody: it gets an end of stream, not a reset.
            self._socket.shutdown(socket.SHUT_WR)
        self._socket.close()
        self._forget(self)

    def _set_timeout(self, option: int, seconds: int) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", seconds, 0))

    # ------------------------------------------------------------------------------------ reading

    def _read(self) -> None:
        while True:
            try:
                received = self._reader.next()
            except BlockingIOError:
                if self._is_idle():
                    self._reap()
                    return
                continue
            except FrameError as problem:
                if self._host.is_ending:
                    return
                code = messages.FRAME_TOO_LARGE if problem.too_large else messages.MALFORMED_FRAME
                raise Refusal(code, str(problem)) from None
            while (descriptor := self._reader.take_descriptor()) is not None:
                # Closed unread (W4).
                with contextlib.suppress(OSError):
                    socket.close(descriptor)
            if received is None:
                return
            size = self._reader.bytes_received - self._counted
            self._counted = self._reader.bytes_received
            self._host.count("bytes_received", size)
            self._take(received.body)
            self._note_activity()

    def _note_activity(self) -> None:
        self._last_activity = now = time.monotonic()
        idle = self._host.limits.idle_timeout_seconds
        self._reader.deadline = now + idle if idle else None

    def _is_idle(self) -> bool:
        """Whether the connection did nothing for as long as it may; who waits for an answer is not idle (C7)."""
        if self._capabilities is None:
            return True
        left = self._last_activity + self._host.limits.idle_timeout_seconds - time.monotonic()
        with self._lock:
            is_waiting = self._use.pending_requests > 0
        if is_waiting or left > 0:
            self._reader.deadline = time.monotonic() + max(left, self._host.limits.idle_timeout_seconds / 10)
            return False
        return True

    def _reap(self) -> None:
        if self._capabilities is None:
            return
        notice = messages.Notice()
        notice.reaped.idle_seconds = self._host.limits.idle_timeout_seconds
        self._send(NOTICE, notice.SerializeToString())

    def _take(self, body: memoryview) -> None:
        try:
            request = messages.Request.FromString(bytes(body))
            _require_shallow(request)
        except Exception as problem:
            if self._capabilities is None:
                raise Refusal(messages.HELLO_EXPECTED, "the first message has to be a hello") from None
            refusal = Refusal(messages.MALFORMED_MESSAGE, f"this is not a request: {problem}")
            if self._is_taken(0, 0):
                self._requests.put((refusal, list(self._closing)))
            return
        kind = request.WhichOneof("message")
        if self._capabilities is None:
            if kind != "hello":
                what = f"the first message has to be a hello, not {kind or 'nothing'}"
                return self._refuse_hello(request, Refusal(messages.HELLO_EXPECTED, what))
            self._greet(request)
            return
        if not self._is_taken(request.id, request.handle):
            return
        handle = None if kind in _ABOUT_CONNECTION or kind is None else self._handles.get(request.handle)
        if handle is None or handle in self._closing:
            self._requests.put((request, list(self._closing)))
            return
        if kind == "close":
            self._closing = [other for other in self._closing if not other.closed.is_set()] + [handle]
        handle.requests.put(request)

    def _is_taken(self, id: int, handle: int) -> bool:
        """Counts a request, or refuses it when too many are unanswered (L6)."""
        most = self._host.limits.max_pending_requests
        with self._lock:
            if self._use.pending_requests < most:
                self._use.pending_requests += 1
                return True
        refusal = Refusal(messages.LIMIT_EXCEEDED, f"{most} requests are not yet answered; no more are taken")
        self._send_refusal(id, handle, refusal)
        return False

    def _greet(self, request: messages.Request) -> None:
        hello = request.hello
        host = self._host
        if hello.major != protocol.MAJOR:
            ours, theirs = f"{protocol.MAJOR}.{protocol.MINOR}", f"{hello.major}.{hello.minor}"
            detail = messages.ErrorDetail(field="major", expected=str(protocol.MAJOR), got=str(hello.major))
            refusal = Refusal(messages.UNSUPPORTED_VERSION, f"the server speaks {ours}, the client {theirs}", [detail])
            return self._refuse_hello(request, refusal)
        if host.token and not hmac.compare_digest(hello.token.encode(), host.token.encode()):
            return self._refuse_hello(request, Refusal(messages.UNAUTHORIZED, "the token is missing or wrong"))
        asked = set(hello.capabilities)
        in_force = [capability for capability in _CAPABILITIES if not asked or capability in asked]
        self._capabilities = frozenset(in_force)
        if hello.max_frame_bytes:
            self._most_sent = min(self._most_sent, max(hello.max_frame_bytes, _LEAST_FRAME_BYTES))
        self._minor = min(protocol.MINOR, hello.minor)
        self._set_timeout(socket.SO_RCVTIMEO, host.limits.idle_timeout_seconds)
        response = messages.Response(id=request.id, handle=request.handle)
        response.hello.major = protocol.MAJOR
        response.hello.minor = self._minor
        response.hello.server_name = host.name
        response.hello.server_version = VERSION
        response.hello.capabilities[:] = in_force
        response.hello.limits.CopyFrom(host.limits.to_message(self._minor))
        response.hello.session_id = self._number
        self._send(RESPONSE, response.SerializeToString())

    def _refuse_hello(self, request: messages.Request, refusal: Refusal) -> None:
        self._send_last(request.id, request.handle, refusal)
        raise ConnectionAbortedError

    # ------------------------------------------------------------------------------------ answering

    def _answer_requests(self) -> None:
        while (item := self._requests.get()) is not None:
            request, closing = item
            for handle in closing:
                handle.closed.wait()
            if isinstance(request, Refusal):
                refusal = request
                self.answer(messages.Request(), lambda *_, refusal=refusal: _refuse(refusal))
                continue
            kind = request.WhichOneof("message")
            if kind is not None and kind not in _ABOUT_CONNECTION:
                handle_now = self._handles.get(request.handle)
                if handle_now is not None and handle_now not in closing:
                    # Made by a request that came before this one.
                    handle_now.requests.put(request)
                    continue
                self.answer(request, refuse_handle)
            else:
                self.answer(request, self._respond)

    def answer(self, request: messages.Request, respond: Any) -> None:
        """Answers one request, with what ``respond`` makes of it or with an error.

        Args:
            respond: fills a response; returns what undoes it, should the response be too large (H6), or ``None``.

        """
        response = messages.Response(id=request.id, handle=request.handle)
        refusal: Refusal | None = None
        try:
            if self._is_over:
                return
            if self._host.is_ending:
                raise Refusal(messages.SHUTTING_DOWN, "the server ends")
            _require_text(request)
            self._require_capability(request)
            undo = respond(request, response)
            body = response.SerializeToString()
            if len(body) > self._most_sent:
                if undo is not None:
                    undo()
                raise Refusal(
                    messages.RESPONSE_TOO_LARGE,
                    f"the response has {len(body)} bytes; at most {self._most_sent} can be sent",
                )
        except Refusal as problem:
            refusal = problem
        except Exception as problem:
            traceback.print_exc()
            refusal = Refusal(messages.INTERNAL, f"a mistake of the server's: {type(problem).__name__}: {problem}")
        finally:
            # Before it is sent: who has the answer may send the next one at once.
            with self._lock:
                self._use.pending_requests -= 1
        if refusal is not None:
            self._send_refusal(request.id, request.handle, refusal)
        else:
            self._send(RESPONSE, body)

    def _require_capability(self, request: messages.Request) -> None:
        capability = _NEEDS.get(request.WhichOneof("message") or "")
        if capability is not None and capability not in (self._capabilities or ()):
            # A handle that does not exist comes first (E4).
            if request.handle not in self._handles:
                refuse_handle(request, messages.Response())
            raise Refusal(messages.UNSUPPORTED_CAPABILITY, f"{capability} is not in force on this connection")

    def _respond(self, request: messages.Request, response: messages.Response) -> Any:
        kind = request.WhichOneof("message")
        if kind is None:
            raise Refusal(
                messages.UNKNOWN_MESSAGE, "the request is empty, or of a kind that this version does not know"
            )
        getattr(response, kind).SetInParent()
        if kind == "hello":
            raise Refusal(messages.INVALID_ARGUMENT, "hello was said already")
        if kind == "status":
            with self._lock:
                use = dataclasses.replace(self._use, handles=len(self._handles))
            response.status.CopyFrom(self._host.status(self._minor, use))
        elif kind == "list":
            response.list.environments.extend(self._host.catalogue.list())
        elif kind == "make":
            return self._make(request.make, response)
        elif kind == "shutdown":
            if not self._host.allows_shutdown:
                raise Refusal(messages.NOT_ALLOWED, "clients may not end this server; it was not started so")
            # stop() only rings a bell, so the response is sent before anything ends.
            self._host.stop()
        return None

    def _make(self, request: messages.MakeRequest, response: messages.Response) -> Callable[[], None]:
        """Makes a handle; returns what takes it back (H6)."""
        entry = self._host.catalogue[request.id]
        if request.autoreset not in (0, messages.NEXT_STEP, messages.SAME_STEP, messages.DISABLED):
            raise Refusal(
                messages.INVALID_ARGUMENT,
                f"autoreset is {request.autoreset}; modes are 1 (NEXT_STEP), 2 (SAME_STEP) and 3 (DISABLED)",
                [messages.ErrorDetail(field="autoreset", got=str(request.autoreset))],
            )
        if request.transport == messages.SHARED_MEMORY:
            raise Refusal(messages.UNSUPPORTED_CAPABILITY, f"{protocol.SHARED_MEMORY} is not in force")
        if request.transport not in (0, messages.SOCKET):
            raise Refusal(
                messages.INVALID_ARGUMENT,
                f"transport is {request.transport}; it is 1 (SOCKET) or 2 (SHARED_MEMORY)",
                [messages.ErrorDetail(field="transport", got=str(request.transport))],
            )
        if request.render_mode:
            if protocol.RENDER not in (self._capabilities or ()):
                raise Refusal(messages.UNSUPPORTED_CAPABILITY, f"{protocol.RENDER} is not in force")
            if request.render_mode not in entry.render_modes:
                modes = ", ".join(entry.render_modes) or "none"
                raise Refusal(
                    messages.RENDER_UNAVAILABLE,
                    f"{entry.id} cannot be rendered as {request.render_mode!r}; its render modes: {modes}",
                    [messages.ErrorDetail(field="render_mode", expected=modes, got=request.render_mode)],
                )
        options = options_of(request.options)
        entry.check_options(options)
        if request.WhichOneof("time_limit") is None:
            limit = entry.spec.max_episode_steps
        else:
            limit = request.max_episode_steps or None
        settings = Settings(
            count=request.num_envs or 1,
            options=options,
            autoreset=request.autoreset or messages.NEXT_STEP,
            autoreset_options=options_of(request.autoreset_options),
            render_mode=request.render_mode,
            max_episode_steps=limit,
            checks_observations=request.check_observations,
            passes_out_of_bounds=request.pass_out_of_bounds,
            tells_step_time=self._minor > 0 and request.want_step_time,
        )
        memory = self._require_room(entry.describe(), settings.count)
        try:
            batch = Batch(entry, settings)
        except BaseException:
            self._give_back(settings.count, memory)
            raise
        handle = Handle(self, self._next_handle, batch, memory)
        self._next_handle += 1
        made = response.make
        made.handle = handle.number
        made.num_envs = settings.count
        made.spec.CopyFrom(batch.message)
        made.observation_space.CopyFrom(batch.message.observation_space)
        made.action_space.CopyFrom(batch.message.action_space)
        made.batched_observation_space.CopyFrom(entry.batched_space(batch.observation_space, settings.count))
        made.batched_action_space.CopyFrom(entry.batched_space(batch.action_space, settings.count))
        made.autoreset = settings.autoreset  # type: ignore[assignment]
        made.transport = messages.SOCKET
        made.max_episode_steps = limit or 0
        self._handles[handle.number] = handle
        self._host.change(threads=1)
        handle.start()

        def undo() -> None:
            handle.requests.put(None)
            handle.join()

        return undo

    def _require_room(self, spec: messages.EnvironmentSpec, count: int) -> int:
        """Takes room for so many environments, if there is any (L3 to L5); the bytes that they take."""
        limits = self._host.limits
        row = _ENVIRONMENT_BYTES + 32
        for space, copies in ((spec.observation_space, 2), (spec.action_space, 1)):
            for layout in leaf_layouts(space_from_message(space)):
                size = 1
                for extent in layout.shape:
                    size *= extent
                row += copies * size * (layout.dtype.itemsize if layout.dtype is not None else 64)
        with self._lock:
            for what, wanted, most in (
                ("handles", len(self._handles) + 1, limits.max_handles),
                ("environments", self._use.environments + count, limits.max_environments),
                ("bytes of memory", self._use.memory_bytes + row * count, limits.max_memory_bytes),
            ):
                if wanted > most:
                    raise Refusal(
                        messages.LIMIT_EXCEEDED,
                        f"the connection would have {wanted} {what}; at most {most} are allowed",
                        [messages.ErrorDetail(field="num_envs", expected=f"at most {most} {what}", got=str(wanted))],
                    )
            self._host.take(count, row * count)
            self._use.environments += count
            self._use.memory_bytes += row * count
        return row * count

    def _give_back(self, environments: int, memory: int) -> None:
        with self._lock:
            self._use.environments -= environments
            self._use.memory_bytes -= memory
        self._host.give_back(environments, memory)

    def release(self, handle: Handle) -> None:
        """A handle is gone."""
        with self._lock:
            self._handles.pop(handle.number, None)
        self._give_back(handle.batch.count, handle.memory)
        self._host.change(threads=-1)

    def count_steps(self, rows: int, faults: int) -> None:
        """Counts what a step, or a reset, brought (M3)."""
        self._host.count("steps", rows)
        self._host.count("errors", faults)

    # ------------------------------------------------------------------------------------ sending

    def _send_refusal(self, id: int, handle: int, refusal: Refusal) -> None:
        self._send(RESPONSE, self._refusal_body(id, handle, refusal))

    def _send_last(self, id: int, handle: int, refusal: Refusal) -> None:
        """Sends what is fatal; nothing is sent after it, whoever else has something to say (C3)."""
        body = self._refusal_body(id, handle, refusal)
        with self._send_lock:
            self._send_unlocked(RESPONSE, body)
            self._is_over = True

    def _refusal_body(self, id: int, handle: int, refusal: Refusal) -> bytes:
        self._host.count("errors")
        since, older = _NEWER_CODES.get(refusal.code, (0, refusal.code))
        response = messages.Response(id=id, handle=handle)
        refusal.to_message(response.error)
        if since > self._minor:
            response.error.code = older  # type: ignore[assignment]
        if response.ByteSize() > self._most_sent:
            # Cut short, since also of errors a client takes no more than it said (M1).
            del response.error.details[:]
            response.error.message = response.error.message[:256]
        return response.SerializeToString()

    def _send(self, kind: int, body: bytes) -> None:
        with self._send_lock:
            self._send_unlocked(kind, body)

    def _send_unlocked(self, kind: int, body: bytes) -> None:
        if self._is_over:
            return
        piece = frame(kind, body)
        try:
            self._socket.sendall(piece)
        except OSError:
            # Gone, or it does not read (C10): then this connection is over.
            self._is_over = True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            return
        self._host.count("bytes_sent", len(piece))
        # Who was answered just now is not idle yet.
        self._last_activity = time.monotonic()


def _refuse(refusal: Refusal) -> None:
    raise refusal


def _require_shallow(message: Any, depth: int = 0) -> None:
    """Refuses messages that are nested deeper than the protocol allows."""
    if depth > _DEEPEST:
        raise ValueError(f"messages are nested deeper than {_DEEPEST}")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for nested in value if _is_repeated(field) else (value,):
            _require_shallow(nested, depth + 1)


def _require_text(message: Any) -> None:
    """Refuses strings that hold U+0000 (F10); that they are UTF-8, the decoder sees to.

    Raises:
        Refusal: one does.

    """
    for field, value in message.ListFields():
        if field.message_type is not None:
            for nested in value if _is_repeated(field) else (value,):
                _require_text(nested)
        elif field.type == field.TYPE_STRING:
            for text in value if _is_repeated(field) else (value,):
                if "\0" in text:
                    raise Refusal(
                        messages.MALFORMED_MESSAGE,
                        f"{field.name} is {text!r:.100}; strings hold no U+0000",
                        [messages.ErrorDetail(field=field.name, expected="no U+0000", got=f"{text!r:.100}")],
                    )


def _is_repeated(field: Any) -> bool:
    # The runtimes that have the property warn of the label.
    repeated = getattr(field, "is_repeated", None)
    return field.label == field.LABEL_REPEATED if repeated is None else bool(repeated)
