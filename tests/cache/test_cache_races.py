"""What other processes do between two steps of one: a name is taken, a file goes, a shard is another's."""

import json
import shutil
import threading

import numpy as np
import pytest
from crc32c import crc32c
from numcodecs import zstd

from emo.cache import fsops, open_cache, verify_cache
from emo.cache.columns import Column, decode_chunk
from emo.cache.format import stamped
from emo.cache.leases import Leases, _machine
from emo.cache.leftovers import clear_leftovers
from emo.cache.publish import publish, publish_lock, read_tails
from emo.cache.seal import seal
from emo.cache.shards import clear_empty_shards, shards_on_disk
from emo.cache.state import load_state
from emo.errors import CacheMiss, DamagedCache
from emo.records import Record


def frames(clip_id, rows, value=1.0):
    return Record(clip_id=clip_id, arrays={"frames": np.full((rows, 6), value, np.float32)})


def shards(space, array="frames"):
    return shards_on_disk(space.paths, array, space.geometry(array))


@pytest.fixture
def without_links(monkeypatch):
    monkeypatch.setattr(fsops, "link", lambda source, target: False)


def test_a_number_that_another_claims_first_is_passed_over(path, space, fill, monkeypatch, assert_holds):
    real, taken = fsops.link, []

    def link(source, target):
        if not taken:  # another process was quicker
            taken.append(target)
            shutil.copy(source, target)
        return real(source, target)

    monkeypatch.setattr(fsops, "link", link)
    fill(space, [frames("a", 3)])
    assert shards(space) == [0, 1]
    assert space.index.place(0, "frames").start == space.geometry("frames").shard_rows
    assert_holds(open_cache(path)["hubert"], [frames("a", 3)])


def test_without_hard_links_a_shard_that_another_adopts_first_is_left_to_it(
    path, space, fill, without_links, monkeypatch, assert_holds
):
    real, theirs = fsops.create, []

    def create(file, *, append=False):
        descriptor = real(file, append=append)
        if file.name == "0" and not theirs:
            theirs.append(fsops.open_update(file))
            assert fsops.flock(theirs[0], wait=False)
        return descriptor

    monkeypatch.setattr(fsops, "create", create)
    fill(space, [frames("a", 3)])
    assert shards(space) == [0, 1]
    fsops.close(theirs[0])
    monkeypatch.undo()
    fill(space, [frames("b", 2, 5.0)])
    assert_holds(open_cache(path)["hubert"], [frames("a", 3), frames("b", 2, 5.0)])
    assert shards(space) == [0, 1]


def test_a_shard_that_its_writer_fills_before_it_lets_go_is_not_adopted(
    path, make_spec, fill, monkeypatch, assert_holds
):
    mine, theirs = (open_cache(path, "a").create(make_spec(), shard_bytes=800) for _ in range(2))
    full = mine.geometry("frames").shard_rows
    other = theirs.writer("none")
    other.put(frames("first", 3))
    other.flush()
    real = fsops.flock

    def flock(descriptor, *, wait, shared=False):
        if not wait and other.acknowledged == 1:  # the last moment before the shard is looked at
            other.put(frames("last", full - 3, 2.0))
            other.close()
        return real(descriptor, wait=wait, shared=shared)

    with mine.writer("none") as writer:
        monkeypatch.setattr(fsops, "flock", flock)
        monkeypatch.setattr("emo.cache.writer.publish", lambda *args, **settings: False)
        writer.put(frames("mine", 3, 3.0))
        monkeypatch.undo()
    assert_holds(
        open_cache(path)["hubert"],
        [frames("first", 3), frames("last", full - 3, 2.0), frames("mine", 3, 3.0)],
    )


def test_a_shard_that_another_program_rewrote_is_not_filled_on(path, space, fill):
    fill(space, [frames("a", 3)])
    (file,) = (space.paths.chunk("frames", (number, 0)) for number in shards(space))
    rewritten = bytes(16) + file.read_bytes()
    file.write_bytes(rewritten)
    fill(space, [frames("b", 2)])
    assert file.read_bytes() == rewritten
    assert shards(space) == [0, 1]
    assert open_cache(path)["hubert"].read("b", "frames").shape == (2, 6)


def test_a_sealed_shard_is_copied_whole_however_few_bytes_a_copy_takes_at_once(
    path, space, fill, monkeypatch, assert_holds, make_records
):
    fill(space, make_records(5))
    list(seal(open_cache(path, "a")))
    monkeypatch.setattr("emo.cache.shards.COPY_BYTES", 7)
    fill(open_cache(path, "a")["hubert"], make_records(3, first=5))
    assert_holds(open_cache(path)["hubert"], make_records(8))
    assert verify_cache(path).bad == []


def test_more_shards_than_may_be_open_are_read_as_well(path, space, fill, make_records, monkeypatch):
    records = [item for item in make_records(30) if item.arrays]
    fill(space, records)
    assert len(shards(space)) > 3
    monkeypatch.setattr("emo.cache.reader.OPEN_SHARDS", 2)
    reader, most = open_cache(path)["hubert"], []
    for item in records:
        values = item.arrays["frames"].astype(np.float16)
        np.testing.assert_array_equal(reader.read(item.clip_id, "frames"), values)
        most.append(len(reader.reader("frames")._open))
    assert max(most) == 2


def test_a_journal_that_another_publishes_and_removes_meanwhile_is_passed_over(
    path, space, make_records, monkeypatch, assert_holds
):
    with space.writer("none") as writer:
        for item in make_records(4):
            writer.put(item)
        writer.flush()
        monkeypatch.setattr("emo.cache.writer.publish", lambda *args, **settings: False)
    monkeypatch.undo()
    real = fsops.open_update

    def open_update(file):
        if file.suffix == ".jsonl":
            fsops.unlink(file)
        return real(file)

    monkeypatch.setattr(fsops, "open_update", open_update)
    assert publish(space.paths)
    monkeypatch.undo()
    assert not publish(space.paths)
    assert_holds(open_cache(path)["hubert"], make_records(4))


def test_a_journal_whose_writer_lives_stays_and_is_taken_up_where_it_was(path, space, make_records):
    with space.writer("none") as writer:
        for count, item in enumerate(make_records(6), start=1):
            writer.put(item)
            publish(space.paths)
            state = load_state(space.paths)
            assert state.digests["clip_id"].length == count
            assert read_tails(space.paths, state)[0] == []
            (mark,) = state.marks.values()
            assert mark.lines == count + 1
    assert load_state(space.paths).marks == {} or not list(space.paths.aside.glob("*.jsonl"))


@pytest.mark.parametrize("note", ["[]", "7", '"text"', "{half"])
def test_a_lease_with_a_note_that_says_nothing_is_anothers_until_three_beats_passed(space, monkeypatch, note):
    now = 100.0
    monkeypatch.setattr("emo.cache.leases.time.monotonic", lambda: now)
    leases = Leases(space.paths, 2.0)
    file = space.paths.aside / "leases" / "003"
    file.parent.mkdir()
    file.write_text(note)
    assert not leases.take(3)
    now += 5.9
    assert not leases.take(3)
    now += 0.2
    assert leases.take(3)
    assert json.loads(file.read_text())["beat_seconds"] == 2.0
    leases.give_back(3)
    assert not file.exists()


def test_a_lease_whose_file_went_before_it_was_locked_is_taken_next_time(space, monkeypatch):
    leases, real, gone = Leases(space.paths, 2.0), fsops.flock, []

    def flock(descriptor, *, wait, shared=False):
        if not gone:
            gone.append(True)
            (space.paths.aside / "leases" / "003").unlink()
        return real(descriptor, wait=wait, shared=shared)

    monkeypatch.setattr(fsops, "flock", flock)
    assert not leases.take(3)
    assert leases.take(3)
    leases.give_back(3)


def test_rows_that_are_shorter_by_zarrs_account_are_damage_and_not_zeros(path, space, fill):
    fill(space, [frames("a", 3), frames("b", 2)])
    reader = open_cache(path)["hubert"]
    (file,) = (space.paths.chunk("frames", (number, 0)) for number in shards(space))
    index = reader.geometry("frames").index
    file.write_bytes(bytes(16) + file.read_bytes()[: -len(index)] + index)  # moved: dense no more
    with pytest.raises(DamagedCache, match="clip 'a'"):
        reader.read("a", "frames")
    assert reader.reader("frames").view(space.index.place(0, "frames")) is None
    with pytest.raises(CacheMiss):
        reader.read("a", "tokens")


@pytest.mark.parametrize("first", ["a plan", "a writer", "a lock"])
def test_a_cache_that_was_copied_without_its_journals_is_written_to(
    path, space, fill, make_records, assert_holds, first
):
    fill(space, make_records(3))
    shutil.rmtree(space.paths.cache.aside)
    copy = open_cache(path, "a")["hubert"]
    if first == "a plan":
        assert copy.missing({item.clip_id: item.input_sha256 for item in make_records(3)}) == []
    elif first == "a lock":
        with publish_lock(copy.paths):
            pass
    fill(copy, make_records(2, first=3))
    assert_holds(open_cache(path)["hubert"], make_records(5))


def test_a_shard_that_a_writer_holds_is_not_cleared_and_one_that_nobody_holds_is(space):
    writer = space.writer("none")
    writer.put(frames("a", 3))
    held = space.writer("batch")
    held.put(frames("b", 3))  # written, and in no journal yet
    state = load_state(space.paths)
    assert list(clear_empty_shards(space.paths, state, "frames")) == []
    assert shards(space) == [0, 1]
    writer.close()
    held._release()  # as a kill would
    assert [path.name for path in clear_empty_shards(space.paths, load_state(space.paths), "frames")] == ["0"]
    assert shards(space) == [0]


def test_half_made_things_that_are_finished_meanwhile_or_only_looked_for_stay(space, monkeypatch):
    folder = space.paths.aside
    (folder / "folder.new").mkdir()
    (folder / "file.new").write_bytes(b"half")
    assert [path.name for path in clear_leftovers(folder, remove=False)] == ["file.new", "folder.new"]
    real = fsops.open_update

    def open_update(file):
        file.rename(folder / "finished")
        return real(file)

    monkeypatch.setattr(fsops, "open_update", open_update)
    assert [path.name for path in clear_leftovers(folder)] == ["folder.new"]
    assert (folder / "finished").read_bytes() == b"half"


def test_a_lease_of_a_process_of_this_machine_that_is_gone_is_free_at_once(space):
    leases = Leases(space.paths, 2.0)
    file = space.paths.aside / "leases" / "003"
    file.parent.mkdir()
    file.write_text(json.dumps({"machine": _machine(), "pid": 1, "beat_seconds": 1e9}))
    assert leases.take(3)
    leases.give_back(3)


def test_a_lease_that_is_never_given_back_does_not_keep_its_process(space):
    before = set(threading.enumerate())
    with Leases(space.paths, 2.0):
        (beating,) = set(threading.enumerate()) - before
        assert beating.daemon


@pytest.mark.parametrize("packed", [b"short", b"no frame of zstd at all", zstd.compress(b"1234", 1, True)])
def test_a_chunk_with_a_sound_checksum_and_no_sound_contents_is_refused(packed):
    data = packed + crc32c(packed).to_bytes(4, "little")
    with pytest.raises(ValueError):
        decode_chunk(Column("frames_rows", "<i4"), data, 1)


@pytest.mark.parametrize("change", ["shorter", "another attribute", "longer"])
def test_an_arrays_own_metadata_is_that_of_the_snapshot_or_has_grown(path, space, fill, change):
    fill(space, [frames("a", 3)])
    file = space.paths.folder / "frames" / "zarr.json"
    document = json.loads(file.read_bytes())
    if change == "another attribute":
        document["attributes"]["unit"] = "metre"
    else:
        document["shape"][0] += 64 if change == "longer" else -1
    file.write_bytes(stamped(document))
    if change == "longer":
        assert open_cache(path)["hubert"].read("a", "frames").shape == (3, 6)
    else:
        with pytest.raises(DamagedCache, match="not the metadata of frames"):
            open_cache(path)["hubert"].infos()


def test_metadata_that_shrinks_under_a_reader_is_damage_and_not_fewer_rows(path, space, fill):
    fill(space, [frames("a", 3)])
    reader = open_cache(path)["hubert"]
    assert reader.row_counts(["a"], "frames").tolist() == [3]
    (shard,) = (space.paths.chunk("frames", (number, 0)) for number in shards(space))
    shard.write_bytes(bytes(16) + shard.read_bytes())  # dense no more: read through zarr
    file = space.paths.folder / "frames" / "zarr.json"
    document = json.loads(file.read_bytes())
    document["shape"][0] = 2
    file.write_bytes(stamped(document))
    with pytest.raises(DamagedCache, match="clip 'a'"):
        reader.read("a", "frames")
