"""The commit protocol: who holds which shard, what is published when, and what a failure leaves."""

import errno
import json

import numpy as np
import pytest

from emo.cache import fsops, open_cache
from emo.cache.journal import journals
from emo.cache.publish import publish
from emo.cache.shards import shards_on_disk
from emo.errors import CacheError, ConfigError, DamagedCache
from emo.records import Record


@pytest.fixture
def roomy(path, make_spec):
    """An empty space whose shards hold everything that a test puts."""
    return open_cache(path, "a").create(make_spec("roomy"), shard_bytes=100_000)


def shards(space, array="frames"):
    return shards_on_disk(space._paths, array, space.geometry(array))


def frames(clip_id, rows, value=1.0):
    return Record(clip_id=clip_id, arrays={"frames": np.full((rows, 6), value, np.float32)})


@pytest.mark.parametrize("durability", ["batch", "record", "none"])
def test_every_durability_stores_the_same(path, space, make_records, fill, assert_holds, durability):
    records = make_records(10)
    fill(space, records, durability=durability)
    assert_holds(open_cache(path)["hubert"], records)


def test_an_unknown_durability_is_refused(space):
    with pytest.raises(ConfigError, match="batch, record or none"):
        space.writer("sometimes")


def test_batch_acknowledges_in_batches_record_and_none_at_once(roomy, make_records):
    with roomy.writer("batch", batch_records=4) as writer:
        acknowledged = []
        for item in make_records(9):
            writer.put(item)
            acknowledged.append(writer.acknowledged)
        assert acknowledged == [0, 0, 0, 4, 4, 4, 4, 8, 8]
        writer.flush()
        assert writer.acknowledged == 9
    for durability in ("record", "none"):
        with roomy.writer(durability) as writer:
            writer.put(frames("x", 1))
            assert writer.acknowledged == 1


def test_data_is_synced_before_the_journal_names_it(space, make_records, monkeypatch):
    calls = []
    for name in ("pwrite", "write", "fdatasync"):
        real = getattr(fsops, name)
        monkeypatch.setattr(
            fsops, name, lambda *args, _name=name, _real=real: (calls.append(_name), _real(*args))[1]
        )
    writer = space.writer("batch", batch_records=3)
    for item in make_records(3):
        calls.clear()
        writer.put(item)
    last_journal_write = len(calls) - 1 - calls[::-1].index("write")
    assert calls[:3] == ["pwrite"] * 3
    assert calls[last_journal_write - 3 : last_journal_write] == ["fdatasync"] * 3
    assert calls[last_journal_write:] == ["write", "fdatasync"]
    writer.close()


def test_none_never_syncs(space, make_records, fill, monkeypatch):
    monkeypatch.setattr(fsops, "fdatasync", lambda descriptor: pytest.fail("synced"))
    monkeypatch.setattr(fsops, "sync_folder", lambda path: pytest.fail("synced"))
    with space.writer("none") as writer:
        for item in make_records(5):
            writer.put(item)


def test_a_writer_without_records_leaves_no_trace(path, space):
    before = sorted(path.parent.rglob("*"))
    with space.writer():
        pass
    assert sorted(path.parent.rglob("*")) == before


def test_many_small_runs_share_their_shards(path, make_spec, make_records, assert_holds):
    for number in range(8):
        space = open_cache(path, "a").create(make_spec(), shard_bytes=100_000)
        with space.writer("none") as writer:
            for item in make_records(2, first=2 * number):
                writer.put(item)
    assert shards(space) == [0]
    assert shards(space, "utterance") == [0]
    assert_holds(open_cache(path)["hubert"], make_records(16))


def test_two_writers_at_once_fill_different_shards(path, make_spec, make_records, assert_holds):
    first, second = (open_cache(path, "a").create(make_spec(), shard_bytes=100_000) for _ in range(2))
    records = make_records(20)
    with first.writer("none") as a, second.writer("none") as b:
        for one, two in zip(records[::2], records[1::2], strict=True):
            a.put(one)
            b.put(two)
        assert shards(first) == [0, 1]
    assert_holds(open_cache(path)["hubert"], records)
    with first.writer("none") as writer:
        writer.put(frames("later", 3))
    assert shards(first) == [0, 1]


def test_an_adopted_shard_is_filled_after_what_only_a_journal_knows(
    path, roomy, make_records, monkeypatch, assert_holds
):
    monkeypatch.setattr("emo.cache.writer.publish", lambda *args, **settings: False)
    for part in (slice(0, 2), slice(2, 4)):
        with roomy.writer("none") as writer:
            for item in make_records(4)[part]:
                writer.put(item)
    monkeypatch.undo()
    assert len(journals(roomy._paths)) == 2
    assert shards(roomy) == [0]
    assert_holds(open_cache(path)["roomy"], make_records(4))


def test_a_full_shard_is_never_written_again(space, fill):
    rows = space.geometry("frames").shard_rows
    fill(space, [frames("a", rows - space.geometry("frames").sealed_below + 1)])
    fill(space, [frames("b", 1)])
    assert space.index.place(1, "frames").start == rows


def test_a_shard_is_filled_to_its_last_row(space, fill):
    rows = space.geometry("frames").shard_rows
    fill(space, [frames("a", rows - 3), frames("b", 3), frames("c", 1)])
    assert [space.index.place(row, "frames").start for row in range(3)] == [0, rows - 3, rows]


def test_a_record_never_crosses_a_shard(space, fill):
    rows = space.geometry("frames").shard_rows
    fill(space, [frames(str(number), rows // 2 + 1, number + 1) for number in range(3)])
    assert [space.index.place(row, "frames").start for row in range(3)] == [0, rows, 2 * rows]


def test_a_half_made_shard_is_finished_by_who_adopts_it(path, space, fill, assert_holds):
    shard = space._paths.chunk("frames", (0, 0))
    shard.parent.mkdir(parents=True)
    shard.write_bytes(b"half")
    fill(space, [frames("a", 3)])
    assert shard.stat().st_size == space.geometry("frames").file_bytes
    assert_holds(open_cache(path)["hubert"], [frames("a", 3)])


def test_a_file_system_without_hard_links_works_too(
    path, space, make_records, fill, assert_holds, monkeypatch
):
    monkeypatch.setattr(fsops, "link", lambda source, target: False)
    records = make_records(20)
    fill(space, records)
    assert len(shards(space)) > 1
    assert_holds(open_cache(path)["hubert"], records)


def test_publishing_twice_changes_nothing(path, space, make_records, fill):
    fill(space, make_records(3))
    before = (path / space.name / "zarr.json").read_bytes()
    assert publish(space._paths) is False
    assert (path / space.name / "zarr.json").read_bytes() == before


def test_ok_wins_where_two_writers_disagree_in_one_publish(path, space, monkeypatch):
    failed = Record(clip_id="a", status="failed:out_of_memory")
    good = frames("a", 2)
    for first, second in ((good, failed), (failed, good)):
        monkeypatch.setattr("emo.cache.writer.publish", lambda *args, **settings: False)
        for item in (first, second):
            with space.writer("none") as writer:
                writer.put(item)
        monkeypatch.undo()
        assert open_cache(path)["hubert"].info("a").status == "ok"
        assert publish(space._paths)
    assert len(open_cache(path)["hubert"].index) == 4


def test_the_index_grows_over_chunk_borders(path, space, make_records, monkeypatch, assert_holds):
    for module in ("columns", "format", "verify"):
        monkeypatch.setattr(f"emo.cache.{module}.CHUNK_ROWS", 8)
    small = open_cache(path, "a").create(space.spec)
    records = make_records(45)
    with small.writer("none", publish_records=5) as writer:
        for item in records[:3]:
            writer.put(item)
        writer.publish()
        for item in records[3:]:
            writer.put(item)
    assert len(list((path / space.name / "clip_id" / "c").iterdir())) == 6
    assert_holds(open_cache(path)["hubert"], records)


def test_an_older_snapshot_still_reads_after_the_index_grew(path, space, make_records, fill, assert_holds):
    records = make_records(10)
    fill(space, records[:5])
    old = open_cache(path)["hubert"]
    assert len(old) == 5
    fill(space, records[5:])
    assert_holds(old, records[:5])


def test_after_a_failed_write_nothing_more_is_acknowledged(
    path, space, make_records, monkeypatch, assert_holds
):
    records = make_records(6)
    writer = space.writer("record")
    for item in records[:3]:
        writer.put(item)

    def full(descriptor, data):
        fsops_write(descriptor, bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    fsops_write = fsops.write
    monkeypatch.setattr(fsops, "write", full)
    with pytest.raises(OSError, match="No space left"):
        writer.put(records[3])
    monkeypatch.undo()
    with pytest.raises(CacheError, match="is broken"):
        writer.put(records[4])
    writer.close()
    assert writer.acknowledged == 3
    assert_holds(open_cache(path, "a")["hubert"], records[:3])


def test_an_interrupt_stores_what_was_put(path, space, make_records, assert_holds):
    records = make_records(5)

    def encode():
        yield from records
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), space.writer("batch") as writer:
        for item in encode():
            writer.put(item)
    assert_holds(open_cache(path)["hubert"], records)


def test_a_closed_writer_is_closed(space):
    writer = space.writer()
    writer.close()
    writer.close()
    with pytest.raises(CacheError, match="is closed"):
        writer.put(frames("a", 1))


def test_the_cost_of_a_publish_follows_what_is_new(space, make_records, monkeypatch):
    monkeypatch.setattr("emo.cache.columns.CHUNK_ROWS", 8)
    monkeypatch.setattr("emo.cache.format.CHUNK_ROWS", 8)
    with space.writer("none") as writer:
        for item in make_records(30):
            writer.put(item)
        writer.publish()
        read = []
        real = fsops.read_file
        monkeypatch.setattr(fsops, "read_file", lambda path: (read.append(path), real(path))[1])
        writer.put(frames("new", 2))
        writer.publish()
    chunks = [path for path in read if path.parent.name == "c" or path.parent.parent.name == "c"]
    assert {path.name if path.parent.name == "c" else path.parent.name for path in chunks} == {"3"}


def test_a_re_run_on_a_full_cache_changes_no_file(path, space, make_records, fill):
    records = make_records(10)
    fill(space, records)
    before = {file: file.stat().st_mtime_ns for file in path.parent.rglob("*") if file.is_file()}
    again = open_cache(path, "a").create(space.spec)
    assert again.missing({item.clip_id: item.input_sha256 for item in records}) == []
    assert {file: file.stat().st_mtime_ns for file in path.parent.rglob("*") if file.is_file()} == before


def test_a_space_whose_maker_was_killed_before_listing_it_is_listed_by_the_next(path, space, make_spec):
    document = (path / "zarr.json").read_bytes()
    other = open_cache(path, "a").create(make_spec("mae"))
    (path / "zarr.json").write_bytes(document)
    assert "mae" not in open_cache(path)
    assert open_cache(path, "a").create(make_spec("mae")).name == other.name
    assert "mae" in open_cache(path)


def test_the_snapshot_is_one_file(path, space, make_records, fill):
    fill(space, make_records(3))
    old = (path / space.name / "zarr.json").read_bytes()
    fill(space, make_records(4, first=3))
    assert len(json.loads(old)["consolidated_metadata"]["metadata"]["clip_id"]["shape"]) == 1
    (path / space.name / "zarr.json").write_bytes(old)
    assert len(open_cache(path)["hubert"].infos()) == 3


def test_damage_found_while_publishing_changes_nothing(path, space, make_records, fill):
    fill(space, make_records(3))
    chunk = path / space.name / "status" / "c" / "0"
    data = bytearray(chunk.read_bytes())
    data[20] ^= 1
    chunk.write_bytes(data)
    before = (path / space.name / "zarr.json").read_bytes()
    with pytest.raises(DamagedCache, match="status"):
        fill(open_cache(path, "a")["hubert"], make_records(1, first=9))
    assert (path / space.name / "zarr.json").read_bytes() == before
