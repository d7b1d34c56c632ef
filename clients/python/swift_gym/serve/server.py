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
from pathlib import Path

from swift_gym.framing import RESPONSE, frame
from swift_gym.protocol import messages
from swift_gym.serve.catalogue import Catalogue
from swift_gym.serve.host import Host, Limits
from swift_gym.serve.refusal import Refusal
from swift_gym.serve.session import Session

__all__ = ["Limits", "Server", "StartError"]


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
        self._host = Host(catalogue, limits or Limits(), token, allows_shutdown, self.stop)
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._listener = _listen(self.path)
        self._identity = _identity(self.path)

    def _forget(self, session: Session) -> None:
        with self._lock:
            self._sessions.discard(session)
            self._host.change(connections=-1)

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
            self._host.count("errors")
            response = messages.Response()
            refusal.to_message(response.error)
            with contextlib.suppress(OSError), stream:
                stream.settimeout(1)
                stream.sendall(frame(RESPONSE, response.SerializeToString()))
            return
        session = Session(self._host, stream, self._host.count("connections_total"), self._forget)
        with self._lock:
            self._sessions.add(session)
            self._host.change(connections=1)
        session.start()

    def _require_room(self, stream: socket.socket) -> None:
        with self._lock:
            connections = len(self._sessions)
        if connections >= self._host.limits.max_connections:
            raise Refusal(
                messages.TOO_MANY_CONNECTIONS, f"there are {connections} connections already; no more are taken"
            )
        _, user, _ = struct.unpack("3i", stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user != os.geteuid():
            raise Refusal(messages.UNAUTHORIZED, "this server serves the user that started it only")

    def _end(self) -> None:
        self._host.is_ending = True
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
                # A listener that is too busy to take it is one as well, and not to be waited for.
                probe.setblocking(False)
                try:
                    probe.connect(str(path))
                except BlockingIOError:
                    raise StartError(
                        f"a server already listens at unix:{path}; end it, or choose another --socket"
                    ) from None
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
