"""Frames, as the client reads them from servers of every kind."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from conftest import PATIENCE

from swift_gym.framing import NOTICE, REQUEST, RESPONSE, FrameError, FrameReader, frame


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, FrameReader]]:
    here, there = socket.socketpair()
    yield there, FrameReader(here, 1 << 20, (RESPONSE, NOTICE))
    here.close()
    there.close()


def test_frames_come_out_as_they_went_in(pair: tuple[socket.socket, FrameReader]) -> None:
    sender, reader = pair
    bodies = [os.urandom(size) for size in (0, 1, 7, 70_000, 300_000, 3, 1 << 20)]
    thread = threading.Thread(target=lambda: [sender.sendall(frame(RESPONSE, body)) for body in bodies])
    thread.start()
    for body in bodies:
        received = reader.next()
        assert received is not None and received.kind == RESPONSE and bytes(received.body) == body
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert reader.bytes_received == sum(8 + len(body) for body in bodies)
    sender.close()
    assert reader.next() is None


def test_a_body_stays_while_more_is_read(pair: tuple[socket.socket, FrameReader]) -> None:
    sender, reader = pair
    sender.sendall(frame(RESPONSE, b"first"))
    first = reader.next()
    assert first is not None and bytes(first.body) == b"first"


@pytest.mark.parametrize(
    ("header", "too_large"),
    [((4, REQUEST, 0, 0), False), ((4, 0, 0, 0), False), ((4, RESPONSE, 1, 0), False), ((1 << 21, NOTICE, 0, 0), True)],
)
def test_what_is_no_frame(
    pair: tuple[socket.socket, FrameReader], header: tuple[int, int, int, int], too_large: bool
) -> None:
    sender, reader = pair
    sender.sendall(struct.pack("<IBBH", *header))
    with pytest.raises(FrameError) as problem:
        reader.next()
    assert problem.value.too_large is too_large


def test_an_end_inside_a_frame(pair: tuple[socket.socket, FrameReader]) -> None:
    sender, reader = pair
    sender.sendall(frame(RESPONSE, b"cut short")[:-3])
    sender.close()
    with pytest.raises(FrameError, match="14 of 17 bytes"):
        reader.next()


def test_descriptors_come_with_their_frames(pair: tuple[socket.socket, FrameReader]) -> None:
    sender, reader = pair
    read_end, write_end = os.pipe()
    socket.send_fds(sender, [frame(RESPONSE, b"x")], [write_end])
    os.close(write_end)
    assert reader.take_descriptor() is None
    reader.next()
    passed = reader.take_descriptor()
    assert passed is not None
    os.write(passed, b"!")
    os.close(passed)
    assert os.read(read_end, 2) == b"!"
    os.close(read_end)
