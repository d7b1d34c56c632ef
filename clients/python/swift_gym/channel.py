"""What a connection is made of: requests out, responses in, one thread at a time."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from gymnasium import error as gymnasium_error

from swift_gym import protocol
from swift_gym.errors import (
    ProtocolError,
    ServerDied,
    ServerNotFound,
    ServerTimeout,
    raise_server_error,
)
from swift_gym.framing import NOTICE, REQUEST, RESPONSE, FrameError, FrameReader, frame
from swift_gym.protocol import messages
from swift_gym.step_frames import STEP_IDS, StepResponseFrame
from swift_gym.tensors import WireError

__all__ = ["Channel", "socket_path"]

_Channel = TypeVar("_Channel", bound="Channel")

# The largest body that is taken from a server, which is told so: a gibibyte.
_MOST_BYTES = 1 << 30


def socket_path(address: str) -> str:
    """The path in ``unix:PATH``, or the address itself when it is a path already."""
    return address[len("unix:") :] if address.startswith("unix:") else address


class Channel:
    """A connection to a server of environments, as far as requests and responses go.

    For one thread at a time, and for the process that made it. The environments made over a connection end with it.

    Args:
        address: ``unix:PATH``, or the path alone.
        token: what a server that was started with a token asks for.
        timeout: seconds that the server has for each answer; ``None`` waits for ever.
        client_name: what the server's log and status call this client.

    Raises:
        ServerNotFound: nothing listens there.
        ServerError: the server refused, for instance since it speaks another version.
        ProtocolError: what listens there is not a server of environments.

    """

    def __init__(
        self, address: str, *, token: str = "", timeout: float | None = 60.0, client_name: str = "swift_gym (Python)"
    ) -> None:
        self.path = socket_path(address)
        self.timeout = timeout
        self._pid = os.getpid()
        self._lost: str | None = None
        self._next_id = 1
        # Of what was asked, by id: what is awaited, what has come, what nobody waits for any more. The steps of a
        # handle have one id; what comes of steps in shared memory is kept under the negated handle.
        self._awaited: set[int] = set()
        self._steps: set[int] = set()
        self._arrived: dict[int, messages.Response] = {}
        self._abandoned: set[int] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reader = FrameReader(self._socket, _MOST_BYTES, (RESPONSE, NOTICE))
        try:
            try:
                self._socket.connect(self.path)
            except OSError as problem:
                raise ServerNotFound(
                    f"no server at unix:{self.path} ({problem.strerror or problem}); "
                    f"start one with: gym-server serve --socket {self.path}"
                ) from None
            # The kernel keeps the time: with Python's own time-outs every receive would be two system calls.
            if timeout is not None:
                interval = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6))
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
            self._say_hello(token, client_name)
        except BaseException:
            self.close()
            raise

    def _say_hello(self, token: str, client_name: str) -> None:
        request = messages.Request()
        request.hello.major = protocol.MAJOR
        request.hello.minor = protocol.MINOR
        request.hello.client_name = client_name
        request.hello.token = token
        request.hello.max_frame_bytes = _MOST_BYTES
        hello = self.exchange(request).hello
        if hello.major != protocol.MAJOR:
            raise ProtocolError(
                f"the server at unix:{self.path} speaks version {hello.major}.{hello.minor}, "
                f"this client {protocol.MAJOR}.{protocol.MINOR}"
            )
        self.server_name: str = hello.server_name
        self.server_version: str = hello.server_version
        self.minor: int = hello.minor
        self.capabilities: frozenset[str] = frozenset(hello.capabilities)
        self.limits: messages.Limits = hello.limits
        self.session_id: int = hello.session_id

    def close(self) -> None:
        """Ends the connection and all environments made over it. Closing twice is harmless."""
        self._lost = self._lost or "it was closed"
        self._reader.close()
        self._socket.close()

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, on either side as far as is known."""
        return self._lost is not None

    def __enter__(self: _Channel) -> _Channel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection to unix:{self.path}{', closed' if self.closed else ''}>"

    # ------------------------------------------------------------------------------------ exchange

    def exchange(self, request: messages.Request) -> messages.Response:
        """Sends a request and waits for its response, which is of the same kind.

        Raises:
            ServerError: the server refused; the exception is Gymnasium's own where there is one.
            ServerDied: the connection ended.
            ServerTimeout: the server did not answer in time.

        """
        return self.wait(self.send(request), request.WhichOneof("message"))

    def send(self, request: messages.Request) -> int:
        """Sends a request; its id is what :meth:`wait` takes."""
        self._require_open()
        request.id = self._next_id
        self._next_id += 1
        self._awaited.add(request.id)
        try:
            self._socket.sendall(frame(REQUEST, request.SerializeToString()))
        except OSError as problem:
            self._fail_to_send(problem)
        return request.id

    def new_step_id(self) -> int:
        """An id for the steps of a handle, which are made one after the other: they may all have the same."""
        self._next_id += 1
        self._steps.add(STEP_IDS + self._next_id)
        return STEP_IDS + self._next_id

    def expect_steps(self, handle: int) -> None:
        """From here on the server may have something to say of steps of this handle in shared memory."""
        self._steps.add(-handle)

    def send_frame(self, content: memoryview) -> None:
        """Sends a whole frame."""
        self._require_open()
        try:
            self._socket.sendall(content)
        except OSError as problem:
            self._fail_to_send(problem)

    def next_expected(self, response: StepResponseFrame) -> bytes | None:
        """Waits for the next frame; the frame itself if it is such a response, else ``None``: :meth:`wait` has it."""
        if self._arrived:
            return None
        self._require_open()
        try:
            return self._reader.next_expected(response.size, response.fits)
        except BlockingIOError:
            raise self._timed_out() from None
        except OSError as problem:
            raise self._died(str(problem)) from None

    def wait(self, id: int, kind: str | None) -> messages.Response:
        """Waits for the response to the request with this id, which has to be of the given kind."""
        try:
            while id not in self._arrived:
                self._require_open()
                self._read_frame()
        except BaseException:
            self.abandon(id)
            raise
        response = self._arrived.pop(id)
        answered = response.WhichOneof("message")
        if answered == "error":
            if response.error.fatal:
                self._lost = self._lost or response.error.message
            raise_server_error(response.error)
        if kind is not None and answered != kind:
            raise ProtocolError(f"the answer to {kind} is of kind {answered}")
        return response

    def abandon(self, id: int) -> None:
        """Has the response to the request with this id dropped when it comes."""
        self._awaited.discard(id)
        self._steps.discard(id)
        if self._arrived.pop(id, None) is None:
            self._abandoned.add(id)

    def wait_for_step(self, handle: int) -> messages.Response:
        """Waits for what the server has to say of a step of this handle in shared memory."""
        # Steps in shared memory are not requests: such responses have id 0 and the handle.
        return self.wait(-handle, None)

    def take_descriptor(self) -> int | None:
        """The oldest descriptor that came with a response; the caller closes it."""
        return self._reader.take_descriptor()

    def check_alive(self) -> None:
        """Reads what has come, without waiting: for those who wait on something other than the socket.

        Raises:
            ServerDied: the server has gone.

        """
        while True:
            self._require_open()
            if not self._reader.has_buffered_bytes:
                try:
                    if not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                        raise self._died("the server closed the connection")
                except BlockingIOError:
                    return
                except OSError as problem:
                    raise self._died(str(problem)) from None
            self._read_frame()

    @contextlib.contextmanager
    def understanding(self) -> Any:
        """Turns what cannot be understood of a response into a :class:`ProtocolError`."""
        try:
            yield
        except WireError as problem:
            raise ProtocolError(f"the server at unix:{self.path} broke the protocol: {problem}") from problem

    def _fail_to_send(self, problem: OSError) -> NoReturn:
        if isinstance(problem, BlockingIOError):
            raise self._timed_out() from None
        # What the server said before it closed explains more than the failed send.
        while True:
            self._read_frame(str(problem))

    def _read_frame(self, problem: str | None = None) -> None:
        """Reads one frame and keeps it for whoever waits for it."""
        self._require_open(problem)
        try:
            received = self._reader.next()
        except BlockingIOError:
            raise self._timed_out() from None
        except FrameError as error:
            self._lost = str(error)
            raise (ServerDied if "ended inside" in str(error) else ProtocolError)(str(error)) from None
        except OSError as error:
            raise self._died(problem or str(error)) from None
        if received is None:
            raise self._died(problem or "the server closed the connection")
        if received.kind == RESPONSE:
            try:
                response = messages.Response.FromString(bytes(received.body))
            except Exception as error:
                self._lost = "a response could not be decoded"
                raise ProtocolError(f"a response of the server cannot be decoded: {error}") from None
            key = response.id
            if key == 0:
                if response.handle:
                    key = -response.handle
                elif response.WhichOneof("message") == "error":
                    self._lost = response.error.message
                    raise_server_error(response.error)
            if key in self._abandoned:
                self._abandoned.discard(key)
                if response.make.transport == messages.SHARED_MEMORY:
                    # Its descriptor, too, would be taken for that of the next make.
                    descriptor = self._reader.take_descriptor()
                    if descriptor is not None:
                        os.close(descriptor)
            elif key in self._awaited or (key in self._steps and key not in self._arrived):
                self._awaited.discard(key)
                self._arrived[key] = response
            else:
                # To keep it would let a server fill this process's memory.
                self._lost = "the server answered what nobody had asked"
                raise ProtocolError(f"an answer has the id {response.id}, which no request has that waits for one")
        else:
            try:
                notice = messages.Notice.FromString(bytes(received.body))
            except Exception as error:
                self._lost = "a notice could not be decoded"
                raise ProtocolError(f"a notice of the server cannot be decoded: {error}") from None
            kind = notice.WhichOneof("message")
            if kind == "shutting_down":
                raise self._died(f"the server shuts down ({notice.shutting_down.reason or 'no reason given'})")
            if kind == "reaped":
                raise self._died(f"the server closed the connection after {notice.reaped.idle_seconds} idle seconds")

    def _require_open(self, problem: str | None = None) -> None:
        if self._lost is not None:
            if self._socket.fileno() < 0:
                raise gymnasium_error.ClosedEnvironmentError(f"the connection to unix:{self.path} is closed")
            raise ServerDied(f"the connection to unix:{self.path} is lost: {self._lost}")
        if os.getpid() != self._pid:
            raise gymnasium_error.Error(
                "a connection belongs to the process that made it; make the environment in the process that uses it"
            )

    def _died(self, reason: str) -> ServerDied:
        self._lost = self._lost or reason
        return ServerDied(f"the connection to unix:{self.path} is lost: {self._lost}")

    def _timed_out(self) -> ServerTimeout:
        self._lost = f"no answer within {self.timeout} seconds"
        return ServerTimeout(f"the server at unix:{self.path} gave {self._lost}")
