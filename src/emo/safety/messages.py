"""Messages between a process and its limited worker: plain JSON and buffers of bytes, never a pickle.

A worker that a hostile file has taken over can send what it likes; the reader takes no more than it allows
and runs none of it. On the wire: the JSON's length, the JSON with the buffers' lengths, the buffers.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from emo.canonical import Json

HEAD = struct.Struct("<Q")
MOST_JSON = 64 << 20
PIECE = 1 << 20
Buffer: TypeAlias = "bytes | bytearray | memoryview"


@dataclass(frozen=True, slots=True)
class Message:
    """Plain JSON, and buffers that it speaks of by their order."""

    body: Json
    buffers: Sequence[Buffer] = ()


class BrokenMessage(Exception):
    """What came is no message, or is larger than allowed."""


def send(connection: socket.socket, message: Message, deadline: float | None = None) -> None:
    """Write a message; TimeoutError behind `deadline` (of time.monotonic)."""
    views = [memoryview(buffer).cast("B") for buffer in message.buffers]
    text = json.dumps({"body": message.body, "lengths": [len(view) for view in views]}).encode()
    _wait(connection, deadline)
    pieces: list[Buffer] = [HEAD.pack(len(text)), text, *views]
    for piece in pieces:
        connection.sendall(piece)


def receive(connection: socket.socket, most_bytes: int, deadline: float | None = None) -> Message:
    """The next message, with at most `most_bytes` of buffers.

    EOFError where the other side is gone, TimeoutError behind `deadline`, BrokenMessage for anything else.
    """
    (length,) = HEAD.unpack(_exactly(connection, HEAD.size, deadline))
    if length > MOST_JSON:
        raise BrokenMessage(f"{length} bytes of JSON")
    try:
        told = json.loads(_exactly(connection, length, deadline))
        body, lengths = told["body"], [int(one) for one in told["lengths"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BrokenMessage(f"not a message: {error}") from error
    if min(lengths, default=0) < 0 or sum(lengths) > most_bytes:
        raise BrokenMessage(f"{sum(lengths)} bytes, {most_bytes} are allowed")
    return Message(body, [_exactly(connection, one, deadline) for one in lengths])


def _exactly(connection: socket.socket, length: int, deadline: float | None) -> bytearray:
    """So many bytes; memory is taken as they come, not as they are promised."""
    read = bytearray()
    while len(read) < length:
        _wait(connection, deadline)
        piece = connection.recv(min(PIECE, length - len(read)))
        if not piece:
            raise EOFError("the other side is gone")
        read += piece
    return read


def _wait(connection: socket.socket, deadline: float | None) -> None:
    """Let the next call wait until `deadline`; one that has passed still lets through what is there."""
    connection.settimeout(None if deadline is None else max(0.01, deadline - time.monotonic()))
