"""A cache from somebody else, with checksums that fit: it is refused before memory or a path is taken."""

import json
import shutil

import numpy as np
import pytest
from numcodecs import zstd

from emo.cache import open_cache, verify_cache
from emo.cache.columns import Column, append_values, decode_chunk
from emo.cache.format import stamped
from emo.errors import DamagedCache


@pytest.fixture
def rewrite(path, space, make_records, fill):
    """Change the space's zarr.json as its author could, checksum included."""
    fill(space, make_records(3))
    file = path / space.name / "zarr.json"

    def rewrite(change):
        document = json.loads(file.read_bytes())
        change(document["attributes"], document["consolidated_metadata"]["metadata"])
        file.write_bytes(stamped(document))

    return rewrite


def longer_shards(attributes, members):
    members["frames"]["chunk_grid"]["configuration"]["chunk_shape"][0] = 1 << 60


def empty_shards(attributes, members):
    members["frames"]["chunk_grid"]["configuration"]["chunk_shape"][0] = 0


def another_member(attributes, members):
    members["../../../outside"] = members["frames"]


def no_index(attributes, members):
    del attributes["emo:index"]["status"]


def unknown_dtype(attributes, members):
    members["frames"]["data_type"] = "|O9"


@pytest.mark.parametrize("change", [longer_shards, empty_shards, another_member, no_index, unknown_dtype])
def test_metadata_that_no_writer_makes_is_refused(path, rewrite, change):
    rewrite(change)
    with pytest.raises(DamagedCache, match=r"zarr\.json"):
        open_cache(path)["hubert"].infos()
    assert verify_cache(path).bad


def test_spaces_outside_of_the_cache_are_refused(tmp_path, path, space):
    shutil.copytree(path / space.name, tmp_path / "outside" / space.spec.short)
    document = json.loads((path / "zarr.json").read_bytes())
    for name in (f"../outside/{space.spec.short}", "hubert", f"./{space.spec.short}"):
        document["attributes"]["spaces"] = [name]
        (path / "zarr.json").write_bytes(stamped(document))
        with pytest.raises(DamagedCache, match="outside of the cache"):
            open_cache(path)


def test_a_record_beyond_its_shard_is_refused_before_it_is_read(path, space, rewrite):
    column = Column("frames_rows", "<i4")
    digest = space.index.state.digests["frames_rows"]
    paths, values = space._paths, np.array([1 << 30] * 3)
    shutil.rmtree(path / space.name / "frames_rows/c")
    changed = append_values(paths, column, type(digest)(), values, durable=False)
    rewrite(lambda attributes, members: attributes["emo:index"]["frames_rows"].update(crc32c=changed.crc))
    with pytest.raises(DamagedCache, match="reaches beyond its shard"):
        open_cache(path)["hubert"].info("clip/000 é")


def test_a_chunk_that_unpacks_to_more_than_a_chunk_is_refused_unpacked(monkeypatch):
    from crc32c import crc32c

    monkeypatch.setattr("emo.cache.columns.MOST_CHUNK_BYTES", 1_000_000)
    for size in (1_000_001, 70_000_000):
        packed = bytes(zstd.compress(bytes(size), 1, True))
        bomb = packed + crc32c(packed).to_bytes(4, "little")
        assert len(bomb) < 10_000
        with pytest.raises(ValueError, match="claims more than 1000000 bytes"):
            decode_chunk(Column("meta"), bomb, 1)
