"""Leases and shared work: nothing is done twice while all live, nothing is left undone when one dies."""

import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from emo.cache import SharedWork, Wanted, fsops, open_cache
from emo.cache.leases import Leases, _machine, bucket_of
from emo.records import Record

BEAT = 0.02

WORK = textwrap.dedent(
    """
    import sys, time
    import numpy as np
    from emo.cache import SharedWork, Wanted, open_cache
    from emo.records import Record
    from emo.spec import ArrayLayout, FeatureSpec

    spec = FeatureSpec(encoder="hubert", weights={}, recipe={}, recipe_version=1,
                       arrays={"frames": ArrayLayout(kind="frames", dim=6)})
    space = open_cache(sys.argv[1], "a").create(spec, shard_bytes=20_000)
    wanted = {f"clip{number}": bytes([number]) * 32 for number in range(int(sys.argv[2]))}
    wanted = {clip_id: wanted[clip_id] for clip_id in space.missing(wanted)}
    print("planned", flush=True)
    sys.stdin.readline()
    with space.writer("batch", batch_records=4) as writer, \\
            SharedWork([Wanted(space, writer, wanted)], beat_seconds=0.05) as work:
        for turns in work.rounds():
            for turn in turns:
                time.sleep(0.01)
                writer.put(Record(clip_id=turn.clip_id, input_sha256=wanted[turn.clip_id],
                                  arrays={"frames": np.full((20, 6), 1.0)}))
                print("encoded", flush=True)
                work.done(turn)
    """
)


def workers(path, count, clips):
    """Processes that have planned the same work and wait to begin it."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(path), str(clips)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in started:
        assert process.stdout.readline() == "planned\n"
    return started


def finish(processes):
    """How many clips each encoded."""
    output = [process.communicate("go\n")[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return [text.count("encoded") for text in output]


def test_processes_over_the_same_ids_share_the_work(tmp_path):
    path = tmp_path / "shared.zarr"
    processes = workers(path, 3, 150)
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    encoded = finish(processes)
    assert 150 <= sum(encoded) <= 157
    assert min(encoded) > 10
    assert len(open_cache(path)["hubert"]) == 150
    assert not list(path.with_name("shared.zarr.journal").rglob("leases/*"))


def test_what_a_killed_process_held_is_done_by_another(tmp_path):
    path = tmp_path / "shared.zarr"
    first, second = workers(path, 2, 40)
    first.stdin.write("go\n")
    first.stdin.flush()
    for _ in range(6):
        first.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert list(path.with_name("shared.zarr.journal").rglob("leases/*"))
    (encoded,) = finish([second])
    assert encoded < 40
    assert len(open_cache(path)["hubert"]) == 40


@pytest.fixture
def leases(space):
    with Leases(space._paths, BEAT) as mine, Leases(space._paths, BEAT) as theirs:
        yield mine, theirs


def test_a_bucket_has_one_holder(leases):
    mine, theirs = leases
    assert mine.take(3)
    assert not theirs.take(3)
    assert theirs.take(4)
    mine.give_back(3)
    assert theirs.take(3)


def held_elsewhere(space, **note):
    """A lease of a machine whose locks we cannot see."""
    path = space._paths.aside / "leases" / "003"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": "elsewhere", "pid": 1, "beat_seconds": BEAT} | note))
    return path


def test_a_lease_of_another_machine_ends_three_beats_after_its_last(space, leases, monkeypatch):
    now = 100.0
    monkeypatch.setattr("emo.cache.leases.time.monotonic", lambda: now)
    path = held_elsewhere(space)
    assert not leases[0].take(3)
    now += 2.9 * BEAT
    assert not leases[0].take(3)
    os.utime(path)
    now += 2.9 * BEAT
    assert not leases[0].take(3)
    now += 3.1 * BEAT
    assert leases[0].take(3)
    assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_held_lease_beats(space):
    with Leases(space._paths, BEAT) as mine:
        mine.take(3)
        path = space._paths.aside / "leases" / "003"
        before = path.stat().st_mtime_ns
        while path.stat().st_mtime_ns == before:
            pass
    assert not path.exists()


def test_a_lost_lease_is_not_taken_from_its_new_holder(space, leases):
    mine, _ = leases
    mine.take(3)
    path = space._paths.aside / "leases" / "003"
    path.unlink()
    held_elsewhere(space)
    mine.give_back(3)
    assert path.exists()


def test_a_holder_that_has_not_written_its_name_yet_is_left_alone(space, leases):
    path = held_elsewhere(space)
    path.write_bytes(b"")
    assert not leases[0].take(3)


def test_what_was_stored_meanwhile_is_not_done_again(path, space, make_records):
    records = make_records(12)
    wanted = {item.clip_id: item.input_sha256 for item in records}
    with space.writer("none") as writer, SharedWork([Wanted(space, writer, wanted)], BEAT) as work:
        other = open_cache(path, "a")["hubert"]
        with other.writer("none") as theirs:
            for item in records[:5]:
                theirs.put(item)
            theirs.put(Record(clip_id=records[7].clip_id, status="failed:x", input_sha256=bytes(32)))
            theirs.flush()
            turns = [turn for round_ in work.rounds() for turn in round_ if work.done(turn) is None]
            assert {turn.clip_id for turn in turns} == {item.clip_id for item in records[5:]}
        assert {one.clip_id for one in work.elsewhere()} == {item.clip_id for item in records[:5]}


def test_what_the_last_holder_stored_before_it_let_go_is_not_done_again(
    path, space, make_records, monkeypatch
):
    (item,) = make_records(1)
    other = open_cache(path, "a")["hubert"]
    real = Leases.take

    def take(self, bucket):
        with other.writer("none") as theirs:
            theirs.put(item)
        return real(self, bucket)

    monkeypatch.setattr(Leases, "take", take)
    wanted = {item.clip_id: item.input_sha256}
    with space.writer("none") as writer, SharedWork([Wanted(space, writer, wanted)], BEAT) as work:
        assert [turn for turns in work.rounds() for turn in turns] == []
        assert [one.clip_id for one in work.elsewhere()] == [item.clip_id]


def test_a_lease_is_kept_until_its_records_are_safe(path, space, make_records):
    records = make_records(3)
    wanted = {item.clip_id: item.input_sha256 for item in records}
    with space.writer("batch") as writer, SharedWork([Wanted(space, writer, wanted)], BEAT) as work:
        for turns in work.rounds():
            for number, turn in enumerate(turns, start=1):
                writer.put(next(item for item in records if item.clip_id == turn.clip_id))
                work.done(turn)
                assert len(fsops.names_in(space._paths.aside / "leases")) == number
        assert fsops.names_in(space._paths.aside / "leases") == []


def test_a_lease_given_back_while_it_is_looked_at_is_taken_next_time(space, leases, monkeypatch):
    mine, theirs = leases
    theirs.take(3)
    real = fsops.open_update
    monkeypatch.setattr(fsops, "open_update", lambda path: (theirs.give_back(3), real(path))[1])
    assert not mine.take(3)
    monkeypatch.undo()
    assert mine.take(3)


def test_where_the_kernel_has_no_name_the_machine_has_one(monkeypatch):
    monkeypatch.setattr(fsops, "read_file", lambda path: Path("/nowhere/at/all").read_bytes())
    assert _machine() == platform.node()


def test_buckets_are_spread():
    buckets = {bucket_of(f"clip{number}") for number in range(4096)}
    assert len(buckets) > 2400
    assert min(buckets) >= 0 and 4000 < max(buckets) < 4096
