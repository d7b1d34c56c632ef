"""What all connections of a server share: its limits, what it offers, and what it counts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from swift_gym.protocol import messages
from swift_gym.serve.catalogue import Catalogue
from swift_gym.serve.refusal import Refusal

__all__ = ["Host", "Limits", "Use"]

# Limits that clients of 1.0 do not know.
_SINCE_ONE = ("max_server_memory_bytes",)


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
    max_server_memory_bytes: int = 8 << 30

    def to_message(self, minor: int) -> messages.Limits:
        """The limits as they are announced where a version is in force."""
        names = (name for name in self.__dataclass_fields__ if minor > 0 or name not in _SINCE_ONE)
        return messages.Limits(**{name: getattr(self, name) for name in names})


@dataclass
class Use:
    """What a connection, or all of them, have in use (M35)."""

    handles: int = 0
    environments: int = 0
    memory_bytes: int = 0
    pending_requests: int = 0


class Host:
    """A server as its sessions see it.

    Args:
        ring: has the server end.

    """

    name = "swift_gym.serve (Python)"

    def __init__(
        self, catalogue: Catalogue, limits: Limits, token: str, allows_shutdown: bool, ring: Callable[[], None]
    ) -> None:
        self.catalogue = catalogue
        self.limits = limits
        self.token = token
        self.allows_shutdown = allows_shutdown
        self.is_ending = False
        self.stop = ring
        self.connections = 0
        self.threads = 0
        self._use = Use()
        self._started = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, what: str, amount: int = 1) -> int:
        """Adds to a counter of the status, and returns it."""
        with self._lock:
            self._counts[what] += amount
            return self._counts[what]

    def take(self, environments: int, memory_bytes: int) -> None:
        """Counts what a make is going to use.

        Raises:
            Refusal: all connections together would have more than the server allows (L5).

        """
        most = self.limits.max_server_memory_bytes
        with self._lock:
            wanted = self._use.memory_bytes + memory_bytes
            if most and wanted > most:
                raise Refusal(
                    messages.LIMIT_EXCEEDED,
                    f"all connections together would use {wanted} bytes of memory; at most {most} are allowed",
                    [messages.ErrorDetail(field="num_envs", expected=f"at most {most} bytes", got=str(wanted))],
                )
            self._use.environments += environments
            self._use.memory_bytes = wanted

    def give_back(self, environments: int, memory_bytes: int) -> None:
        """Counts that so much is no longer used."""
        with self._lock:
            self._use.environments -= environments
            self._use.memory_bytes -= memory_bytes

    def status(self, minor: int, own: Use) -> messages.StatusResponse:
        """What M3 and M35 ask for, to a connection that uses so much itself."""
        limits = self.limits
        with self._lock:
            response = messages.StatusResponse(
                uptime_seconds=time.monotonic() - self._started,
                connections=self.connections,
                environments=self._use.environments,
                **cast("Any", self._counts),
            )
            if minor > 0:
                for fields, uses in (
                    (
                        response.connection_use,
                        (
                            ("handles", own.handles, limits.max_handles),
                            ("environments", own.environments, limits.max_environments),
                            ("memory_bytes", own.memory_bytes, limits.max_memory_bytes),
                            ("pending_requests", own.pending_requests, limits.max_pending_requests),
                        ),
                    ),
                    (
                        response.server_use,
                        (
                            ("connections", self.connections, limits.max_connections),
                            ("environments", self._use.environments, 0),
                            ("memory_bytes", self._use.memory_bytes, limits.max_server_memory_bytes),
                            ("threads", self.threads, 0),
                        ),
                    ),
                ):
                    for resource, used, limit in uses:
                        fields.add(resource=resource, used=used, limit=limit)
        return response

    def change(self, *, connections: int = 0, threads: int = 0) -> None:
        """Counts connections, and threads that make and step environments, that came or went."""
        with self._lock:
            self.connections += connections
            self.threads += threads
