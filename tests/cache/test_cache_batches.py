"""Batches in reused buffers, the thread that reads ahead, and views of mapped shards."""

import threading

import numpy as np
import pytest

from emo.cache import open_cache
from emo.cache.forget import forget
from emo.cache.gc import collect
from emo.errors import CacheMiss, ConfigError, DamagedCache


@pytest.fixture
def records(make_records):
    return [item for item in make_records(30) if item.arrays]


@pytest.fixture
def filled(path, space, records, fill):
    fill(space, records)
    return open_cache(path)["hubert"]


@pytest.fixture
def ids(records):
    order = np.random.default_rng(0).permutation(len(records))
    return [records[number].clip_id for number in order]


@pytest.mark.parametrize("how", ["here", "ahead"])
@pytest.mark.parametrize("array", ["frames", "tokens", "utterance"])
def test_batches_hold_what_read_gives(filled, ids, array, how):
    seen = []
    for batch in getattr(filled.batches(ids, array, size=4), how)():
        for number, clip_id in enumerate(batch.ids):
            expected = filled.read(clip_id, array)
            if array == "frames":
                assert batch.rows[number] == len(expected)
                assert batch.mask[number].sum() == len(expected)
                assert not batch.values[number, len(expected) :].any()
                np.testing.assert_array_equal(batch.values[number, : len(expected)], expected)
            else:
                np.testing.assert_array_equal(batch.values[number], expected)
        if array == "frames":
            assert batch.values.shape[1] == batch.rows.max()
        seen += batch.ids
    assert seen == ids


def test_batches_lie_in_the_buffer_that_was_given(filled, ids):
    reader = filled.batches(ids, "frames", size=4)
    out = np.full((5, 40, 6), 7, np.float16)
    for batch in reader.here(out):
        assert np.shares_memory(batch.values, out)
    for wrong in (out[:3], out[:, :2], out.astype(np.float32), out[:, ::2], np.empty((5, 40, 7), np.float16)):
        with pytest.raises(ConfigError, match="buffer"):
            next(reader.here(wrong))


def test_the_ring_reuses_its_buffers(filled, ids):
    addresses = {batch.values.ctypes.data for batch in filled.batches(ids, "frames", size=2).ahead(3)}
    assert 1 < len(addresses) <= 3


def test_a_batch_keeps_its_values_until_the_next_is_asked_for(filled, ids):
    for batch in filled.batches(ids, "utterance", size=2).ahead(2):
        expected = filled.stack(batch.ids, "utterance")
        np.testing.assert_array_equal(batch.values, expected)


def threads():
    return threading.active_count()


def test_an_error_of_the_thread_is_raised_where_batches_are_used(path, filled, ids):
    place = filled.index.place(filled.index.current[ids[9]], "utterance")
    file = filled.reader("utterance").path_of(place)
    data = bytearray(file.read_bytes())
    data[place.start % filled.geometry("utterance").shard_rows * 24] ^= 1
    file.write_bytes(data)
    before, got = threads(), []
    with pytest.raises(DamagedCache, match="checksum"):
        for batch in filled.batches(ids, "utterance", size=4).ahead():
            got += batch.ids
    assert got == ids[:8]
    assert threads() == before


def test_the_thread_ends_with_an_iterator_that_is_left(filled, ids):
    before = threads()
    iterator = filled.batches(ids, "frames", size=1).ahead()
    next(iterator)
    assert threads() == before + 1
    iterator.close()
    assert threads() == before


def test_a_clip_without_the_array_is_told_before_anything_is_read(filled, ids):
    with pytest.raises(CacheMiss, match="nobody"):
        filled.batches([*ids, "nobody"], "frames")
    assert list(filled.batches([], "frames").here()) == []
    assert list(filled.batches([], "frames").ahead()) == []


def test_a_view_is_the_mapped_file(filled, ids):
    for array in ("frames", "tokens", "utterance"):
        view = filled.view(ids[0], array)
        np.testing.assert_array_equal(view, filled.read(ids[0], array))
        assert not view.flags.writeable
        assert not view.flags.owndata
    assert np.shares_memory(filled.view(ids[0], "frames"), filled.view(ids[0], "frames"))


def test_a_damaged_view_is_refused(filled, ids):
    place = filled.index.place(filled.index.current[ids[0]], "frames")
    file = filled.reader("frames").path_of(place)
    data = bytearray(file.read_bytes())
    data[place.start % filled.geometry("frames").shard_rows * 12] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedCache, match="checksum"):
        filled.view(ids[0], "frames")


def test_a_shard_that_zarr_rewrote_gives_the_same_batches_and_views(path, filled, ids):
    import zarr

    expected = {clip_id: filled.read(clip_id, "frames") for clip_id in ids}
    array = zarr.open_array(path / filled.name / "frames", mode="r+")
    array[:] = array[:]  # zero chunks are dropped: the shards are not dense any more
    again = open_cache(path)["hubert"]
    for batch in again.batches(ids, "frames", size=8).ahead():
        for number, clip_id in enumerate(batch.ids):
            np.testing.assert_array_equal(batch.values[number, : batch.rows[number]], expected[clip_id])
    np.testing.assert_array_equal(again.view(ids[0], "frames"), expected[ids[0]])


def test_batches_and_views_stay_right_over_a_compaction(path, filled, ids):
    expected = {clip_id: filled.read(clip_id, "frames") for clip_id in ids}
    view = filled.view(ids[1], "frames")
    batches = filled.batches(ids[1:], "frames", size=2).here()
    next(batches)
    forget(open_cache(path, "a"), [ids[0]])
    list(collect(open_cache(path, "a"), remove=True, compact_too=True))
    np.testing.assert_array_equal(view, expected[ids[1]])
    for batch in batches:
        for number, clip_id in enumerate(batch.ids):
            np.testing.assert_array_equal(batch.values[number, : batch.rows[number]], expected[clip_id])
    np.testing.assert_array_equal(filled.view(ids[2], "frames"), expected[ids[2]])
