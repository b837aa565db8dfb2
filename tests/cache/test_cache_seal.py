"""Sealed shards end with their last used chunk: every reader reads on, a copy is small, a writer goes on."""

import json
import shutil
import tarfile

import numpy as np
import pytest
import xarray
from click.testing import CliRunner

from emo.cache import fsops, open_cache, verify_cache
from emo.cache.compact import compact
from emo.cache.forget import forget
from emo.cache.gc import collect
from emo.cache.seal import seal
from emo.cache.shards import dense_rows, is_dense
from emo.cli.main import emo
from emo.errors import CacheError

LAYOUTS = ("frames", "tokens", "utterance")
SHARD_BYTES = 40_000  # so that the records of a test leave most of each shard empty


@pytest.fixture
def filled(path, make_spec, fill, make_records):
    """A cache whose one shard for each array is nearly empty."""
    fill(open_cache(path, "a").create(make_spec(), shard_bytes=SHARD_BYTES), make_records(8))
    return path


@pytest.fixture
def shards():
    """The shard files of a cache, in order."""

    def find(path):
        files = {file for file in path.glob("hubert/*/*/c/**/0") if file.is_file()}
        return sorted(file for file in files if file.parts[len(path.parts) + 2] in LAYOUTS)

    return find


def test_a_sealed_cache_is_as_long_as_what_it_holds_and_reads_the_same(
    filled, shards, plain_records, make_records, assert_holds
):
    before = plain_records(filled)
    old = open_cache(filled)["hubert"]
    old.read("clip/000 é", "frames")
    sealed = list(seal(open_cache(filled, "a")))
    assert sorted(one.path for one in sealed) == shards(filled)
    assert [one.path.stat().st_size for one in sealed] == [one.after for one in sealed]
    assert all(one.after < one.before for one in sealed)
    assert sum(one.after for one in sealed) < sum(one.before for one in sealed) / 2
    after = plain_records(filled)
    assert before.keys() == after.keys()
    for key, values in before.items():
        np.testing.assert_array_equal(after[key], values)
    assert_holds(old, make_records(8))
    new = open_cache(filled)["hubert"]
    assert_holds(new, make_records(8))
    assert np.array_equal(new.view("clip/000 é", "frames"), old.view("clip/000 é", "frames"))
    xarray.open_zarr(filled / new.name).load()
    assert verify_cache(filled).to_json() == {"records": 8, "share": 1.0, "bad": [], "orphans": []}
    assert list(seal(open_cache(filled, "a"))) == []


def test_a_sealed_shard_is_read_at_computed_offsets(filled, shards, monkeypatch):
    list(seal(open_cache(filled, "a")))
    space = open_cache(filled)["hubert"]
    for path in shards(filled):
        geometry = space.geometry(path.relative_to(filled / space.name).parts[0])
        with path.open("rb") as stream:
            rows = dense_rows(stream.fileno(), geometry)
            assert is_dense(stream.fileno(), geometry)
        assert 0 < rows < geometry.shard_rows
    monkeypatch.setattr("emo.cache.reader.ArrayReader._through_zarr", None)
    assert len(space.read("clip/000 é", "frames"))


def test_a_file_that_is_no_whole_number_of_chunks_and_its_index_is_not_dense(filled, shards):
    list(seal(open_cache(filled, "a")))
    path = shards(filled)[0]
    geometry = open_cache(filled)["hubert"].geometry("frames")
    whole, at = path.read_bytes(), -len(geometry.index)
    path.write_bytes(whole[:at] + b"between" + whole[at:])
    with path.open("rb") as stream:
        assert not is_dense(stream.fileno(), geometry)


@pytest.mark.parametrize("harm", ["cut by one chunk", "cut by one byte", "a byte more", "flip", "zeros"])
def test_harm_to_a_sealed_shard_is_found(filled, shards, harm):
    list(seal(open_cache(filled, "a")))
    for path in shards(filled):
        whole = path.read_bytes()
        path.write_bytes(
            {
                "cut by one chunk": whole[:64],
                "cut by one byte": whole[:-1],
                "a byte more": whole + b"\0",
                "flip": whole[:-1] + bytes([whole[-1] ^ 1]),
                "zeros": bytes(len(whole)),
            }[harm]
        )
        assert verify_cache(filled).bad
        path.write_bytes(whole)
    assert verify_cache(filled).bad == []


@pytest.mark.parametrize("durability", ["batch", "none"])
def test_the_next_writer_makes_a_sealed_shard_whole_and_fills_it(
    filled, shards, durability, fill, make_records, assert_holds
):
    list(seal(open_cache(filled, "a")))
    before, old = shards(filled), open_cache(filled)["hubert"]
    assert_holds(old, make_records(8))
    fill(open_cache(filled, "a")["hubert"], make_records(4, first=8), durability=durability)
    assert shards(filled) == before
    space = open_cache(filled)["hubert"]
    assert_holds(space, make_records(12))
    assert_holds(old, make_records(8))
    sizes = {path.stat().st_size for path in shards(filled)}
    assert sizes == {space.geometry(array).file_bytes for array in space.spec.arrays}
    assert verify_cache(filled).to_json()["bad"] == []
    assert len(list(seal(open_cache(filled, "a")))) == 3


def test_a_reader_of_the_sealed_file_reads_what_was_added_after_it_takes_a_new_snapshot(
    filled, fill, make_records, assert_holds
):
    list(seal(open_cache(filled, "a")))
    old = open_cache(filled)["hubert"]
    assert_holds(old, make_records(8))
    fill(open_cache(filled, "a")["hubert"], make_records(30, first=8))
    assert_holds(old, make_records(8))
    old.refresh()
    assert_holds(old, make_records(38))


def test_a_full_shard_and_one_of_another_program_stay_as_they_are(path, space, fill, make_records, shards):
    fill(space, make_records(20))
    sizes = {file: file.stat().st_size for file in shards(path)}
    sealed = {one.path for one in seal(open_cache(path, "a"))}
    assert 0 < len(sealed) < len(sizes)
    assert all(file.stat().st_size == size for file, size in sizes.items() if file not in sealed)
    geometry, other = space.geometry("utterance"), sorted(set(sizes) - sealed)[0]
    other.write_bytes(b"rewritten" + geometry.sealed_index(0))
    assert other not in {one.path for one in seal(open_cache(path, "a"))}


def test_a_shard_without_a_record_goes(filled, shards):
    space = open_cache(filled)["hubert"]
    empty = filled / space.name / "frames/c/5/0"
    empty.parent.mkdir()
    shutil.copy(filled / space.name / "frames/c/0/0", empty)
    gone = [one for one in seal(open_cache(filled, "a")) if not one.after]
    assert [one.path for one in gone] == [empty]
    assert not empty.exists()


def test_a_space_that_is_written_to_is_not_sealed(filled, make_records):
    with open_cache(filled, "a")["hubert"].writer("none") as writer:
        writer.put(make_records(1, first=30)[0])
        with pytest.raises(CacheError, match="is writing"):
            list(seal(open_cache(filled, "a")))


def test_a_clip_is_forgotten_and_its_proof_holds_in_a_sealed_cache(filled, make_records, assert_holds):
    list(seal(open_cache(filled, "a")))
    forget(open_cache(filled, "a"), ["clip/001 é"])
    assert verify_cache(filled).bad == []
    compact(open_cache(filled, "a")["hubert"].paths)
    list(collect(open_cache(filled, "a"), remove=True))
    list(seal(open_cache(filled, "a")))
    assert verify_cache(filled, ["clip/001 é"]).bad == []
    assert_holds(open_cache(filled)["hubert"], [make_records(8)[0], *make_records(6, first=2)])


def test_bytes_that_nobody_owns_are_seen_in_the_last_chunk_of_a_sealed_shard(filled, shards):
    space = open_cache(filled)["hubert"]
    file, geometry = filled / space.name / "utterance/c/0/0", space.geometry("utterance")
    descriptor = fsops.open_update(file)
    fsops.pwrite(descriptor, b"stranger", 7 * geometry.row_bytes)
    fsops.close(descriptor)
    list(seal(open_cache(filled, "a")))
    (bad,) = verify_cache(filled, ["nobody"]).bad
    assert "hold bytes that no record owns" in bad.problem


def test_forgetting_keeps_who_moves_rows_away_while_it_overwrites(filled, monkeypatch):
    real, tried = fsops.pwrite, []

    def pwrite(descriptor, data, offset):
        if data and not any(bytes(data[:64])) and not tried:
            tried.append(offset)
            with pytest.raises(CacheError, match="is writing"):
                compact(open_cache(filled, "a")["hubert"].paths)
        real(descriptor, data, offset)

    monkeypatch.setattr(fsops, "pwrite", pwrite)
    forget(open_cache(filled, "a"), ["clip/001 é"])
    assert tried
    assert verify_cache(filled).bad == []


def test_the_command_says_what_it_saved_and_a_tar_of_it_is_a_whole_cache(
    filled, tmp_path, make_records, assert_holds
):
    words = ["cache", "seal", "--cache", str(filled)]
    told = json.loads(CliRunner().invoke(emo, [*words, "--json"]).stdout)
    assert told["shards"] == 3
    assert told["bytes_after"] < told["bytes_before"] / 2
    assert "0 shards sealed" in CliRunner().invoke(emo, words).stdout
    with tarfile.open(tmp_path / "copy.tar", "w") as archive:
        archive.add(filled, "copy.zarr")
    assert (tmp_path / "copy.tar").stat().st_size < told["bytes_before"] + 100_000
    with tarfile.open(tmp_path / "copy.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    assert_holds(open_cache(tmp_path / "copy.zarr")["hubert"], make_records(8))
