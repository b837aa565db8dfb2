"""Journals: the lines that make a record exist before the index knows it.

A journal belongs to one writer. Each line is `<crc32c, 8 hex> <canonical JSON>` with a sequence number;
the first is a header with the fingerprint, there before the file has its name. A last line without its
newline was torn by a kill and never acknowledged; any other line that is not sound, or a gap in the numbers,
is damage. Knows nothing of the index or of shards.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crc32c import crc32c

from emo.cache import fsops
from emo.cache.damage import DamagedFile
from emo.cache.format import FORMAT
from emo.cache.paths import SpacePaths
from emo.cache.rows import Place, Row
from emo.canonical import canonical_json

SUFFIX = ".jsonl"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a journal has been folded into the index: bytes and lines, the header included."""

    bytes: int = 0
    lines: int = 0


def encode_line(body: Mapping[str, Any]) -> bytes:
    """One line of a journal."""
    text = canonical_json(body)
    return b"%08x %s\n" % (crc32c(text), text)


def decode_line(line: bytes) -> dict[str, Any]:
    """What a line without its newline says; ValueError where it is not what was written."""
    if line[8:9] != b" " or b"%08x" % crc32c(line[9:]) != line[:8]:
        raise ValueError("the line does not match its crc32c")
    body = json.loads(line[9:])
    if not isinstance(body, dict):
        raise ValueError("the line holds no object")
    return body


def row_body(row: Row, seq: int) -> dict[str, Any]:
    """A record as its journal line has it."""
    return {
        "seq": seq,
        "clip_id": row.clip_id,
        "status": row.status,
        "reason": row.reason,
        "meta": row.meta,
        "input_sha256": row.input_sha256.hex(),
        "arrays": {name: [place.start, place.rows, place.crc] for name, place in row.places.items()},
    }


def body_row(body: Mapping[str, Any]) -> Row:
    """The inverse of `row_body`; KeyError, TypeError or ValueError where it is not one."""
    return Row(
        clip_id=body["clip_id"],
        status=body["status"],
        reason=body["reason"],
        meta=body["meta"],
        input_sha256=bytes.fromhex(body["input_sha256"]),
        places={name: Place(*place) for name, place in body["arrays"].items()},
    )


class JournalWriter:
    """One writer's journal, locked for as long as the writer lives."""

    def __init__(self, paths: SpacePaths, fingerprint: str, *, durable: bool) -> None:
        writer = f"w{os.getpid()}-{time.time_ns()}"
        self.path = paths.aside / f"{writer}{SUFFIX}"
        self._durable = durable
        self._mark = Mark()
        # locked before it has its name: a journal that nobody holds may be folded in and deleted
        scratch = paths.scratch(writer)
        self._descriptor = fsops.create_locked(scratch, append=True)
        header = {"seq": 0, "format": FORMAT, "fingerprint": fingerprint, "writer": writer}
        self._write(encode_line(header), 1)
        fsops.rename(scratch, self.path)
        if durable:  # whoever made a folder on the way to it may not have synced its name
            for folder in paths.lineage:
                fsops.sync_folder(folder)

    def append(self, rows: Sequence[Row]) -> None:
        """Write these records in one call; on return they are acknowledged."""
        first = self._mark.lines
        lines = b"".join(encode_line(row_body(row, first + i)) for i, row in enumerate(rows))
        self._write(lines, len(rows))

    def _write(self, lines: bytes, count: int) -> None:
        fsops.write(self._descriptor, lines)
        if self._durable:
            fsops.fdatasync(self._descriptor)
        self._mark = Mark(self._mark.bytes + len(lines), self._mark.lines + count)

    def close(self) -> None:
        """Let go of the journal; whoever publishes next deletes it once it is folded in."""
        fsops.close(self._descriptor)


def journals(paths: SpacePaths) -> list[Path]:
    """The journals of a space, oldest first."""
    names = [name for name in fsops.names_in(paths.aside) if name.endswith(SUFFIX)]
    return [paths.aside / name for name in sorted(names, key=lambda name: name.rpartition("-")[2])]


def read_tail(path: Path, fingerprint: str, mark: Mark) -> tuple[list[Row], Mark]:
    """The records after `mark` and the mark after them; DamagedCache names the first bad line.

    A journal that is gone was folded in by another process: it has no tail.
    """
    try:
        descriptor = fsops.open_read(path)
    except FileNotFoundError:
        return [], mark
    try:
        size = fsops.size_of(descriptor)
        data = fsops.pread(descriptor, max(0, size - mark.bytes), mark.bytes)
    finally:
        fsops.close(descriptor)
    if size < mark.bytes:
        raise _damage(path, mark.lines, f"{size} bytes are left of at least {mark.bytes}")
    rows = []
    *lines, torn = data.split(b"\n")
    if torn and (mark.lines + len(lines) == 0 or _was_whole(torn)):
        raise _damage(path, mark.lines + len(lines), "it does not end as it did")
    for seq, line in enumerate(lines, start=mark.lines):
        row = _read_line(path, line, seq, fingerprint)
        if row is not None:
            rows.append(row)
    return rows, Mark(mark.bytes + sum(len(line) + 1 for line in lines), mark.lines + len(lines))


def _was_whole(torn: bytes) -> bool:
    """Whether a last line without a newline is a sound one and a byte more: a kill leaves less than a line.

    A zero there is what a crash of the machine leaves of a byte that was not synced.
    """
    try:
        decode_line(torn[:-1])
    except ValueError:
        return False
    return torn[-1] != 0


def _read_line(path: Path, line: bytes, seq: int, fingerprint: str) -> Row | None:
    try:
        body = decode_line(line)
        if body["seq"] != seq:
            raise ValueError(f"it is numbered {body['seq']}")
        if seq == 0:
            if body["fingerprint"] != fingerprint:
                raise ValueError(f"it is of the space {body['fingerprint'][:16]}")
            return None
        return body_row(body)
    except (ValueError, KeyError, TypeError) as error:
        raise _damage(path, seq, str(error)) from error


def _damage(path: Path, line: int, problem: str) -> DamagedFile:
    return DamagedFile(
        path,
        f"line {line} is damaged ({problem}). Restore the file, or delete it: the clips that only it knows "
        "are then extracted again.",
    )
