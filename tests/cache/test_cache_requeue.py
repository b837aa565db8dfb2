"""Subsets of a verification cover everything in turn; what is damaged is encoded again, nothing else."""

import pytest

from emo.cache import open_cache, verify_cache
from emo.cache.gc import collect
from emo.cache.requeue import requeue
from emo.cache.subset import Subset
from emo.errors import CacheError, ConfigError, DamagedCache


def flip(space, clip_id, array="frames"):
    """Flip one bit of a record's first row; the file it is in."""
    geometry, place = space.geometry(array), space.index.place(space.index.current[clip_id], array)
    file = space.reader(array).path_of(place)
    data = bytearray(file.read_bytes())
    data[place.start % geometry.shard_rows * geometry.row_bytes] ^= 4
    file.write_bytes(data)
    return file


@pytest.fixture
def records(space, make_records, fill):
    records = make_records(24)
    fill(space, records)
    return records


@pytest.mark.parametrize(("share", "turns"), [(0.05, 20), (0.3, 4), (1.0, 1), (0.5, 2), (1e-3, 1000)])
@pytest.mark.parametrize("first", [0, 739_941, -7])
def test_turns_in_sequence_take_every_clip(share, turns, first):
    ids = [f"clip{number}" for number in range(300)]
    taken = [{one for one in ids if one in Subset(share, first + turn)} for turn in range(turns)]
    assert set().union(*taken) == set(ids)
    if share == 0.05:
        assert sum(map(len, taken)) == len(ids)
        assert 2 <= min(map(len, taken)) <= max(map(len, taken)) <= 35


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_no_share_at_all_is_refused(share):
    with pytest.raises(ConfigError, match="more than 0 %"):
        Subset(share, 0)


def test_a_subset_finds_the_damage_of_its_clips_and_says_what_it_left(path, space, records):
    flip(space, "clip/003 é")
    turns = [verify_cache(path, subset=Subset(0.25, turn)) for turn in range(4)]
    assert sum(len(turn.bad) for turn in turns) == 1
    assert sum(turn.records for turn in turns) == 23
    for turn in turns:
        assert turn.records + turn.unread + len(turn.bad) == 24
        assert turn.share == pytest.approx(1 - turn.unread / 24)


def test_a_subset_reads_all_that_is_no_record(path, space, records):
    subset = Subset(1e-9, 5)
    assert verify_cache(path, subset=subset).to_json()["share"] == 0.0
    column = path / space.name / "frames_rows/c/0"
    whole = column.read_bytes()
    column.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert len(verify_cache(path, subset=subset).bad) == 1
    column.write_bytes(whole)
    (path / space.name / "frames/c/1/0").unlink()
    full, part = verify_cache(path), verify_cache(path, subset=subset)
    assert full.bad == part.bad
    assert len({check.clip_id for check in part.bad}) > 1
    assert part.records == 0


def test_requeued_clips_and_no_others_are_missing(path, space, records, fill, assert_holds):
    wanted = {item.clip_id: item.input_sha256 for item in records}
    flip(space, "clip/003 é")
    flip(space, "clip/003 é", "tokens")
    flip(space, "clip/011 é", "utterance")
    found = verify_cache(path)
    assert len(requeue(open_cache(path, "a"), found)) == len(found.bad) == 3
    again = open_cache(path, "a")["hubert"]
    assert again.missing(wanted) == ["clip/003 é", "clip/011 é"]
    assert again.info("clip/003 é").status == "failed:damaged"
    assert "do not match their checksum" in again.info("clip/003 é").reason
    assert "clip/003 é" not in again
    assert verify_cache(path).bad == []
    fill(again, [item for item in records if item.clip_id in again.missing(wanted)])
    assert_holds(open_cache(path)["hubert"], records)
    assert open_cache(path)["hubert"].missing(wanted) == []
    list(collect(open_cache(path, "a"), remove=True, compact_too=True))
    assert verify_cache(path).to_json() == {"records": 24, "share": 1.0, "bad": [], "orphans": []}


@pytest.mark.parametrize("harm", ["delete", "index"])
def test_a_lost_shard_is_requeued_with_all_its_clips(path, space, records, fill, assert_holds, harm):
    file = flip(space, "clip/005 é")
    if harm == "delete":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    lost = {check.clip_id for check in verify_cache(path).bad}
    assert len(lost) > 1
    requeue(open_cache(path, "a"), verify_cache(path))
    again = open_cache(path, "a")["hubert"]
    wanted = {item.clip_id: item.input_sha256 for item in records}
    assert set(again.missing(wanted)) == lost
    fill(again, [item for item in records if item.clip_id in lost])
    assert_holds(open_cache(path)["hubert"], records)
    assert verify_cache(path).bad == []


def test_what_was_stored_anew_or_retracted_meanwhile_stays(path, space, records, fill):
    from emo.cache.forget import forget

    flip(space, "clip/003 é")
    flip(space, "clip/004 é")
    found = verify_cache(path)
    fill(open_cache(path, "a")["hubert"], records[3:4])
    forget(open_cache(path, "a"), ["clip/004 é"])
    assert requeue(open_cache(path, "a"), found) == []
    space = open_cache(path)["hubert"]
    assert (space.info("clip/003 é").status, space.info("clip/004 é").status) == ("ok", "retracted")


def test_damage_that_is_of_no_record_is_not_requeued(path, space, records, fill, make_spec):
    fill(open_cache(path, "a").create(make_spec("mae"), shard_bytes=800), records[:2])
    flip(space, "clip/003 é")
    (path / "mae/zarr.json").write_bytes(b"{}")
    found = verify_cache(path)
    done = requeue(open_cache(path, "a"), found)
    assert [check.clip_id for check in done] == ["clip/003 é"]
    assert [check.encoder for check in found.bad if check not in done] == ["mae"]


def test_a_cache_opened_to_read_is_not_changed(path, space, records):
    flip(space, "clip/003 é")
    with pytest.raises(CacheError, match="mode='a'"):
        requeue(open_cache(path), verify_cache(path))
    with pytest.raises(DamagedCache):
        open_cache(path)["hubert"].read("clip/003 é", "frames")
