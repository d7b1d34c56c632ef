"""A server of any Gymnasium environment: ``python -m swift_gym.serve --socket PATH ID…``.

Independent of the Swift server: written from ``Proto/PROTOCOL.md``, whose clauses the comments name. It serves the
capabilities ``render.v1``, ``state.v1`` and ``spaces.v1`` over the socket.
"""

from swift_gym.serve.server import Limits, Server

__all__ = ["Limits", "Server"]
