"""The seam keeps what its calls promise where the system does less than asked: short counts, refusals."""

import ctypes
import errno
import os

import pytest

from emo.cache import fsops, open_cache
from emo.cache.publish import publish_lock
from emo.errors import CacheError, CacheMiss
from emo.records import Record


@pytest.fixture
def opened(tmp_path):
    """A file of 26 bytes and its descriptor."""
    path = tmp_path / "letters"
    path.write_bytes(bytes(range(97, 123)))
    descriptor = fsops.open_update(path)
    yield path, descriptor
    fsops.close(descriptor)


def refusing(code):
    def refuse(*args, **settings):
        raise OSError(code, os.strerror(code))

    return refuse


def test_what_the_system_writes_in_parts_is_written_whole(tmp_path, monkeypatch):
    pwrite, write = os.pwrite, os.write
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: pwrite(descriptor, data[:3], offset))
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    descriptor = fsops.create(tmp_path / "new")
    fsops.write(descriptor, b"0123456789")
    fsops.pwrite(descriptor, b"abcdefgh", 2)
    fsops.close(descriptor)
    assert fsops.read_file(tmp_path / "new") == b"01abcdefgh"


def test_what_the_system_reads_in_parts_is_read_whole_and_a_file_may_end(opened, monkeypatch):
    preadv, buffer = os.preadv, bytearray(30)
    monkeypatch.setattr(
        os, "preadv", lambda descriptor, views, offset, *flags: preadv(descriptor, [views[0][:4]], offset)
    )
    assert fsops.pread_into(opened[1], memoryview(buffer), 1) == 25
    assert bytes(buffer) == bytes(range(98, 123)) + bytes(5)


def test_a_name_is_taken_once(tmp_path):
    fsops.close(fsops.create(tmp_path / "new"))
    with pytest.raises(FileExistsError):
        fsops.create(tmp_path / "new")


def test_a_file_is_replaced_over_what_a_killed_process_left_of_its_successor(tmp_path):
    (tmp_path / "file.new").write_bytes(b"half of something longer")
    fsops.replace_file(tmp_path / "file", b"whole", tmp_path / "file.new", durable=True)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"whole")]


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_system_that_cannot_say_what_is_in_memory_says_nothing(opened, monkeypatch, code):
    monkeypatch.setattr(os, "preadv", refusing(code))
    assert fsops.pread_cached(opened[1], memoryview(bytearray(4)), 0) == 0


def test_a_disk_that_fails_while_memory_is_asked_is_told(opened, monkeypatch):
    monkeypatch.setattr(os, "preadv", refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        fsops.pread_cached(opened[1], memoryview(bytearray(4)), 0)


def test_without_read_ahead_nothing_is_told_to_the_kernel(opened, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise")
    fsops.will_need(opened[1], 0, 4)


def test_no_hard_links_is_an_answer_and_a_failing_disk_is_none(opened, monkeypatch):
    path, _ = opened
    for code in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
        monkeypatch.setattr(os, "link", refusing(code))
        assert fsops.link(path, path.with_name("second")) is False
    monkeypatch.setattr(os, "link", refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        fsops.link(path, path.with_name("second"))
    monkeypatch.undo()
    with pytest.raises(FileExistsError):
        fsops.link(path, path)


class Library:
    """A C library whose renameat2 fails with a code, or has none."""

    def __init__(self, code):
        if code is not None:
            self.renameat2 = lambda *args: ctypes.set_errno(code) or -1


@pytest.mark.parametrize("code", [None, errno.EINVAL, errno.ENOSYS])
def test_a_system_without_exchange_says_so_and_changes_nothing(tmp_path, monkeypatch, code):
    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **settings: Library(code))
    assert fsops.exchange(tmp_path / "one", tmp_path / "other") is False


def test_an_exchange_of_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        fsops.exchange(tmp_path / "one", tmp_path / "other")


def test_an_open_file_is_named_until_its_name_goes_or_is_anothers(opened):
    path, descriptor = opened
    assert fsops.is_named(descriptor, path)
    path.rename(path.with_name("moved"))
    assert not fsops.is_named(descriptor, path)
    path.write_bytes(b"another")
    assert not fsops.is_named(descriptor, path)


def test_a_tree_goes_and_what_its_links_lead_to_stays(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_bytes(b"kept")
    (tmp_path / "tree" / "folder").mkdir(parents=True)
    (tmp_path / "tree" / "folder" / "file").write_bytes(b"x")
    (tmp_path / "tree" / "way out").symlink_to(tmp_path / "outside")
    fsops.remove_tree(tmp_path / "tree")
    fsops.remove_tree(tmp_path / "tree")
    fsops.unlink(tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (tmp_path / "outside" / "kept").read_bytes() == b"kept"


def test_free_bytes_are_bytes(tmp_path):
    status = os.statvfs(tmp_path)
    assert fsops.free_bytes(tmp_path) == pytest.approx(status.f_bavail * status.f_frsize, rel=0.05)


def test_a_full_disk_is_told_with_what_is_not_safe_yet(space, make_records, monkeypatch):
    first, second, third = make_records(3)
    writer = space.writer("batch", batch_records=2)
    writer.put(first)
    writer.put(second)
    monkeypatch.setattr(fsops, "pwrite", refusing(errno.ENOSPC))
    need = sum(values.astype(space.spec.arrays[name].dtype).nbytes for name, values in third.arrays.items())
    with pytest.raises(OSError, match=rf"{need} bytes of features must be written.*2 records of this run"):
        writer.put(third)
    writer.close()


def test_a_disk_that_is_full_when_the_index_is_written_is_told_at_the_end(
    space, make_records, monkeypatch, path, assert_holds
):
    writer = space.writer("none")
    for item in make_records(3):
        writer.put(item)
    with monkeypatch.context() as patch:
        patch.setattr(fsops, "rename", refusing(errno.ENOSPC))
        with pytest.raises(OSError, match=r"the index must be written.*3 records of this run"):
            writer.close()
    assert_holds(open_cache(path)["hubert"], make_records(3))


def test_a_journal_that_another_process_folded_in_has_no_tail_and_needs_no_deletion(
    space, make_records, monkeypatch
):
    """The names were listed before it went."""
    from emo.cache.publish import _drop_consumed, read_tails

    writer = space.writer("none")
    writer.put(make_records(1)[0])
    state = space.state
    with publish_lock(space.paths):
        rows, marks = read_tails(space.paths, state)
    assert len(rows) == 1
    writer.close()
    monkeypatch.setattr("emo.cache.publish.journals", lambda paths: [paths.aside / name for name in marks])
    assert read_tails(space.paths, state)[0] == []
    _drop_consumed(space.paths, space.spec.fingerprint, marks)


def test_only_a_stored_clip_is_given_another_id(path, space, make_records):
    with space.writer("none") as writer:
        with pytest.raises(CacheMiss, match="'nobody'"):
            writer.alias("nobody", "somebody")
        writer.put(make_records(1)[0])
        writer.alias("clip/000 é", "somebody")
    assert set(open_cache(path)["hubert"]) == {"clip/000 é", "somebody"}


def test_where_links_are_missing_a_claimed_shard_may_be_anothers_already(
    path, space, make_records, monkeypatch, assert_holds
):
    """The file was made and adopted by another before its maker locked it: the maker takes the next."""
    real, refused = fsops.create, []

    def create(target, **settings):
        descriptor = real(target, **settings)
        if target.parent.parent.name == "c" and not refused:
            refused.append(fsops.open_update(target))
            fsops.flock(refused[0], wait=True)
        return descriptor

    monkeypatch.setattr(fsops, "link", lambda source, target: False)
    monkeypatch.setattr(fsops, "create", create)
    with space.writer("none") as writer:
        for item in make_records(3):
            writer.put(item)
    fsops.close(refused[0])
    assert_holds(open_cache(path)["hubert"], make_records(3))


def test_a_second_writer_of_the_same_clip_wins_by_age_not_by_name(path, space, monkeypatch):
    """Journals are taken in the order in which they were made, whatever their writers' numbers."""
    monkeypatch.setattr("emo.cache.writer.publish", lambda *args, **settings: False)
    for number, reason in ((900, "older"), (10, "newer")):
        monkeypatch.setattr("emo.cache.journal.os.getpid", lambda number=number: number)
        with space.writer("none") as writer:
            writer.put(Record(clip_id="a", status="failed:x", reason=reason))
    monkeypatch.undo()
    assert open_cache(path)["hubert"].info("a").reason == "newer"


def test_compaction_waits_for_a_journal_that_another_publish_left(
    path, space, make_records, fill, monkeypatch
):
    from emo.cache.compact import compact

    fill(space, make_records(3))
    index = space.index
    (space.paths.aside / "w1-1.jsonl").write_bytes(b"")
    monkeypatch.setattr("emo.cache.compact.publish", lambda paths: None)
    monkeypatch.setattr("emo.cache.compact.load_index", lambda paths: index)
    with pytest.raises(CacheError, match="journal that is in use"):
        compact(space.paths)
