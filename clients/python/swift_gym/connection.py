"""A connection to a server: requests out, responses in."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from gymnasium import error as gymnasium_error
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from swift_gym import protocol
from swift_gym.errors import (
    ProtocolError,
    ServerDied,
    ServerNotFound,
    ServerTimeout,
    raise_server_error,
)
from swift_gym.framing import NOTICE, REQUEST, RESPONSE, FrameError, FrameReader, frame
from swift_gym.options import option_from_message
from swift_gym.protocol import messages
from swift_gym.spaces import space_from_message
from swift_gym.step_frames import STEP_IDS, StepResponseFrame

if TYPE_CHECKING:
    from swift_gym.env import Env
    from swift_gym.vector_env import VectorEnv

__all__ = ["Connection", "EnvironmentSpec", "OptionSpec", "ServerStatus", "connect", "socket_path"]

_AUTORESET_MODES = {
    messages.NEXT_STEP: AutoresetMode.NEXT_STEP,
    messages.SAME_STEP: AutoresetMode.SAME_STEP,
    messages.DISABLED: AutoresetMode.DISABLED,
}

# The largest body that a header can announce.
_MOST_BYTES = 0xFFFF_FFFF


@dataclass(frozen=True)
class OptionSpec:
    """An option that an environment takes when it is made or reset."""

    name: str
    default: Any
    allowed: str
    """What is allowed, for people: ``true or false``."""
    summary: str


@dataclass(frozen=True)
class EnvironmentSpec:
    """An environment as a server lists it."""

    id: str
    summary: str
    max_episode_steps: int | None
    reward_threshold: float | None
    nondeterministic: bool
    render_modes: tuple[str, ...]
    render_fps: float
    options: tuple[OptionSpec, ...]
    reset_options: tuple[OptionSpec, ...]
    autoreset_modes: tuple[AutoresetMode, ...]
    restorable: bool
    """Whether states can be taken and set."""
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]

    @classmethod
    def from_message(cls, message: messages.EnvironmentSpec) -> EnvironmentSpec:
        """The spec that the message describes.

        Raises:
            WireError: the message makes no sense.

        """

        def options(specs: Any) -> tuple[OptionSpec, ...]:
            return tuple(
                OptionSpec(spec.name, option_from_message(spec.default_value), spec.allowed, spec.summary)
                for spec in specs
            )

        return cls(
            id=message.id,
            summary=message.summary,
            max_episode_steps=message.max_episode_steps or None,
            reward_threshold=float(option_from_message(message.reward_threshold))
            if message.HasField("reward_threshold")
            else None,
            nondeterministic=message.nondeterministic,
            render_modes=tuple(message.render_modes),
            render_fps=message.render_fps,
            options=options(message.options),
            reset_options=options(message.reset_options),
            autoreset_modes=tuple(
                _AUTORESET_MODES[mode] for mode in message.autoreset_modes if mode in _AUTORESET_MODES
            ),
            restorable=message.restorable,
            observation_space=space_from_message(message.observation_space),
            action_space=space_from_message(message.action_space),
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """``render_modes`` and ``render_fps`` as Gymnasium's environments say them."""
        metadata: dict[str, Any] = {"render_modes": list(self.render_modes)}
        if self.render_fps > 0:
            fps = self.render_fps
            metadata["render_fps"] = int(fps) if fps == int(fps) else fps
        return metadata


@dataclass(frozen=True)
class ServerStatus:
    """What a server tells of itself, since its start or as of now."""

    uptime_seconds: float
    connections: int
    environments: int
    steps: int
    """Steps of single environments."""
    bytes_received: int
    bytes_sent: int
    errors: int
    connections_total: int


def socket_path(address: str) -> str:
    """The path in ``unix:PATH``, or the address itself when it is a path already."""
    return address[len("unix:") :] if address.startswith("unix:") else address


class Connection:
    """A connection to a server of environments.

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
        hello = self.exchange(request).hello
        if hello.major != protocol.MAJOR:
            raise ProtocolError(
                f"the server at unix:{self.path} speaks version {hello.major}.{hello.minor}, "
                f"this client {protocol.MAJOR}.{protocol.MINOR}"
            )
        self.server_name: str = hello.server_name
        self.server_version: str = hello.server_version
        self.capabilities: frozenset[str] = frozenset(hello.capabilities)
        self.limits: messages.Limits = hello.limits
        self.session_id: int = hello.session_id

    # ------------------------------------------------------------------------------------ for users

    def list(self) -> list[EnvironmentSpec]:
        """The environments that the server offers."""
        request = messages.Request()
        request.list.SetInParent()
        with self.understanding():
            return [EnvironmentSpec.from_message(spec) for spec in self.exchange(request).list.environments]

    def ping(self) -> None:
        """Returns when the server has answered."""
        request = messages.Request()
        request.ping.SetInParent()
        self.exchange(request)

    def status(self) -> ServerStatus:
        """What the server tells of itself."""
        request = messages.Request()
        request.status.SetInParent()
        status = self.exchange(request).status
        return ServerStatus(**{name: getattr(status, name) for name in ServerStatus.__dataclass_fields__})

    def shutdown(self) -> None:
        """Ends the server, if it was started so that clients may."""
        request = messages.Request()
        request.shutdown.SetInParent()
        self.exchange(request)

    def make(self, id: str, **arguments: Any) -> Env:
        """An environment over this connection; the arguments are those of :class:`swift_gym.Env`."""
        from swift_gym.env import Env

        return Env(id, server=self, **arguments)

    def make_vec(self, id: str, num_envs: int = 1, **arguments: Any) -> VectorEnv:
        """Environments over this connection; the arguments are those of :class:`swift_gym.VectorEnv`."""
        from swift_gym.vector_env import VectorEnv

        return VectorEnv(id, num_envs, server=self, **arguments)

    def close(self) -> None:
        """Ends the connection and all environments made over it. Closing twice is harmless."""
        self._lost = self._lost or "it was closed"
        self._reader.close()
        self._socket.close()

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, on either side as far as is known."""
        return self._lost is not None

    def __enter__(self) -> Connection:
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
        try:
            self._socket.sendall(frame(REQUEST, request.SerializeToString()))
        except OSError as problem:
            self._fail_to_send(problem)
        return request.id

    def new_step_id(self) -> int:
        """An id for the steps of a handle, which are made one after the other: they may all have the same."""
        self._next_id += 1
        return STEP_IDS + self._next_id

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
        if self._arrived.pop(id, None) is None:
            self._abandoned.add(id)

    def wait_for_step(self, handle: int) -> messages.Response:
        """Waits for what the server has to say of a step of this handle in shared memory."""
        # Steps in shared memory are not requests: such responses have id 0 and the handle. They are kept under a
        # number that no request has.
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
        """Turns what cannot be understood of a response into a :class:`ProtocolError`.

        Also what NumPy and Gymnasium say when they are to make something that cannot be, such as a space whose bounds
        contradict each other or an array of a hundred axes: it is the server who said that it should be made.
        """
        try:
            yield
        except (ValueError, TypeError, AssertionError, ArithmeticError, LookupError) as problem:
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
            else:
                self._arrived[key] = response
        else:
            notice = messages.Notice.FromString(bytes(received.body))
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


def connect(address: str, *, token: str = "", timeout: float | None = 60.0) -> Connection:
    """Connects to the server at ``unix:PATH``; see :class:`Connection`."""
    return Connection(address, token=token, timeout=timeout)
