"""Finding a server, or starting one and ending it with the last environment that needs it."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from swift_gym.errors import ServerDied, ServerNotFound

__all__ = ["find_server_binary", "lease_server"]

SERVER_VARIABLE = "SWIFT_GYM_SERVER"
BINARY_VARIABLE = "SWIFT_GYM_SERVER_BINARY"

_START_SECONDS = 20.0
_END_SECONDS = 5.0


def find_server_binary() -> Path | None:
    """The ``gym-server`` to start: ``SWIFT_GYM_SERVER_BINARY``, that of the checkout around, or one on ``PATH``.

    The checkout is looked for around this file, around the Python in use (a virtual environment may lie in it), and
    around the working directory.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return Path(named)
    for start in (Path(__file__).resolve(), Path(sys.prefix).resolve(), Path.cwd()):
        for folder in (start, *start.parents):
            binary = folder / ".build" / "release" / "gym-server"
            if (folder / "Proto" / "gym" / "v1" / "gym.proto").is_file() and os.access(binary, os.X_OK):
                return binary
    on_path = shutil.which("gym-server")
    return Path(on_path) if on_path else None


class _ServerProcess:
    """A server that this process started; it ends when its standard input does, also if this process is killed."""

    def __init__(self, binary: Path) -> None:
        # Not in a folder of its own: the server removes its socket, but who would remove the folder of a client that
        # was killed? The name cannot be guessed, and the server lets its own user in only.
        self.path = Path(tempfile.gettempdir()) / f"swift-gym-{os.getpid()}-{secrets.token_hex(8)}.sock"
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        try:
            self._process = subprocess.Popen(
                [str(binary), "serve", "--socket", str(self.path), "--until-eof"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                # Ctrl-C is for the client, which decides what becomes of its server.
                start_new_session=True,
            )
        except OSError as problem:
            self._log.close()
            raise ServerNotFound(f"cannot start {binary}: {problem.strerror or problem}") from None
        try:
            self._wait_until_listening(binary)
        except BaseException:
            self.end()
            raise

    def _wait_until_listening(self, binary: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        said = b""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"listening on" not in said or not said.endswith(b"\n"):
            readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(descriptor, 4096) if readable else b""
            if not piece:
                why = "ended at once" if readable else f"did not listen within {_START_SECONDS:.0f} seconds"
                raise ServerDied(f"{binary} {why}: {(said.decode() + self.log()).strip() or 'it said nothing'}")
            said += piece

    def log(self) -> str:
        """The last of what the server wrote to its standard error."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2000))
        return self._log.read().decode(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Ends the server and waits for it."""
        process = self._process
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if process.poll() is None:
            # A process that was forked from this one may hold the pipe open, so its end is not all that is sent.
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._log.close()


class _SharedServer:
    """The server of all environments of this process that name none."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._server: _ServerProcess | None = None
        self._users = 0
        self._pid = os.getpid()

    def acquire(self) -> tuple[_ServerProcess, str]:
        with self._lock:
            if self._server is not None and not self._server.is_running:
                # Those who use it have noticed; whoever comes now gets a new one.
                self._server.end()
                self._server, self._users = None, 0
            if self._server is None:
                binary = find_server_binary()
                if binary is None:
                    raise ServerNotFound(
                        "no server was named and no gym-server was found to start; pass server='unix:PATH', set "
                        f"{SERVER_VARIABLE}, build one in the checkout (make build), or put gym-server on PATH"
                    )
                self._server = _ServerProcess(binary)
            self._users += 1
            return self._server, str(self._server.path)

    def release(self, server: _ServerProcess) -> None:
        with self._lock:
            if server is self._server and os.getpid() == self._pid:
                self._users -= 1
                if self._users == 0:
                    self._server = None
                    server.end()

    def end(self) -> None:
        with self._lock:
            if self._server is not None and os.getpid() == self._pid:
                self._server.end()
            self._server, self._users = None, 0


_shared = _SharedServer()
atexit.register(lambda: _shared.end())


def _after_fork() -> None:
    # The parent's server is the parent's: a child that needs one starts its own.
    global _shared
    _shared = _SharedServer()


os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def lease_server(server: str | None) -> Iterator[str]:
    """The address of a server for as long as the context lasts.

    Args:
        server: an address; without one that in ``SWIFT_GYM_SERVER``; without that the server of this process, which is
            started for its first environment and ended with its last.

    """
    address = server or os.environ.get(SERVER_VARIABLE)
    if address:
        yield address
        return
    shared = _shared
    process, path = shared.acquire()
    try:
        yield path
    finally:
        shared.release(process)
