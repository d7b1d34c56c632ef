"""Servers that break the protocol: the client raises what it documents, soon, and takes little memory."""

from __future__ import annotations

import sys
from pathlib import Path

import conftest
import pytest

FUZZ = Path(__file__).parents[3] / "Fuzz"


def hostile_server() -> Path:
    server = conftest.swift_binary().with_name("hostile-server")
    if not server.is_file():
        pytest.skip(f"no {server}, which plays the conversations: build it (make build)")
    return server


def test_no_conversation_of_the_corpus_harms_the_client() -> None:
    files = sorted([*FUZZ.glob("corpus/client/*"), *FUZZ.glob("regressions/client/*")])
    assert len(files) > 50
    player = [sys.executable, str(FUZZ / "clients" / "play.py"), str(hostile_server())]
    played = conftest.run([*player, "replay", *map(str, files)], seconds=conftest.LIMIT)
    assert played.returncode == 0, played.stderr
    assert played.stdout == f"{len(files)} conversations\n"


def test_nor_do_conversations_that_are_changed_at_random() -> None:
    player = [sys.executable, str(FUZZ / "clients" / "play.py"), "--most", "150", str(hostile_server())]
    played = conftest.run([*player, "fuzz", "1"], seconds=conftest.LIMIT)
    assert played.returncode == 0, played.stderr
