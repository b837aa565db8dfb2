"""Every call of the file system fails, or is the last, once: nothing acknowledged is lost, nothing is wrong.

FaultFS stands in the cache's seam. Beside the real files it keeps a model of what a disk would hold if the
power went: what was synced, and of the rest nothing, or any part of it. A single write is kept whole or not.
"""

import errno
import gc
import os
import random
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import pytest

from emo.cache import fsops, open_cache, verify_cache
from emo.cache.compact import compact
from emo.cache.forget import forget
from emo.cache.merge import merge
from emo.cache.requeue import requeue
from emo.cache.seal import seal
from emo.spec import ArrayLayout

WRITES = ("pwrite", "write")
ALLOCATES = (*WRITES, "create", "open_lock", "ftruncate", "link", "rename", "make_folder")
CHANGES = (*ALLOCATES, "fdatasync", "sync_folder", "exchange", "unlink", "remove_folder")
READS = (
    "open_read",
    "open_update",
    "pread",
    "pread_cached",
    "pread_into",
    "read_file",
    "size_of",
    "names_in",
    "flock",
)
OPENS = ("create", "open_lock", "open_read", "open_update")


class Crash(BaseException):
    """The machine or the process is gone: nothing after this reaches the disk."""


@dataclass(eq=False)
class File:
    data: bytearray = field(default_factory=bytearray)


@dataclass(eq=False)
class Folder:
    entries: dict = field(default_factory=dict)


@dataclass(eq=False)
class Change:
    """One change of the disk: bytes of a file, its length, or names in folders. Durable once synced."""

    node: object
    offset: int = 0
    data: bytes | None = None
    size: int | None = None
    names: tuple = ()
    durable: bool = False


class Disk:
    """What was on the disk at first, and every change since."""

    def __init__(self, root):
        self.root, self.tree = root, self._load(root)
        self.first = {node: self._copy(node) for node in self._nodes(self.tree)}
        self.changes, self.files = [], {}

    def _load(self, path):
        if path.is_dir():
            return Folder({child.name: self._load(child) for child in path.iterdir()})
        return File(bytearray(path.read_bytes()))

    def _nodes(self, node):
        yield node
        if isinstance(node, Folder):
            for child in node.entries.values():
                yield from self._nodes(child)

    def _copy(self, node):
        return dict(node.entries) if isinstance(node, Folder) else bytearray(node.data)

    def node(self, path):
        node = self.tree
        for name in path.relative_to(self.root).parts:
            node = node.entries[name]
        return node

    def note(self, change):
        self.changes.append(change)
        self._apply(change, lambda folder: folder.entries, lambda file: file.data)

    def names(self, *pairs):
        """Give these paths these nodes, in one step; None takes the name away."""
        self.note(
            Change(None, names=tuple((self.node(path.parent), path.name, node) for path, node in pairs))
        )

    @staticmethod
    def _apply(change, entries, data):
        for folder, name, node in change.names:
            if node is None:
                entries(folder).pop(name, None)
            else:
                entries(folder)[name] = node
        if change.size is not None:
            held = data(change.node)
            held[:] = held[: change.size].ljust(change.size, b"\0")
        if change.data is not None:
            held, end = data(change.node), change.offset + len(change.data)
            if len(held) < end:
                held.extend(bytes(end - len(held)))
            held[change.offset : end] = change.data

    def after_power_loss(self, target, keep):
        """Write to `target` what the disk holds: every durable change, and each other that `keep` says."""
        held = {}

        def entries(folder):
            return held.setdefault(folder, dict(self.first.get(folder, {})))

        def data(file):
            return held.setdefault(file, bytearray(self.first.get(file, b"")))

        for change in self.changes:
            if change.durable or keep(change):
                self._apply(change, entries, data)

        def place(node, path):
            if isinstance(node, Folder):
                path.mkdir()
                for name, child in entries(node).items():
                    place(child, path / name)
            else:
                path.write_bytes(data(node))

        place(self.tree, target)


@pytest.fixture(autouse=True, scope="module")
def little_to_collect():
    """What the whole suite has imported is left out of the collections that each try makes."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class FaultFS:
    """`mode` is what happens at call number `at`: eio, enospc, short, crash (before it), after (it), drop or
    reorder."""

    def __init__(self, root, mode=None, at=0):
        self.disk, self.mode, self.at = Disk(root), mode, at
        self.calls, self.dead, self.open = 0, False, set()
        self.real = {name: getattr(fsops, name) for name in (*CHANGES, *READS, "close")}
        self.counted = {"enospc": ALLOCATES, "short": WRITES, "eio": (*CHANGES, *READS)}.get(mode, CHANGES)

    @contextmanager
    def mounted(self):
        for name in self.real:
            setattr(fsops, name, self._call(name))
        try:
            yield self
        finally:
            for name, real in self.real.items():
                setattr(fsops, name, real)
            gc.collect()  # what closes its descriptors when it goes does so before
            for descriptor in self.open:  # the process is gone, and its locks with it
                with suppress(OSError):
                    os.close(descriptor)

    def _call(self, name):
        def call(*args, **settings):
            if name == "close":
                self.open.discard(args[0])
                return self.real[name](*args)
            if self.dead:
                raise Crash
            if name in self.counted:
                self.calls += 1
                if self.calls == self.at and self.mode != "after":
                    self._fault(name, args)
            result = self._real(name, args, settings)
            if name in OPENS:
                self.open.add(result)
            if self.mode == "after" and self.calls == self.at and name in self.counted:
                self.dead = True
                raise Crash
            return result

        return call

    def _fault(self, name, args):
        if self.mode == "eio":
            raise OSError(errno.EIO, "Input/output error")
        if self.mode == "enospc":
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.mode == "short":
            half = bytes(args[1])[: len(bytes(args[1])) // 2]
            self._real(name, (args[0], half, *args[2:]), {})
            raise OSError(errno.ENOSPC, "No space left on device")
        self.dead = True
        raise Crash

    def _real(self, name, args, settings):
        disk, real = self.disk, self.real[name]
        if name == "fdatasync":
            for change in disk.changes:
                change.durable |= change.node is disk.files[args[0]]
            return None
        if name == "sync_folder":
            folder = disk.node(args[0])
            for change in disk.changes:
                change.durable |= any(changed is folder for changed, _, _ in change.names)
            return None
        if name == "write":
            file = disk.files[args[0]]
            disk.note(Change(file, len(file.data), bytes(args[1])))
        elif name == "pwrite":
            disk.note(Change(disk.files[args[0]], args[2], bytes(args[1])))
        elif name == "ftruncate":
            disk.note(Change(disk.files[args[0]], size=args[1]))
        elif name == "rename":
            source, target = args
            real(source, target)
            disk.names((target, disk.node(source)), (source, None))
            return None
        elif name == "exchange":
            one, other = args
            done = real(one, other)
            if done:
                disk.names((one, disk.node(other)), (other, disk.node(one)))
            return done
        elif name == "make_folder":
            for folder in [*reversed(args[0].parents), args[0]]:
                if folder.is_relative_to(disk.root) and not folder.exists():
                    folder.mkdir()
                    disk.names((folder, Folder()))
            return None
        existed = name in ("unlink", "remove_folder", "open_lock") and args[0].exists()
        result = real(*args, **settings)
        if name in ("unlink", "remove_folder") and existed:
            disk.names((args[0], None))
        elif name == "link" and result:
            disk.names((args[1], disk.node(args[0])))
        elif name == "create" or (name == "open_lock" and not existed):
            disk.names((args[0], File()))
        if name in ("create", "open_lock", "open_update"):
            disk.files[result] = disk.node(args[0])
        return result

    def after_power_loss(self, target):
        """The store as the disk may have it, at each of the folders given.

        `reorder` keeps of what was not synced any part, and in another case only the newest change.
        """
        loose = [change for change in self.disk.changes if not change.durable]
        rng = random.Random(self.at)
        kept = {"drop": [[]], "reorder": [loose[-1:], [one for one in loose if rng.random() < 0.5]]}
        for number, changes in enumerate(kept[self.mode]):
            chosen = set(map(id, changes))
            path = target.with_name(f"{target.name}-after{number}")
            self.disk.after_power_loss(path, lambda change, chosen=chosen: id(change) in chosen)
            yield path


MODES = ("eio", "enospc", "short", "crash", "after", "drop", "reorder")
LAYOUTS = {"frames": ArrayLayout(kind="frames", dim=6)}


class Scenario:
    """A store, what a process does to it, and what has to hold of it afterwards.

    `acknowledged` grows while the process runs; `forgotten` are clips that may be gone from then on, and
    have to be once it is `erased`.
    """

    def __init__(self, spec, records):
        self.spec, self.records = spec, {item.clip_id: item for item in records}
        self.acknowledged, self.forgotten, self.erased = set(), set(), False

    def store(self, path, records, durability="batch"):
        space = open_cache(path, "a").create(self.spec, shard_bytes=800)
        with space.writer(durability, batch_records=2) as writer:
            given = []
            for item in records:
                writer.put(item)
                given.append(item.clip_id)
                self.acknowledged |= set(given[: writer.acknowledged])
            writer.flush()
            self.acknowledged |= set(given)

    def prepare(self, path):
        raise NotImplementedError

    def run(self, path):
        raise NotImplementedError

    def holds(self, path):
        """Whatever is there is right, and what was acknowledged is there."""
        if not (path / "zarr.json").exists():
            assert not self.acknowledged
            return
        cache = open_cache(path)
        infos = cache["hubert"].infos() if "hubert" in cache else {}
        for clip_id, info in infos.items():
            if info.status == "ok":
                expected = self.records[clip_id].arrays["frames"].astype(np.float16)
                np.testing.assert_array_equal(cache["hubert"].read(clip_id, "frames"), expected)
            else:
                assert clip_id in self.forgotten
        assert self.acknowledged - self.forgotten <= set(infos)
        bad = [check.problem for check in verify_cache(path).bad]
        assert all(self.forgotten and not self.erased and "retracted" in problem for problem in bad), bad

    def finished(self, path):
        """What holds once a second run went through."""
        self.holds(path)
        assert set(open_cache(path)["hubert"]) >= self.acknowledged - self.forgotten


class Begin(Scenario):
    """A cache, a space and its first records."""

    def prepare(self, path):
        pass

    def run(self, path):
        self.store(path, list(self.records.values())[:2])


class GoOn(Scenario):
    """More records, one in a new shard, in a space that has some, after a writer that was killed."""

    def prepare(self, path):
        self.store(path, list(self.records.values())[:2])

    def run(self, path):
        self.store(path, list(self.records.values())[2:])


class Canary(Scenario):
    """The canary of a space."""

    def prepare(self, path):
        self.store(path, list(self.records.values())[:1])

    def run(self, path):
        open_cache(path, "a")["hubert"].write_canary({"frames": np.ones((2, 6))})


class Erase(Scenario):
    """A clip is forgotten, and its space compacted."""

    def prepare(self, path):
        self.store(path, list(self.records.values()))

    def run(self, path):
        first = next(iter(self.records))
        self.forgotten = {first}
        forget(open_cache(path, "a"), [first])
        self.erased = True
        compact(open_cache(path, "a")["hubert"].paths)

    def finished(self, path):
        super().finished(path)
        assert verify_cache(path, list(self.forgotten)).bad == []


class Record(GoOn):
    """As `GoOn`, one record at a time."""

    def run(self, path):
        self.store(path, list(self.records.values())[2:], "record")


class PublishOften(GoOn):
    """Each record is published by itself."""

    def run(self, path):
        for item in list(self.records.values())[2:]:
            self.store(path, [item])


class Seal(GoOn):
    """The shards are sealed, and a writer makes them whole again."""

    def run(self, path):
        list(seal(open_cache(path, "a")))
        self.store(path, list(self.records.values())[2:])


class Merge(GoOn):
    """Records of another cache, which has some of the same, are merged in."""

    def prepare(self, path):
        self.store(path.with_name("other.zarr"), list(self.records.values()))
        self.acknowledged = set()
        super().prepare(path)

    def run(self, path):
        merge([open_cache(path.with_name("other.zarr"))], open_cache(path, "a"))
        self.acknowledged |= set(self.records)


class Requeue(Scenario):
    """A record whose bytes were lost is marked to be encoded again, and is."""

    def prepare(self, path):
        self.store(path, list(self.records.values()))
        space, self.lost = open_cache(path)["hubert"], next(iter(self.records))
        geometry, place = (
            space.geometry("frames"),
            space.index.place(space.index.current[self.lost], "frames"),
        )
        file = space.reader("frames").path_of(place)
        data = bytearray(file.read_bytes())
        data[place.start % geometry.shard_rows * geometry.row_bytes] ^= 1
        file.write_bytes(data)

    def run(self, path):
        requeue(open_cache(path, "a"), verify_cache(path))
        self.store(path, [next(iter(self.records.values()))])

    def holds(self, path):
        """The lost record is damaged, marked or new; the others are right."""
        first, space = next(iter(self.records)), open_cache(path)["hubert"]
        bad = verify_cache(path).bad
        assert {check.clip_id for check in bad} <= {first}
        assert space.info(first).status in ("ok", "failed:damaged")
        for clip_id in set(self.records) - ({first} if bad or not space.info(first).rows else set()):
            expected = self.records[clip_id].arrays["frames"].astype(np.float16)
            np.testing.assert_array_equal(space.read(clip_id, "frames"), expected)

    def finished(self, path):
        super().finished(path)
        assert verify_cache(path).bad == []


@pytest.fixture
def scenario(request, make_spec, make_records):
    records = [
        replace(item, arrays={"frames": item.arrays["frames"]}) for item in make_records(4) if item.arrays
    ]
    return lambda: request.param(make_spec(arrays=LAYOUTS), records)


def attempt(scenario, whole, folder, mode, at):
    """Run on a copy with the fault; where the store may be afterwards, and the calls that were made."""
    shutil.copytree(whole, folder)
    faults = FaultFS(folder, mode, at)
    with faults.mounted(), suppress(OSError, Crash):
        scenario.run(folder / "features.zarr")
    folders = faults.after_power_loss(folder) if mode in ("drop", "reorder") else [folder]
    return [each / "features.zarr" for each in folders], faults.calls


# Of how many calls `make test` tries one; `make soak` tries all.
STRIDES = {
    GoOn: 23,
    Canary: 23,
    Begin: 41,
    Erase: 73,
    Record: 73,
    PublishOften: 151,
    Seal: 151,
    Merge: 151,
    Requeue: 151,
}
CASES = [
    *(pytest.param(kind, stride) for kind, stride in STRIDES.items()),
    *(pytest.param(kind, 1, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]) for kind in STRIDES),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("scenario", "stride"), CASES, indirect=["scenario"])
def test_a_fault_at_any_call_loses_nothing_and_makes_nothing_wrong(
    scenario, stride, mode, tmp_path, monkeypatch
):
    monkeypatch.setattr(fsops, "fdatasync", lambda descriptor: None)
    monkeypatch.setattr(fsops, "sync_folder", lambda path: None)
    whole, first = tmp_path / "whole", scenario()
    whole.mkdir()
    first.prepare(whole / "features.zarr")
    earliest = 1 + MODES.index(mode) % stride
    for at in count(earliest, stride):
        case = scenario()
        case.acknowledged = set(first.acknowledged)
        paths, calls = attempt(case, whole, tmp_path / str(at), mode, at)
        for path in paths:
            case.holds(path)
        case.run(paths[-1])
        case.finished(paths[-1])
        if calls < at:  # the fault never came
            break
    assert at > earliest, "no fault ever came"
