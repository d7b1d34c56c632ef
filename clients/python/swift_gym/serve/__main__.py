"""``python -m swift_gym.serve --socket PATH ID…``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

import gymnasium

from swift_gym.serve.catalogue import Catalogue
from swift_gym.serve.refusal import Refusal
from swift_gym.serve.server import Limits, Server, StartError


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGINT or SIGTERM.

    Returns:
        0: it was told to end; 1: it could not serve. Wrong usage exits with 2.

    """
    parser = argparse.ArgumentParser(
        prog="python -m swift_gym.serve",
        description="Serves Gymnasium environments over the gym.v1 protocol.",
    )
    parser.add_argument("--socket", required=True, type=Path, metavar="PATH", help="where to listen")
    parser.add_argument("environments", nargs="+", metavar="ID", help='Gymnasium ids: "CartPole-v1", "module:Name-v0"')
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="a file with the token that clients have to say"
    )
    parser.add_argument("--allow-shutdown", action="store_true", help="lets clients end the server")
    parser.add_argument("--until-eof", action="store_true", help="ends, too, when standard input does")
    parser.add_argument(
        "--idle-timeout", type=int, default=0, metavar="SECONDS", help="closes idle connections; 0: never"
    )
    for limit in ("max_connections", "max_handles", "max_environments", "max_frame_bytes"):
        default = getattr(Limits, limit)
        parser.add_argument(f"--{limit.replace('_', '-')}", type=int, default=default, metavar="N", dest=limit)
    options = parser.parse_args(arguments)

    # Pictures are drawn into memory; a screen is neither needed nor to be opened on a server.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        catalogue = Catalogue(options.environments)
    except (gymnasium.error.Error, ImportError, AttributeError) as problem:
        parser.error(f"argument ID: {problem}")
    try:
        # Each is made once, so that what cannot be made is known now and not by the first client.
        catalogue.list()
    except Refusal as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    try:
        token = options.token_file.read_text().strip() if options.token_file else ""
    except OSError as problem:
        parser.error(f"argument --token-file: {problem}")
    if options.token_file and not token:
        # With an empty one everybody would be let in.
        parser.error(f"argument --token-file: {options.token_file} is empty")
    limits = Limits(
        max_connections=options.max_connections,
        max_handles=options.max_handles,
        max_environments=options.max_environments,
        max_frame_bytes=options.max_frame_bytes,
        idle_timeout_seconds=options.idle_timeout,
    )
    try:
        server = Server(options.socket, catalogue, limits=limits, token=token, allows_shutdown=options.allow_shutdown)
    except StartError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    if options.until_eof:
        threading.Thread(target=_stop_at_eof, args=(server,), daemon=True).start()
    print(f"listening on unix:{options.socket}", flush=True)
    server.serve()
    return 0


def _stop_at_eof(server: Server) -> None:
    while os.read(0, 4096):
        pass
    server.stop()


if __name__ == "__main__":
    sys.exit(main())
