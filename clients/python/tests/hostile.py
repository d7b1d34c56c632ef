"""Servers that say what they are told to: wrong things, and what a server of an older version once said."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from swift_gym.protocol import messages

# Seconds that a test's server waits for its client, and its client for it.
PATIENCE = 60.0


def frame(kind: int, body: bytes) -> bytes:
    return struct.pack("<IBBH", len(body), kind, 0, 0) + body


class ScriptedServer:
    """A server on a socket of its own, whose answers a function gives."""

    def __init__(self, path: Path, answer: Callable[[messages.Request, socket.socket], bytes | None]) -> None:
        """Listens; ``answer`` gives the frames that go back for a request, or sends them itself."""
        self.address = f"unix:{path}"
        self.problem: BaseException | None = None
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            while True:
                stream, _ = self._listener.accept()
                with stream, contextlib.suppress(ConnectionError, EOFError):
                    stream.settimeout(PATIENCE)
                    while True:
                        (length,) = struct.unpack("<I4x", _exactly(stream, 8))
                        request = messages.Request.FromString(_exactly(stream, length))
                        content = self._answer(request, stream)
                        if content:
                            stream.sendall(content)
        except OSError:
            pass
        except BaseException as problem:
            self.problem = problem

    def end(self) -> None:
        """Ends; what went wrong on its own side is raised here."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        if self.problem is not None:
            raise self.problem


def _exactly(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


@contextlib.contextmanager
def sealed_memory(size: int) -> Iterator[int]:
    """A descriptor of memory as S1 asks for it."""
    import fcntl

    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    try:
        os.truncate(descriptor, size)
        fcntl.fcntl(descriptor, 1033, 2 | 4)  # F_ADD_SEALS: shrink, grow
        yield descriptor
    finally:
        os.close(descriptor)
