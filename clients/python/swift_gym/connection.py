"""A connection to a server, as users have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from swift_gym.channel import Channel
from swift_gym.env import Env
from swift_gym.protocol import messages
from swift_gym.spaces import Room
from swift_gym.specs import EnvironmentSpec
from swift_gym.vector_env import VectorEnv

__all__ = ["Connection", "ResourceUse", "ServerStatus", "connect"]


@dataclass(frozen=True)
class ResourceUse:
    """How much of something is in use."""

    used: int
    limit: int | None


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
    connection_use: dict[str, ResourceUse] = field(default_factory=dict)
    """Of each resource, what this connection uses; empty with a server of 1.0."""
    server_use: dict[str, ResourceUse] = field(default_factory=dict)
    """The same of all connections together."""

    COUNTERS: ClassVar = (
        "uptime_seconds",
        "connections",
        "environments",
        "steps",
        "bytes_received",
        "bytes_sent",
        "errors",
        "connections_total",
    )


class Connection(Channel):
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

    def list(self) -> list[EnvironmentSpec]:
        """The environments that the server offers."""
        request = messages.Request()
        request.list.SetInParent()
        # One room for all: what each may take, a thousand may not.
        room = Room()
        with self.understanding():
            return [EnvironmentSpec.from_message(spec, room) for spec in self.exchange(request).list.environments]

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
        counters = {name: getattr(status, name) for name in ServerStatus.COUNTERS}

        def uses(fields: Iterable[messages.ResourceUse]) -> dict[str, ResourceUse]:
            return {use.resource: ResourceUse(use.used, use.limit or None) for use in fields}

        return ServerStatus(**counters, connection_use=uses(status.connection_use), server_use=uses(status.server_use))

    def shutdown(self) -> None:
        """Ends the server, if it was started so that clients may."""
        request = messages.Request()
        request.shutdown.SetInParent()
        self.exchange(request)

    def make(self, id: str, **arguments: Any) -> Env:
        """An environment over this connection; the arguments are those of :class:`swift_gym.Env`."""
        return Env(id, server=self, **arguments)

    def make_vec(self, id: str, num_envs: int = 1, **arguments: Any) -> VectorEnv:
        """Environments over this connection; the arguments are those of :class:`swift_gym.VectorEnv`."""
        return VectorEnv(id, num_envs, server=self, **arguments)


def connect(address: str, *, token: str = "", timeout: float | None = 60.0) -> Connection:
    """Connects to the server at ``unix:PATH``; see :class:`Connection`."""
    return Connection(address, token=token, timeout=timeout)
