"""Reading what is in memory and what is not, when checksums are compared, and buffers filled fast."""

import os
import pickle

import numpy as np
import pytest

from emo.cache import fsops, open_cache
from emo.cache.buffers import CACHE_LINE, aligned_empty
from emo.errors import ConfigError, DamagedCache

DAMAGED = "clip/003 é"


@pytest.fixture
def records(make_records):
    return [item for item in make_records(20) if item.arrays]


@pytest.fixture
def damage(path, space, records, fill):
    """Changes a byte of one clip's frames on the disk."""
    fill(space, records)

    def flip():
        place = space.index.place(space.index.current[DAMAGED], "frames")
        geometry = space.geometry("frames")
        with space.reader("frames").path_of(place).open("r+b") as file:
            file.seek(place.start % geometry.shard_rows * geometry.row_bytes)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))

    return flip


@pytest.mark.parametrize("memory", ["says nothing", "has a part", "cannot be asked"])
def test_what_is_not_in_memory_is_read_after_the_rest(path, damage, records, memory, monkeypatch):
    real, late = fsops.pread_cached, []
    said = {
        "says nothing": lambda descriptor, buffer, offset: 0,
        "has a part": lambda descriptor, buffer, offset: real(descriptor, buffer[: len(buffer) // 2], offset),
        "cannot be asked": real,
    }[memory]
    monkeypatch.setattr(fsops, "pread_cached", said)
    if memory == "cannot be asked":
        monkeypatch.setattr(fsops, "_NO_WAIT", 0)
    monkeypatch.setattr(fsops, "will_need", lambda descriptor, offset, length: late.append(length))
    read = open_cache(path)["hubert"].read_many([item.clip_id for item in records], "frames")
    for item, values in zip(records, read, strict=True):
        np.testing.assert_array_equal(values, item.arrays["frames"].astype(np.float16))
    assert len(late) == len(records)


def test_damage_is_found_where_a_record_comes_late(path, damage, records, monkeypatch):
    damage()
    monkeypatch.setattr(fsops, "pread_cached", lambda descriptor, buffer, offset: 0)
    with pytest.raises(DamagedCache, match=f"clip '{DAMAGED}'"):
        open_cache(path)["hubert"].read_many([item.clip_id for item in records], "frames")


def test_every_read_is_checked_unless_it_is_asked_otherwise(path, damage):
    every, first, never = (open_cache(path, check=check)["hubert"] for check in ("every", "first", "never"))
    for space in (every, first, never):
        space.read(DAMAGED, "frames")
    damage()
    with pytest.raises(DamagedCache, match="checksum"):
        every.read(DAMAGED, "frames")
    assert first.read(DAMAGED, "frames").tobytes() == never.read(DAMAGED, "frames").tobytes()
    with pytest.raises(DamagedCache, match="checksum"):
        open_cache(path, check="first")["hubert"].read(DAMAGED, "frames")
    with pytest.raises(DamagedCache, match="checksum"):
        open_cache(path, check="first")["hubert"].view(DAMAGED, "frames")


def test_another_process_checks_as_this_one_does(path, damage):
    never = pickle.loads(pickle.dumps(open_cache(path, check="never")["hubert"]))
    every = pickle.loads(pickle.dumps(open_cache(path)["hubert"]))
    damage()
    never.read(DAMAGED, "frames")
    with pytest.raises(DamagedCache):
        every.read(DAMAGED, "frames")


def test_an_unknown_check_is_refused(path, space):
    with pytest.raises(ConfigError, match="'every' read"):
        open_cache(path, check="sometimes")


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (5, 7), (3, 40, 1024)])
def test_buffers_begin_at_a_cache_line(shape):
    for dtype in (np.float16, np.float32, np.uint16):
        buffer = aligned_empty(shape, np.dtype(dtype))
        assert (buffer.shape, buffer.dtype) == (shape, dtype)
        assert buffer.size == 0 or buffer.ctypes.data % CACHE_LINE == 0
        assert buffer.flags.c_contiguous
        assert buffer.flags.writeable
