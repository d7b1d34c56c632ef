"""One connection: requests read, handed to the threads that answer them, and answered (clauses C, M, O).

Three kinds of threads keep what may be slow from what has to be prompt: one reads, one answers requests about the
connection, and each handle has one of its own, so that a slow environment delays nobody else (O4).
"""

from __future__ import annotations

import contextlib
import hmac
import queue
import socket
import struct
import threading
import traceback
from typing import TYPE_CHECKING, Any

from swift_gym import protocol
from swift_gym.framing import NOTICE, REQUEST, RESPONSE, FrameError, FrameReader, frame
from swift_gym.protocol import messages
from swift_gym.serve.batch import Batch, Settings, options_of
from swift_gym.serve.refusal import Refusal
from swift_gym.spaces import leaf_layouts

if TYPE_CHECKING:
    from swift_gym.serve.server import Server

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

# Seconds for a hello (C7), and for a client to take what it is sent (C10).
_HELLO_SECONDS = 10
_SEND_SECONDS = 30
# The least that a client can say it takes (M1).
_LEAST_FRAME_BYTES = 4096
# How deep messages may be nested in the envelope (F8).
_DEEPEST = 64


class _Handle(threading.Thread):
    """A batch and the thread that answers for it."""

    def __init__(self, session: Session, number: int, batch: Batch, memory: int) -> None:
        super().__init__(name=f"handle {number}", daemon=True)
        self.number = number
        self.batch = batch
        self.memory = memory
        self.requests: queue.SimpleQueue[messages.Request | None] = queue.SimpleQueue()
        self.closed = threading.Event()
        self._session = session

    def run(self) -> None:
        try:
            while (request := self.requests.get()) is not None:
                if request.WhichOneof("message") == "close":
                    # The answer says that the handle is gone, so it is gone before.
                    self._close()
                    self._session.answer(request, self._closed_response)
                    break
                self._session.answer(request, self._respond)
        finally:
            self._close()
            # What was sent after the close finds no handle.
            while not self.requests.empty():
                rest = self.requests.get()
                if rest is not None:
                    self._session.answer(rest, self._session.refuse_handle)

    def _close(self) -> None:
        if not self.closed.is_set():
            self.batch.close()
            self._session.release(self)
            self.closed.set()

    @staticmethod
    def _closed_response(request: messages.Request, response: messages.Response) -> None:
        response.close.SetInParent()

    def _respond(self, request: messages.Request, response: messages.Response) -> None:
        kind = request.WhichOneof("message")
        assert kind is not None
        field = getattr(response, kind)
        field.SetInParent()
        if kind == "set_state":
            self.batch.set_state(request.set_state)
        else:
            getattr(self.batch, kind)(getattr(request, kind), field)
        if kind == "step":
            self._session.server.count("steps", self.batch.count)


class Session(threading.Thread):
    """A connection, from its acceptance to its end; this thread reads."""

    def __init__(self, server: Server, stream: socket.socket, number: int) -> None:
        super().__init__(name=f"session {number}", daemon=True)
        self.server = server
        self._number = number
        self._socket = stream
        self._reader = FrameReader(stream, server.limits.max_frame_bytes, (REQUEST,))
        self._counted = 0
        self._capabilities: frozenset[str] | None = None
        self._most_sent = server.limits.max_frame_bytes
        self._handles: dict[int, _Handle] = {}
        self._next_handle = 1
        self._environments = 0
        self._memory = 0
        self._pending = 0
        self._lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._is_over = False
        # Requests about the connection, each with the closes that have to be done before it (O3).
        self._requests: queue.SimpleQueue[tuple[messages.Request, list[_Handle]] | None] = queue.SimpleQueue()
        self._closing: list[_Handle] = []
        self._answerer = threading.Thread(target=self._answer_requests, name=f"answers {number}", daemon=True)

    # ------------------------------------------------------------------------------------ life

    def run(self) -> None:
        """Reads until the connection is over, then ends what belongs to it."""
        self._set_timeout(socket.SO_SNDTIMEO, _SEND_SECONDS)
        self._set_timeout(socket.SO_RCVTIMEO, _HELLO_SECONDS)
        self._answerer.start()
        try:
            self._read()
        except Refusal as refusal:
            self._send_refusal(0, 0, refusal)
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
        self._is_over = not self.server.is_ending
        self._requests.put(None)
        self._answerer.join()
        handles = list(self._handles.values())
        for handle in handles:
            handle.requests.put(None)
        for handle in handles:
            handle.join()
        if self.server.is_ending:
            notice = messages.Notice()
            notice.shutting_down.reason = "the server was told to end"
            self._send(NOTICE, notice.SerializeToString())
        self._reader.close()
        with contextlib.suppress(OSError):
            # Also what the client still sends is to be read by nobody: it gets an end of stream, not a reset.
            self._socket.shutdown(socket.SHUT_WR)
        self._socket.close()
        self.server.forget(self)

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
                if self.server.is_ending:
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
            self.server.count("bytes_received", size)
            self._take(received.body)

    def _is_idle(self) -> bool:
        with self._lock:
            return self._pending == 0

    def _reap(self) -> None:
        if self._capabilities is None:
            return
        notice = messages.Notice()
        notice.reaped.idle_seconds = self.server.limits.idle_timeout_seconds
        self._send(NOTICE, notice.SerializeToString())

    def _take(self, body: memoryview) -> None:
        try:
            request = messages.Request.FromString(bytes(body))
            _require_shallow(request)
        except Exception as problem:
            if self._capabilities is None:
                raise Refusal(messages.HELLO_EXPECTED, "the first message has to be a hello") from None
            self._send_refusal(0, 0, Refusal(messages.MALFORMED_MESSAGE, f"this is not a request: {problem}"))
            return
        kind = request.WhichOneof("message")
        if self._capabilities is None:
            if kind != "hello":
                what = f"the first message has to be a hello, not {kind or 'nothing'}"
                return self._refuse_hello(request, Refusal(messages.HELLO_EXPECTED, what))
            self._greet(request)
            return
        with self._lock:
            refused = self._pending >= self.server.limits.max_pending_requests
            if not refused:
                self._pending += 1
        if refused:
            most = self.server.limits.max_pending_requests
            refusal = Refusal(messages.LIMIT_EXCEEDED, f"{most} requests are not yet answered; no more are taken")
            self._send_refusal(request.id, request.handle, refusal)
            return
        handle = None if kind in _ABOUT_CONNECTION or kind is None else self._handles.get(request.handle)
        if handle is None or handle in self._closing:
            self._requests.put((request, list(self._closing)))
            return
        if kind == "close":
            self._closing = [other for other in self._closing if not other.closed.is_set()] + [handle]
        handle.requests.put(request)

    def _greet(self, request: messages.Request) -> None:
        hello = request.hello
        server = self.server
        if hello.major != protocol.MAJOR:
            ours, theirs = f"{protocol.MAJOR}.{protocol.MINOR}", f"{hello.major}.{hello.minor}"
            detail = messages.ErrorDetail(field="major", expected=str(protocol.MAJOR), got=str(hello.major))
            refusal = Refusal(messages.UNSUPPORTED_VERSION, f"the server speaks {ours}, the client {theirs}", [detail])
            return self._refuse_hello(request, refusal)
        if server.token and not hmac.compare_digest(hello.token.encode(), server.token.encode()):
            return self._refuse_hello(request, Refusal(messages.UNAUTHORIZED, "the token is missing or wrong"))
        asked = set(hello.capabilities)
        in_force = [capability for capability in _CAPABILITIES if not asked or capability in asked]
        self._capabilities = frozenset(in_force)
        if hello.max_frame_bytes:
            self._most_sent = min(self._most_sent, max(hello.max_frame_bytes, _LEAST_FRAME_BYTES))
        self._set_timeout(socket.SO_RCVTIMEO, server.limits.idle_timeout_seconds)
        response = messages.Response(id=request.id, handle=request.handle)
        response.hello.major = protocol.MAJOR
        response.hello.minor = min(protocol.MINOR, hello.minor)
        response.hello.server_name = server.name
        response.hello.server_version = _version()
        response.hello.capabilities[:] = in_force
        response.hello.limits.CopyFrom(server.limits.to_message())
        response.hello.session_id = self._number
        self._send(RESPONSE, response.SerializeToString())

    def _refuse_hello(self, request: messages.Request, refusal: Refusal) -> None:
        self._send_refusal(request.id, request.handle, refusal)
        raise ConnectionAbortedError

    # ------------------------------------------------------------------------------------ answering

    def _answer_requests(self) -> None:
        while (item := self._requests.get()) is not None:
            request, closing = item
            for handle in closing:
                handle.closed.wait()
            kind = request.WhichOneof("message")
            if kind is not None and kind not in _ABOUT_CONNECTION:
                handle_now = self._handles.get(request.handle)
                if handle_now is not None and handle_now not in closing:
                    # Made by a request that came before this one.
                    handle_now.requests.put(request)
                    continue
                self.answer(request, self.refuse_handle)
            else:
                self.answer(request, self._respond)

    def answer(self, request: messages.Request, respond: Any) -> None:
        """Answers one request, with what ``respond`` makes of it or with an error."""
        response = messages.Response(id=request.id, handle=request.handle)
        try:
            if self._is_over:
                return
            if self.server.is_ending:
                raise Refusal(messages.SHUTTING_DOWN, "the server ends")
            self._require_capability(request)
            respond(request, response)
            body = response.SerializeToString()
            if len(body) > self._most_sent:
                raise Refusal(
                    messages.RESPONSE_TOO_LARGE,
                    f"the response has {len(body)} bytes; at most {self._most_sent} can be sent",
                )
            self._send(RESPONSE, body)
        except Refusal as refusal:
            self._send_refusal(request.id, request.handle, refusal)
        except Exception as problem:
            traceback.print_exc()
            mistake = Refusal(messages.INTERNAL, f"a mistake of the server's: {type(problem).__name__}: {problem}")
            self._send_refusal(request.id, request.handle, mistake)
        finally:
            with self._lock:
                self._pending -= 1

    def _require_capability(self, request: messages.Request) -> None:
        capability = _NEEDS.get(request.WhichOneof("message") or "")
        if capability is not None and capability not in (self._capabilities or ()):
            # A handle that does not exist comes first (E4).
            if request.handle not in self._handles:
                self.refuse_handle(request, messages.Response())
            raise Refusal(messages.UNSUPPORTED_CAPABILITY, f"{capability} is not in force on this connection")

    @staticmethod
    def refuse_handle(request: messages.Request, response: messages.Response) -> None:
        """Answers a request about a handle that is not there (H1)."""
        raise Refusal(
            messages.UNKNOWN_HANDLE,
            f"this connection has no handle {request.handle}",
            [messages.ErrorDetail(field="handle", got=str(request.handle))],
        )

    def _respond(self, request: messages.Request, response: messages.Response) -> None:
        kind = request.WhichOneof("message")
        if kind is None:
            raise Refusal(
                messages.UNKNOWN_MESSAGE, "the request is empty, or of a kind that this version does not know"
            )
        getattr(response, kind).SetInParent()
        if kind == "hello":
            raise Refusal(messages.INVALID_ARGUMENT, "hello was said already")
        if kind == "status":
            response.status.CopyFrom(self.server.status())
        elif kind == "list":
            response.list.environments.extend(self.server.catalogue.list())
        elif kind == "make":
            self._make(request.make, response)
        elif kind == "shutdown":
            if not self.server.allows_shutdown:
                raise Refusal(messages.NOT_ALLOWED, "clients may not end this server; it was not started so")
            # stop() only rings a bell, so the response is sent before anything ends.
            self.server.stop()

    def _make(self, request: messages.MakeRequest, response: messages.Response) -> None:
        server = self.server
        entry = server.catalogue[request.id]
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
        )
        memory = self._require_room(entry.describe(), settings.count)
        batch = Batch(entry, settings)
        handle = _Handle(self, self._next_handle, batch, memory)
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
        with self._lock:
            self._environments += settings.count
            self._memory += memory
        self._handles[handle.number] = handle
        server.count("environments", settings.count)
        handle.start()

    def _require_room(self, spec: messages.EnvironmentSpec, count: int) -> int:
        """The bytes that the buffers of so many environments take, if there is room for them (L3 to L5)."""
        from swift_gym.spaces import space_from_message

        limits = self.server.limits
        row = 32
        for space, copies in ((spec.observation_space, 2), (spec.action_space, 1)):
            for layout in leaf_layouts(space_from_message(space)):
                size = 1
                for extent in layout.shape:
                    size *= extent
                row += copies * size * (layout.dtype.itemsize if layout.dtype is not None else 64)
        with self._lock:
            for what, wanted, most in (
                ("handles", len(self._handles) + 1, limits.max_handles),
                ("environments", self._environments + count, limits.max_environments),
                ("bytes of memory", self._memory + row * count, limits.max_memory_bytes),
            ):
                if wanted > most:
                    raise Refusal(
                        messages.LIMIT_EXCEEDED,
                        f"the connection would have {wanted} {what}; at most {most} are allowed",
                        [messages.ErrorDetail(field="num_envs", expected=f"at most {most} {what}", got=str(wanted))],
                    )
        return row * count

    def release(self, handle: _Handle) -> None:
        """A handle is gone."""
        with self._lock:
            self._handles.pop(handle.number, None)
            self._environments -= handle.batch.count
            self._memory -= handle.memory
        self.server.count("environments", -handle.batch.count)

    # ------------------------------------------------------------------------------------ sending

    def _send_refusal(self, id: int, handle: int, refusal: Refusal) -> None:
        self.server.count("errors")
        response = messages.Response(id=id, handle=handle)
        refusal.to_message(response.error)
        self._send(RESPONSE, response.SerializeToString())

    def _send(self, kind: int, body: bytes) -> None:
        piece = frame(kind, body)
        with self._send_lock:
            try:
                self._socket.sendall(piece)
            except OSError:
                # Gone, or it does not read (C10): then this connection is over.
                self._is_over = True
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                return
        self.server.count("bytes_sent", len(piece))


def _version() -> str:
    from swift_gym import __version__

    return __version__


def _require_shallow(message: Any, depth: int = 0) -> None:
    """Refuses messages that are nested deeper than the protocol allows."""
    if depth > _DEEPEST:
        raise ValueError(f"messages are nested deeper than {_DEEPEST}")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for nested in value if _is_repeated(field) else (value,):
            _require_shallow(nested, depth + 1)


def _is_repeated(field: Any) -> bool:
    # The runtimes that have the property warn of the label.
    repeated = getattr(field, "is_repeated", None)
    return field.label == field.LABEL_REPEATED if repeated is None else bool(repeated)
