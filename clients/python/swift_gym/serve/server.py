"""The server: its socket, its connections, its counters."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from swift_gym.framing import RESPONSE, frame
from swift_gym.protocol import messages
from swift_gym.serve.catalogue import Catalogue
from swift_gym.serve.refusal import Refusal
from swift_gym.serve.session import Session

__all__ = ["Limits", "Server", "StartError"]


@dataclass(frozen=True)
class Limits:
    """What a server allows (L)."""

    max_frame_bytes: int = 64 << 20
    max_connections: int = 64
    max_handles: int = 64
    max_environments: int = 4096
    max_pending_requests: int = 256
    max_memory_bytes: int = 2 << 30
    idle_timeout_seconds: int = 0

    def to_message(self) -> messages.Limits:
        """The limits as they are announced."""
        return messages.Limits(**{name: getattr(self, name) for name in self.__dataclass_fields__})


class StartError(Exception):
    """The server cannot be started."""


class Server:
    """A server of the environments of a catalogue, on a Unix socket.

    Args:
        path: where the socket is made, with mode 0600. A file that an ended server left is replaced.
        catalogue: what is offered.
        token: what clients have to say in their hello; empty: nothing.
        allows_shutdown: whether clients may end the server.

    Raises:
        StartError: a server listens there already, or a file that is not a socket is in the way.

    """

    name = "swift_gym.serve (Python)"

    def __init__(
        self,
        path: str | Path,
        catalogue: Catalogue,
        *,
        limits: Limits | None = None,
        token: str = "",
        allows_shutdown: bool = False,
    ) -> None:
        self.path = Path(path)
        self.catalogue = catalogue
        self.limits = limits or Limits()
        self.token = token
        self.allows_shutdown = allows_shutdown
        self.is_ending = False
        self._started = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._listener = _listen(self.path)
        self._identity = _identity(self.path)

    # ------------------------------------------------------------------------------------ for sessions

    def count(self, what: str, amount: int = 1) -> None:
        """Adds to a counter of the status."""
        with self._lock:
            self._counts[what] += amount

    def status(self) -> messages.StatusResponse:
        """What M3 asks for."""
        with self._lock:
            counts = dict(self._counts)
            connections = len(self._sessions)
        return messages.StatusResponse(
            uptime_seconds=time.monotonic() - self._started, connections=connections, **counts
        )

    def forget(self, session: Session) -> None:
        """A session has ended."""
        with self._lock:
            self._sessions.discard(session)

    # ------------------------------------------------------------------------------------ life

    def stop(self) -> None:
        """Has :meth:`serve` return; may be called from a signal handler and from any thread."""
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def serve(self) -> None:
        """Serves until :meth:`stop` is called; then ends the connections (C8) and removes the socket."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._wake_reader, select.POLLIN)
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll()}
                if self._wake_reader.fileno() in ready:
                    return
                if self._listener.fileno() in ready:
                    self._accept()
        finally:
            self._end()

    def _accept(self) -> None:
        try:
            stream, _ = self._listener.accept()
        except OSError:
            # Too many descriptors, or gone already: others are served on.
            time.sleep(0.01)
            return
        try:
            self._require_room(stream)
        except Refusal as refusal:
            self.count("errors")
            response = messages.Response()
            refusal.to_message(response.error)
            with contextlib.suppress(OSError), stream:
                stream.settimeout(1)
                stream.sendall(frame(RESPONSE, response.SerializeToString()))
            return
        self.count("connections_total")
        session = Session(self, stream, self._counts["connections_total"])
        with self._lock:
            self._sessions.add(session)
        session.start()

    def _require_room(self, stream: socket.socket) -> None:
        with self._lock:
            connections = len(self._sessions)
        if connections >= self.limits.max_connections:
            raise Refusal(
                messages.TOO_MANY_CONNECTIONS, f"there are {connections} connections already; no more are taken"
            )
        _, user, _ = struct.unpack("3i", stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user != os.geteuid():
            raise Refusal(messages.UNAUTHORIZED, "this server serves the user that started it only")

    def _end(self) -> None:
        self.is_ending = True
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            if _identity(self.path) == self._identity:
                self.path.unlink()
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.end()
        for session in sessions:
            session.join(10)
        self._wake_reader.close()
        self._wake_writer.close()


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _listen(path: Path) -> socket.socket:
    """A socket that listens at the path (X1)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() or path.is_symlink():
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise StartError(f"{path} exists and is not a socket; it was left alone, choose another --socket")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink(missing_ok=True)
                except OSError as problem:
                    raise StartError(f"{path}: {problem.strerror}") from None
                else:
                    raise StartError(f"a server already listens at unix:{path}; end it, or choose another --socket")
        # The socket has its mode from the moment that it exists.
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(128)
    except OSError as problem:
        listener.close()
        raise StartError(f"cannot listen at {path}: {problem.strerror or problem}") from None
    except BaseException:
        listener.close()
        raise
    return listener
