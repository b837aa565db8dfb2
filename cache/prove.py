"""Prove: try on a real folder what the cache's promises rest on, and say which of them hold there.

Works in a folder of its own below the one that is asked about and removes it. What only a power cut would
show is not tried: a disk that answers a sync before it has the data cannot be told from a fast one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import IO

import numpy as np

from emo.cache import fsops
from emo.cache.store import open_cache
from emo.cache.verify import verify_cache
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

KILLS = 5
RENAMES = 300
SYNCS = 20
SPARSE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that was tried: whether it holds, what was seen, and what of the cache rests on it.

    Records are only safe where everything `needed` holds; the rest costs space or a command.
    """

    name: str
    holds: bool
    seen: str
    promise: str
    needed: bool = True


def prove(folder: Path) -> Iterator[Proof]:
    """Try everything below `folder`, in well under a minute. OSError where nothing can be written there."""
    scratch = Path(tempfile.mkdtemp(prefix=".emo-prove-", dir=folder))
    try:
        for try_it in (_exclusive, _rename, _sync, _locks, _kills, _link, _exchange, _sparse):
            place = scratch / try_it.__name__
            place.mkdir()
            yield _tried(try_it, place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _tried(try_it: Callable[[Path], Proof], place: Path) -> Proof:
    try:
        return try_it(place)
    except OSError as error:
        return Proof(try_it.__name__.strip("_"), False, str(error), "the call itself failed here")


def _exclusive(place: Path) -> Proof:
    fsops.close(fsops.create(place / "a"))
    try:
        fsops.close(fsops.create(place / "a"))
        refused = False
    except FileExistsError:
        refused = True
    return Proof(
        "exclusive create",
        refused,
        "a taken name was refused" if refused else "a taken name was given twice",
        "two writers never fill one shard",
    )


def _rename(place: Path) -> Proof:
    """Replace a file again and again under the eyes of a reader that must see one version or another."""
    versions = [bytes([number]) * 4096 for number in range(2)]
    target, torn, stop = place / "a", [0], threading.Event()
    fsops.replace_file(target, versions[0], place / "a.new", durable=False)

    def watch() -> None:
        while not stop.is_set():
            try:
                torn[0] += fsops.read_file(target) not in versions
            except FileNotFoundError:
                torn[0] += 1

    reader = threading.Thread(target=watch)
    reader.start()
    for number in range(RENAMES):
        fsops.replace_file(target, versions[number % 2], place / "a.new", durable=False)
    stop.set()
    reader.join()
    seen = f"{RENAMES} replacements under a reader, {torn[0]} seen half-way"
    return Proof("rename", not torn[0], seen, "a commit is seen whole or not at all")


def _sync(place: Path) -> Proof:
    descriptor, times = fsops.create(place / "a"), []
    try:
        for number in range(SYNCS):
            fsops.pwrite(descriptor, bytes(1 << 16), number << 16)
            started = time.perf_counter()
            fsops.fdatasync(descriptor)
            fsops.sync_folder(place)
            times.append(time.perf_counter() - started)
    finally:
        fsops.close(descriptor)
    seen = f"{SYNCS} syncs of 64 KiB, {1000 * median(times):.2f} ms each (median)"
    return Proof("sync", True, seen, "acknowledged records outlive a crash of the machine")


def _locks(place: Path) -> Proof:
    """A lock that another process holds is seen, and is free once that process is killed."""
    with child_process("hold", place / "a") as (child, output):
        output.readline()
        descriptor = fsops.open_lock(place / "a")
        try:
            seen_held = not fsops.flock(descriptor, wait=False)
            child.kill()
            child.wait()
            freed = fsops.flock(descriptor, wait=False)
        finally:
            fsops.close(descriptor)
    seen = f"held by another process: {'seen' if seen_held else 'not seen'}; "
    seen += "free after its kill" if freed else "still held after its kill"
    return Proof("locks", seen_held and freed, seen, "several writers at once, on this machine")


def _kills(place: Path) -> Proof:
    """Kill a writing process again and again; everything that it acknowledged has to be there and right."""
    path, lost, acknowledged = place / "a.zarr", 0, 0
    for turn in range(KILLS):
        with child_process("write", path) as (child, output):
            output.readline()
            time.sleep(0.05 + 0.07 * turn)
            child.kill()
            told = [line.split() for line in output.read().splitlines(keepends=True) if line.endswith("\n")]
        stored = open_cache(path)["prove"]
        lost += sum(clip_id not in stored for _, clip_id in told)
        acknowledged += len(told)
    bad = len(verify_cache(path).bad)
    seen = f"{KILLS} kills: {acknowledged} records acknowledged, {lost} lost, {bad} damaged"
    return Proof("kill", not lost and not bad, seen, "a killed run loses nothing that it acknowledged")


def _link(place: Path) -> Proof:
    fsops.close(fsops.create(place / "a"))
    linked = fsops.link(place / "a", place / "b")
    seen = "a file can have two names" if linked else "no hard links: shards are claimed by exclusive create"
    return Proof("link", linked, seen, "a shard appears whole", needed=False)


def _exchange(place: Path) -> Proof:
    (place / "a" / "in").mkdir(parents=True)
    (place / "b").mkdir()
    done = fsops.exchange(place / "a", place / "b") and (place / "b" / "in").is_dir()
    seen = "two folders change places in one step" if done else "folders cannot change places in one step"
    return Proof("exchange", done, seen, "emo cache gc --compact; else use emo cache merge", needed=False)


def _sparse(place: Path) -> Proof:
    descriptor = fsops.create(place / "a")
    fsops.ftruncate(descriptor, SPARSE_BYTES)
    fsops.close(descriptor)
    taken = (place / "a").stat().st_blocks * 512
    seen = f"an empty file of {SPARSE_BYTES >> 20} MiB takes {taken >> 10} KiB"
    return Proof("sparse files", taken < SPARSE_BYTES // 8, seen, "shards take no room ahead", needed=False)


@contextmanager
def child_process(what: str, path: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """This file as a process of its own, and what it says; killed at the end.

    Its standard input is a pipe that closes with this process, however that ends, and then it ends too.
    """
    command = [sys.executable, "-m", "emo.cache.prove", what, str(path)]
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            yield child, child.stdout
        finally:
            child.kill()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _hold(path: Path) -> None:
    descriptor = fsops.open_lock(path)
    fsops.flock(descriptor, wait=True)
    _say("held")
    signal.pause()


def _write(path: Path) -> None:
    """Store records for ever and name each once it is safe."""
    spec = FeatureSpec(
        encoder="prove",
        weights={},
        recipe={},
        recipe_version=1,
        arrays={"frames": ArrayLayout(kind="frames", dim=64)},
    )
    space = open_cache(path, "a").create(spec, shard_bytes=1 << 20)
    _say("started")
    with space.writer("record", publish_records=16) as writer:
        for number in count():
            clip_id = f"{os.getpid()}-{number}"
            values = np.random.default_rng(number).normal(size=(20, 64))
            writer.put(Record(clip_id=clip_id, arrays={"frames": values}))
            _say(f"stored {clip_id}")


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    {"hold": _hold, "write": _write}[sys.argv[1]](Path(sys.argv[2]))
