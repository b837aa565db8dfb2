"""Forget and compact: bytes and ids go, nothing else does, also after a kill at any instant."""

import json
import os
import shutil
import signal
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import fsops, open_cache, verify_cache
from emo.cache.compact import compact
from emo.cache.forget import forget, known_clips
from emo.cache.gc import collect
from emo.cli.cache import cache as command
from emo.errors import CacheError, CacheMiss, DamagedCache
from emo.records import RETRACTED, Record
from emo.run_clips import write_run_clips
from emo.spec import ArrayLayout

SECRET = "secret/anna_042"


@pytest.fixture
def secret():
    """A clip whose values are found again in any file that holds them."""
    return Record(
        clip_id=SECRET,
        arrays={"frames": np.full((5, 6), 42.42, np.float32), "utterance": np.full(6, 77.77, np.float32)},
        input_sha256=b"s" * 32,
        meta={"face": "of anna"},
    )


@pytest.fixture
def filled(space, make_records, secret, fill):
    """Records, the secret one twice, among them, in several publishes."""
    fill(space, make_records(6))
    fill(space, [secret])
    fill(space, make_records(6, first=6))
    fill(space, [secret])
    return space


def everything(path):
    folders = (path, path.with_name(path.name + ".journal"))
    return b"".join(file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file())


def holds_bytes(path):
    data = everything(path)
    return np.float16(42.42).tobytes() * 6 in data or np.float32(77.77).tobytes() * 6 in data


def clean(path):
    list(collect(open_cache(path, "a"), remove=True, compact_too=True))


def test_a_forgotten_clip_is_gone_at_once_and_without_a_trace_after_compaction(
    path, filled, make_records, assert_holds
):
    assert holds_bytes(path)
    assert forget(open_cache(path, "a"), [SECRET, "unknown"]).clips == [SECRET]
    assert not holds_bytes(path)
    space = open_cache(path)["hubert"]
    assert space.info(SECRET).status == RETRACTED
    with pytest.raises(CacheMiss):
        space[SECRET]
    assert verify_cache(path).bad == []
    assert any(SECRET in check.problem for check in verify_cache(path, [SECRET]).bad)
    clean(path)
    assert verify_cache(path, [SECRET]).bad == []
    assert_holds(open_cache(path)["hubert"], make_records(12))
    assert SECRET.encode() not in b"".join(map(str.encode, open_cache(path)["hubert"].index.ids))


def test_a_forgotten_clip_is_not_encoded_again_until_compaction(path, filled, secret):
    wanted = {SECRET: secret.input_sha256}
    forget(open_cache(path, "a"), [SECRET])
    assert open_cache(path)["hubert"].missing(wanted) == []
    clean(path)
    assert open_cache(path)["hubert"].missing(wanted) == [SECRET]


def test_bytes_that_another_clip_shares_stay_and_are_told(path, filled, secret):
    with filled.writer("none") as writer:
        writer.alias(SECRET, "public")
    found = forget(open_cache(path, "a"), [SECRET])
    assert (SECRET, "public") in found.shared
    space = open_cache(path)["hubert"]
    np.testing.assert_array_equal(space["public"].values, secret.arrays["frames"].astype(np.float16))
    assert verify_cache(path).bad == []
    clean(path)
    np.testing.assert_array_equal(
        open_cache(path)["hubert"]["public"].values, secret.arrays["frames"].astype(np.float16)
    )


def test_a_forget_that_was_cut_short_is_told_by_verify_and_finished_by_another(path, filled):
    with filled.writer("none") as writer:
        writer.put(Record(clip_id=SECRET, status=RETRACTED, input_sha256=b"s" * 32))
    assert all("retracted" in check.problem for check in verify_cache(path).bad)
    assert verify_cache(path).bad
    forget(open_cache(path, "a"), [SECRET])
    assert verify_cache(path).bad == []


def test_forgetting_again_adds_no_row(path, filled):
    forget(open_cache(path, "a"), [SECRET])
    rows = len(open_cache(path)["hubert"].index)
    assert forget(open_cache(path, "a"), [SECRET]).clips == [SECRET]
    assert len(open_cache(path)["hubert"].index) == rows


def test_compaction_keeps_canary_aliases_and_several_shards(path, space, make_records, fill, assert_holds):
    records = make_records(30)
    fill(space, records)
    fill(space, make_records(10, seed=1))
    space.write_canary({"frames": np.ones((2, 6))})
    before = space.index.ids
    compacted = compact(space.paths)
    assert (compacted.dropped, compacted.kept) == (10, 30)
    found = open_cache(path, "a")["hubert"]
    assert len(before) == 40
    assert_holds(found, make_records(10, seed=1) + records[10:])
    np.testing.assert_array_equal(found.read_canary()["frames"], np.ones((2, 6)))
    assert verify_cache(path).to_json() == {"records": 30, "share": 1.0, "bad": [], "orphans": []}
    fill(found, make_records(5, first=50))
    assert verify_cache(path).records == 35


def test_a_compact_space_is_left_alone(path, space, make_records, fill):
    fill(space, make_records(5))
    before = (path / space.name / "zarr.json").read_bytes()
    assert compact(space.paths).dropped == 0
    assert (path / space.name / "zarr.json").read_bytes() == before


def test_a_space_that_is_written_to_is_not_compacted(path, filled, make_records, assert_holds):
    with filled.writer("none") as writer:
        writer.put(make_records(1, seed=5)[0])
        with pytest.raises(CacheError, match="is writing"):
            compact(filled.paths)
    assert compact(filled.paths).dropped == 2


def test_without_exchange_nothing_changes(path, filled, monkeypatch):
    before = (path / filled.name / "zarr.json").read_bytes()
    monkeypatch.setattr(fsops, "exchange", lambda one, other: False)
    with pytest.raises(CacheError, match="merge"):
        compact(filled.paths)
    assert (path / filled.name / "zarr.json").read_bytes() == before
    assert verify_cache(path).bad == []


def test_a_damaged_record_stops_compaction_before_it_changes_anything(path, filled):
    file = path / filled.name / "utterance/c/0/0"
    data = bytearray(file.read_bytes())
    data[1] ^= 1
    file.write_bytes(data)
    before = (path / filled.name / "zarr.json").read_bytes()
    with pytest.raises(DamagedCache):
        compact(filled.paths)
    assert (path / filled.name / "zarr.json").read_bytes() == before


@pytest.mark.parametrize("warm", [False, True])
def test_an_old_reader_stays_right_over_a_compaction(path, filled, make_records, assert_holds, warm):
    records = make_records(12)
    old = open_cache(path)["hubert"]
    old.index  # noqa: B018 - opened, its columns not yet read
    if warm:
        old.infos()
        old.read(records[0].clip_id, "frames")
    forget(open_cache(path, "a"), [SECRET])
    clean(path)
    for item in records[::-1]:
        for name, values in item.arrays.items():
            np.testing.assert_array_equal(
                old.read(item.clip_id, name), values.astype(old.geometry(name).dtype)
            )
    assert_holds(old, records)


def test_a_writer_that_was_opened_before_a_compaction_goes_on_after_it(path, filled, make_records):
    records = make_records(12)
    writer = filled.writer("none")
    assert len(filled.index) == 14
    clean(path)
    writer.alias(records[0].clip_id, "again")
    writer.put(make_records(1, first=99)[0])
    writer.close()
    found = open_cache(path)["hubert"]
    np.testing.assert_array_equal(found.read("again", "frames"), found.read(records[0].clip_id, "frames"))
    assert verify_cache(path).bad == []


CHANGES = ("pwrite", "write", "link", "rename", "exchange", "ftruncate", "unlink", "make_folder")


def killed_at(run, at):
    """Run in a child that dies before its change number `at`; False where it ended before."""
    child = os.fork()
    if child == 0:
        calls = 0

        def counted(real):
            def call(*args, **settings):
                nonlocal calls
                calls += 1
                if calls == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **settings)

            return call

        for name in (*CHANGES, "remove_folder"):
            setattr(fsops, name, counted(getattr(fsops, name)))
        run()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


STRIDE = 14
SOAK = [pytest.param(first, marks=pytest.mark.soak) for first in range(2, STRIDE + 1)]


@pytest.mark.parametrize("first", [1, *SOAK])
def test_a_kill_before_any_change_leaves_a_store_that_a_second_try_cleans(
    first, tmp_path, make_spec, make_records, secret, fill, monkeypatch
):
    # a kill of the process loses nothing that was written, so syncing would only take time
    monkeypatch.setattr(fsops, "fdatasync", lambda descriptor: None)
    monkeypatch.setattr(fsops, "sync_folder", lambda path: None)
    layouts = {"frames": ArrayLayout(kind="frames", dim=6)}
    kept = [
        Record(clip_id=item.clip_id, arrays={"frames": item.arrays["frames"]}) for item in make_records(3)
    ]
    hidden = Record(clip_id=SECRET, arrays={"frames": secret.arrays["frames"]})

    def erase(path):
        forget(open_cache(path, "a"), [SECRET])
        clean(path)

    whole = tmp_path / "whole.zarr"
    space = open_cache(whole, "a").create(make_spec(arrays=layouts), shard_bytes=800)
    fill(space, [kept[0], hidden, *kept[1:]])
    killed = True
    for at in count(first, STRIDE):
        if not killed:
            break
        path = tmp_path / f"{at}.zarr"
        shutil.copytree(whole, path)
        killed = killed_at(lambda path=path: erase(path), at)
        found = open_cache(path)["hubert"]
        for item in kept:
            np.testing.assert_array_equal(
                found.read(item.clip_id, "frames"), item.arrays["frames"].astype(np.float16)
            )
        assert all("retracted" in check.problem for check in verify_cache(path).bad), (
            f"killed before change {at}"
        )
        erase(path)
        assert verify_cache(path, [SECRET]).bad == [], f"killed before change {at}"
        assert not holds_bytes(path)
    assert at > 60


def test_gc_names_leftovers_and_rows_and_removes_them_only_when_told(path, filled):
    leftover = filled.paths.scratch("shard1-1")
    leftover.write_bytes(b"half")
    shard = path / filled.name / "frames/c/99/0"
    shard.parent.mkdir()
    shard.write_bytes(b"claimed and never filled")
    run = CliRunner()
    said = json.loads(run.invoke(command, ["gc", "--compact", "--json", "--cache", str(path)]).output)
    assert not said["done"]
    assert {(one["what"], one["rows"]) for one in said["garbage"]} == {
        ("leftover", 0),
        ("shard", 0),
        ("rows", 1),
    }
    assert leftover.exists()
    assert shard.exists()
    result = run.invoke(command, ["gc", "--compact", "--yes", "--cache", str(path)])
    assert result.exit_code == 0
    assert not leftover.exists()
    assert not shard.exists()
    assert len(open_cache(path)["hubert"].index) == 13


@pytest.fixture
def manifest(tmp_path):
    clips = [(SECRET, "anna"), ("clip/001 é", "anna"), ("clip/002 é", "ben")]
    lines = [json.dumps({"clip_id": c, "path": "x.mp4", "speaker": s}) for c, s in clips]
    file = tmp_path / "m.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_command_forgets_a_speaker_and_lists_the_runs_that_knew_them(path, filled, manifest, tmp_path):
    write_run = tmp_path / "runs" / "head"
    write_run.mkdir(parents=True)
    write_run_clips(write_run, {"train": ["clip/001 é"], "val": ["clip/002 é"]})
    arguments = [
        *("forget", "--speaker", "anna", "--manifest", str(manifest)),
        *("--runs", str(tmp_path / "runs"), "--cache", str(path), "--json"),
    ]
    planned = json.loads(CliRunner().invoke(command, arguments).output)
    assert not planned["done"]
    assert open_cache(path)["hubert"].info(SECRET).status == "ok"
    done = json.loads(CliRunner().invoke(command, [*arguments, "--yes"]).output)
    assert done["records"] == {filled.name: ["clip/001 é", SECRET]}
    assert done["runs"] == {str(write_run): ["clip/001 é"]}
    space = open_cache(path)["hubert"]
    assert [space.info(c).status for c in (SECRET, "clip/001 é", "clip/002 é")] == [
        RETRACTED,
        RETRACTED,
        "ok",
    ]


def test_the_command_wants_to_know_what_to_forget(path, filled):
    for arguments in ([], ["--speaker", "anna"]):
        result = CliRunner().invoke(command, ["forget", *arguments, "--cache", str(path)])
        assert result.exit_code == 2


def test_verify_finds_a_media_file_named_like_a_forgotten_clip(path, filled):
    forget(open_cache(path, "a"), [SECRET])
    digests = Path(f"{path}.journal") / "media-digests.jsonl"
    digests.write_text(json.dumps([f"/data/{SECRET}.mp4", [1, 2, 3], "ab"]) + "\n")
    assert any("media" in check.problem for check in verify_cache(path, [SECRET]).bad)
    clean(path)
    assert verify_cache(path, [SECRET]).bad == []


def test_bytes_that_no_record_owns_are_found_and_go_with_compaction(path, space, make_records, fill):
    records = make_records(3)
    fill(space, records)
    file = path / space.name / "utterance/c/0/0"
    data = bytearray(file.read_bytes())
    data[24 * 5] = 1  # left by a writer that was killed before its journal knew of it
    file.write_bytes(data)
    assert verify_cache(path).bad == []
    (bad,) = verify_cache(path, ["gone"]).bad
    assert bad.file == str(file)
    clean(path)
    assert verify_cache(path, ["gone"]).bad == []
    assert verify_cache(path).records == 3


def test_known_clips_changes_nothing(path, filled):
    before = everything(path)
    assert known_clips(open_cache(path), [SECRET]).clips == [SECRET]
    assert everything(path) == before


def test_verify_finds_a_journal_that_names_a_forgotten_clip_and_what_is_half_made(path, space, secret):
    with space.writer("none") as writer:
        writer.put(secret)
        writer.flush()
        (space.paths.aside / "shard1-1.new").write_bytes(b"half")
        problems = [check.problem for check in verify_cache(path, [SECRET, "another"]).bad]
        assert any("the journal names" in problem and SECRET in problem for problem in problems)
        assert any("half-made" in problem for problem in problems)
        assert not any("another" in problem for problem in problems)


def test_lines_that_name_no_media_are_passed_over(path, space, make_records, fill):
    fill(space, make_records(2))
    digests = Path(f"{path}.journal") / "media-digests.jsonl"
    digests.write_text('{half\n[]\n7\n{"a": 1}\n' + json.dumps(["/data/else.mp4", [1], "ab"]) + "\n")
    assert verify_cache(path, [SECRET]).bad == []
