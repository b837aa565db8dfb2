"""Whatever happens to a file of the cache is noticed: flips, cuts, deletions, swaps, zeros."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache, verify_cache
from emo.cli.main import emo, exit_code
from emo.errors import CacheMiss, DamagedCache, FormatError


@pytest.fixture
def cache(path, space, make_records, make_spec, fill):
    """A cache of two spaces with canaries, two publishes and more than one shard."""
    other = open_cache(path, "a").create(make_spec("mae"), shard_bytes=800)
    for each in (space, other):
        each.write_canary({"frames": np.linspace(1, 2, 12).reshape(2, 6)})
        fill(each, make_records(8))
        fill(each, make_records(3, first=8))
    return path


def files(cache):
    return [file for file in sorted(cache.rglob("*")) if file.is_file() and file.stat().st_size]


def kind(file):
    """The class of a file: what it is, not which of its like."""
    parts = file.parts[file.parts.index("features.zarr") + 1 :]
    return "/".join("#" if len(part) == 16 or part.isdecimal() else part for part in parts[1:] or parts)


def put_byte(file, place, value):
    with file.open("r+b") as stream:
        stream.seek(place)
        stream.write(bytes([value]))


def test_a_sound_cache_verifies(cache, make_records):
    found = verify_cache(cache)
    assert found.to_json() == {"records": 22, "share": 1.0, "bad": [], "orphans": []}


def test_a_flipped_bit_in_any_class_of_file_is_found(cache, space):
    rng = np.random.default_rng(5)
    by_kind = {kind(file): file for file in files(cache)}
    assert len(by_kind) > 25
    missed = []
    for name, file in by_kind.items():
        whole = file.read_bytes()
        for place in rng.choice(np.flatnonzero(np.frombuffer(whole, np.uint8)), 3).tolist():
            put_byte(file, place, whole[place] ^ 1 << int(rng.integers(8)))
            if not verify_cache(cache).bad:
                missed.append((name, place))
            put_byte(file, place, whole[place])
    assert missed == []
    assert verify_cache(cache).bad == []


@pytest.mark.parametrize("harm", ["delete", "cut", "zero", "empty", "append"])
def test_no_harm_to_any_class_of_file_goes_unnoticed(cache, space, harm):
    missed = []
    for name, file in {kind(file): file for file in files(cache)}.items():
        whole = file.read_bytes()
        if harm == "delete":
            file.unlink()
        else:
            file.write_bytes(
                {"cut": whole[:-5], "zero": bytes(len(whole)), "empty": b"", "append": whole + b"\n"}[harm]
            )
        if not verify_cache(cache).bad:
            missed.append(name)
        file.write_bytes(whole)
    assert missed == []


def test_files_that_change_places_are_noticed(cache, space):
    folder = cache / space.name
    other = next(space for space in open_cache(cache).spaces() if space.spec.encoder == "mae")
    pairs = [
        (folder / "frames/c/0/0", folder / "frames/c/1/0"),
        (folder / "status/c/0", folder / "reason/c/0"),
        (folder / "frames_start/c/0", cache / other.name / "frames_crc32c/c/0"),
        (folder / "frames/zarr.json", folder / "utterance/zarr.json"),
        (folder / "clip_id/zarr.json", folder / "status/zarr.json"),
        (folder / "zarr.json", cache / other.name / "zarr.json"),
        (cache / "hubert/zarr.json", cache / "mae/zarr.json"),
        (cache / "zarr.json", folder / "zarr.json"),
        (cache / "zarr.json", cache / "mae/zarr.json"),
        (folder / "input_sha256/c/0/0", folder / "clip_id/c/0"),
        (folder / "frames/c/0/0", folder / "utterance/c/0/0"),
    ]
    missed = []
    for one, two in pairs[:4] + pairs[5:]:
        first, second = one.read_bytes(), two.read_bytes()
        assert first != second
        one.write_bytes(second)
        two.write_bytes(first)
        if not verify_cache(cache).bad:
            missed.append((one, two))
        one.write_bytes(first)
        two.write_bytes(second)
    assert missed == []


def test_a_stale_index_chunk_is_noticed(cache, space, fill, make_records):
    chunk = cache / space.name / "frames_start/c/0"
    old = chunk.read_bytes()
    fill(space, make_records(2, first=20))
    chunk.write_bytes(old)
    with pytest.raises(DamagedCache, match="stale or in another's place"):
        open_cache(cache)["hubert"].read("clip/000 é", "frames")


def test_a_read_names_clip_encoder_and_file(cache, space):
    index = open_cache(cache)["hubert"].index
    place = index.place(index.current["clip/004 é"], "frames")
    geometry = space.geometry("frames")
    shard, row = divmod(place.start, geometry.shard_rows)
    file = cache / space.name / f"frames/c/{shard}/0"
    data = bytearray(file.read_bytes())
    data[row * geometry.row_bytes] ^= 1
    file.write_bytes(data)
    reader = open_cache(cache)["hubert"]
    with pytest.raises(
        DamagedCache, match=r"frames/c/\d+/0: rows .* clip 'clip/004 é' in hubert/.*emo cache verify"
    ):
        reader["clip/004 é"].values  # noqa: B018 - reading is what raises
    assert reader.read("clip/005 é", "frames").shape[1] == 6
    (bad,) = verify_cache(cache).to_json()["bad"]
    assert (bad["clip_id"], bad["encoder"], bad["file"]) == ("clip/004 é", "hubert", str(file))


def test_damage_to_a_replaced_record_is_told_but_is_no_damage(cache, space, fill, make_records):
    fill(space, make_records(1, seed=1))
    geometry, place = space.geometry("frames"), space.index.place(0, "frames")
    assert space.index.current[space.index.ids[0]] != 0
    file = cache / space.name / f"frames/c/{place.start // geometry.shard_rows}/0"
    data = bytearray(file.read_bytes())
    data[place.start % geometry.shard_rows * geometry.row_bytes] ^= 1
    file.write_bytes(data)
    found = verify_cache(cache)
    assert (found.records, found.bad) == (22, [])
    (orphan,) = found.orphans
    assert orphan.problem.endswith("do not match their checksum. The record was replaced.")


def test_damage_to_a_shards_index_is_found_on_the_first_read(cache, space):
    file = cache / space.name / "utterance/c/0/0"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedCache, match="the shard's index is damaged"):
        open_cache(cache)["hubert"].read("clip/000 é", "utterance")


def test_a_deleted_shard_costs_its_records_and_no_others(cache, space):
    (cache / space.name / "frames/c/1/0").unlink()
    found = verify_cache(cache)
    lost = {check.clip_id for check in found.bad}
    assert lost
    assert found.records == 22 - len(lost)
    assert {check.file for check in found.bad} == {str(cache / space.name / "frames/c/1/0")}


def test_a_damaged_root_does_not_hide_the_spaces(cache):
    root = cache / "zarr.json"
    root.write_bytes(root.read_bytes().replace(b"hubert", b"hubers"))
    found = verify_cache(cache)
    assert [check.file for check in found.bad] == [str(root)]
    assert found.records == 22
    with pytest.raises(DamagedCache):
        open_cache(cache)


def test_white_space_in_metadata_is_damage_too(cache, space):
    file = cache / space.name / "frames" / "zarr.json"
    file.write_bytes(json.dumps(json.loads(file.read_bytes())).encode())
    assert [check.file for check in verify_cache(cache).bad] == [str(file)]


def test_a_damaged_journal_is_found(cache, space, make_records, monkeypatch):
    monkeypatch.setattr("emo.cache.writer.publish", lambda *args, **settings: False)
    with space.writer("none") as writer:
        writer.put(make_records(1, first=50)[0])
    assert verify_cache(cache).records == 23
    (journal,) = space._paths.aside.glob("*.jsonl")
    data = bytearray(journal.read_bytes())
    data[200] ^= 1
    journal.write_bytes(data)
    found = verify_cache(cache)
    assert [check.file for check in found.bad] == [str(journal)]
    assert found.records == 22


def test_a_shard_that_no_record_names_is_an_orphan_not_damage(cache, space):
    shard = cache / space.name / "frames/c/9/0"
    shard.parent.mkdir()
    shard.write_bytes(b"left by a kill")
    (cache / space.name / "note.txt").write_text("a stranger")
    found = verify_cache(cache)
    assert found.bad == []
    assert found.to_json()["orphans"] == [str(shard), str(shard.parents[3] / "note.txt")]


def test_another_format_version_is_refused_not_guessed(cache):
    from emo.cache.format import group, stamped

    (cache / "zarr.json").write_bytes(stamped(group({"emo:format": 2, "spaces": []})))
    for look in (open_cache, verify_cache):
        with pytest.raises(FormatError, match="format 2; this release reads format 1"):
            look(cache)


def test_what_is_no_cache_is_refused(tmp_path):
    with pytest.raises(CacheMiss, match="no feature cache"):
        open_cache(tmp_path / "nothing.zarr")
    with pytest.raises(CacheMiss):
        verify_cache(tmp_path / "nothing.zarr")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"x")
    with pytest.raises(FormatError, match="holds no feature cache"):
        open_cache(tmp_path / "photos", "a")


@pytest.mark.parametrize("content", [None, b'{"zarr_format":3,"node_type":"group","attributes":{}}'])
def test_a_wrong_path_is_told_apart_from_damage(tmp_path, content):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    if content is not None:
        (folder / "zarr.json").write_bytes(content)
    for look in (open_cache, verify_cache):
        with pytest.raises(FormatError, match=r"photos holds no feature cache: it"):
            look(folder)
    result = CliRunner().invoke(emo, ["cache", "verify", "--cache", str(folder)])
    assert exit_code(result.exception) == 2


def test_a_cache_that_lost_its_root_is_damaged_not_foreign(cache):
    (cache / "zarr.json").unlink()
    shutil.rmtree(f"{cache}.journal")
    assert [check.file for check in verify_cache(cache).bad] == [str(cache / "zarr.json")]


def test_a_space_under_another_name_is_damage(cache, space):
    moved = cache / "hubert" / ("0" * 16)
    shutil.move(cache / space.name, moved)
    assert {check.file for check in verify_cache(cache).bad} == {
        str(cache / space.name / "zarr.json"),
        str(moved / "zarr.json"),
    }
