"""States of Python environments: pickles, sealed so that nobody can have the server load a pickle of their own.

Loading a pickle runs what it says, so a state is only ever loaded after its seal, made with a key that this process
drew at its start, was found right. States of one server can therefore not be set on another.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import pickle
import secrets
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.utils.env_checker import data_equivalence

__all__ = ["Origin", "StateError", "load", "save", "survives"]

_KEY = secrets.token_bytes(32)
_SEAL_SIZE = hashlib.sha256().digest_size


class StateError(ValueError):
    """Something cannot be saved, or is not a state of this server."""


class _Pickler(pickle.Pickler):
    """Leaves out what environments draw with: they make it anew when it is ``None``."""

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind.__module__.partition(".")[0] == "pygame":
            return type(None), ()
        return NotImplemented


def save(value: Any) -> bytes:
    """The value as a sealed pickle.

    Raises:
        StateError: it cannot be pickled.

    """
    stream = io.BytesIO()
    try:
        _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception as problem:
        raise StateError(f"it cannot be pickled: {problem}") from None
    body = stream.getvalue()
    return hmac.digest(_KEY, body, "sha256") + body


def load(state: bytes) -> Any:
    """What :func:`save` was given.

    Raises:
        StateError: this server did not make it.

    """
    seal, body = state[:_SEAL_SIZE], state[_SEAL_SIZE:]
    if len(seal) != _SEAL_SIZE or not hmac.compare_digest(seal, hmac.digest(_KEY, body, "sha256")):
        raise StateError("it was not made by this server, or was changed since")
    try:
        return pickle.loads(body)
    except Exception as problem:
        raise StateError(f"it cannot be loaded: {problem}") from None


@dataclass(frozen=True)
class Origin:
    """What a state is of (M36)."""

    environment: str
    options: dict[str, str]
    """Those in force, defaults included, as text."""
    version: str

    def differences(self, other: Origin) -> list[tuple[str, str, str]]:
        """In what another state's origin differs: the error's field, what is taken here, what it is."""
        pairs = [
            ("states.environment", self.environment, other.environment),
            ("states.version", self.version, other.version),
        ]
        found = [pair for pair in pairs if pair[1] != pair[2]]
        if self.environment == other.environment and self.options != other.options:
            names = sorted(
                name for name in self.options | other.options if self.options.get(name) != other.options.get(name)
            )
            ours, theirs = (
                ", ".join(f"{name}={origin.options.get(name, 'not there')}" for name in names)
                for origin in (self, other)
            )
            found.append(("states.options", ours, theirs))
        return found


def survives(environment: gymnasium.Env[Any, Any], steps: int = 8) -> bool:
    """Whether a copy of the environment goes on as the environment itself does.

    That it can be pickled says little: what a library keeps outside of Python may be lost on the way. So both are
    stepped side by side. The environment is not to be used afterwards.
    """
    try:
        environment.reset(seed=0)
        copied = load(save(environment))
        environment.action_space.seed(0)
        for _ in range(steps):
            action = environment.action_space.sample()
            original, other = environment.step(action), copied.step(action)
            if not data_equivalence(original[:4], other[:4], exact=True):
                return False
            if original[2] or original[3]:
                break
        return bool(data_equivalence(environment.reset()[0], copied.reset()[0], exact=True))
    except Exception:
        return False
