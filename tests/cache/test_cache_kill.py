"""SIGKILL at any instant: nothing acknowledged is lost, nothing is wrong, the next run just goes on."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest

from emo.cache import fsops, open_cache, verify_cache
from emo.records import Record
from emo.spec import ArrayLayout

SEAM = ("pwrite", "write", "fdatasync", "link", "rename", "ftruncate", "unlink", "make_folder", "sync_folder")

EXTRACT = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    import numpy as np
    from emo.cache import open_cache
    from emo.records import Record
    from emo.spec import ArrayLayout, FeatureSpec

    spec = FeatureSpec(
        encoder="hubert", weights={}, recipe={}, recipe_version=1,
        arrays={name: ArrayLayout(kind=name, dim=6) for name in ("frames", "utterance")} | {
            "tokens": ArrayLayout(kind="tokens", dim=6, tokens=2)},
    )
    space = open_cache(sys.argv[1], "a").create(spec, shard_bytes=20_000)
    wanted = {f"clip{number}": bytes([number]) * 32 for number in range(40)}
    print("started", flush=True)
    with space.writer("batch", batch_records=4, publish_records=8) as writer:
        for clip_id in space.missing(wanted):
            rng = np.random.default_rng(int(clip_id[4:]))
            writer.put(Record(
                clip_id=clip_id, input_sha256=wanted[clip_id],
                arrays={"frames": rng.normal(size=(20, 6)), "utterance": rng.normal(size=6),
                        "tokens": rng.normal(size=(2, 6))},
            ))
            time.sleep(0.002)
            print(writer.acknowledged, flush=True)
    """
)


def extract(path):
    return subprocess.Popen([sys.executable, "-c", EXTRACT, str(path)], stdout=subprocess.PIPE, text=True)


SOAK = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(100, 140)]  # 200 kills


@pytest.mark.parametrize("seed", [3, *SOAK])
def test_a_store_killed_at_random_instants_equals_an_uninterrupted_one(seed, tmp_path, plain_records):
    whole, torn = tmp_path / "whole.zarr", tmp_path / "torn.zarr"
    assert extract(whole).communicate() and plain_records(whole)
    rng, stored = random.Random(seed), 0
    for _ in range(5):
        process = extract(torn)
        process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in process.stdout.read().split() if line.isdecimal()]
        process.wait()
        process.stdout.close()
        stored += max(acknowledged, default=0)
        assert len(open_cache(torn)["hubert"]) >= min(stored, 40)
    extract(torn).communicate()
    expected, found = plain_records(whole), plain_records(torn)
    assert len(expected) == 120
    assert set(found) == set(expected)
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values)
    assert verify_cache(torn).to_json()["bad"] == []
    assert len(open_cache(torn)["hubert"].index) == 40


def test_two_processes_at_once_lose_nothing_and_damage_nothing(tmp_path, plain_records):
    path = tmp_path / "shared.zarr"
    processes = [extract(path), extract(path)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert len(plain_records(path)) == 120
    checked = verify_cache(path)
    assert (checked.records, checked.bad) == (40, [])


MANY = [f"clip{number}" for number in range(400)]


def value_of(clip_id):
    """The frames of a clip: whoever stores it, these."""
    number = int(clip_id[4:])
    return (np.arange(1 + number % 20 * 6 + 6).reshape(-1, 1) % 91 + np.arange(1, 7)).astype(np.float16)


def extract_until_killed(space, acknowledged, seed):
    """Store what is missing, or anything again; note in a file what was acknowledged."""
    rng = random.Random(seed)
    wanted = space.missing({clip_id: bytes(32) for clip_id in MANY}) or MANY
    rng.shuffle(wanted)
    given = []
    with space.writer("batch", batch_records=3, publish_records=7) as writer:
        for clip_id in wanted:
            writer.put(Record(clip_id=clip_id, arrays={"frames": value_of(clip_id)}))
            given.append(clip_id)
            known = len(given) - (writer.received - writer.acknowledged)
            os.write(acknowledged, "".join(f"{one}\n" for one in given[:known]).encode())
            given = given[known:]


@pytest.mark.parametrize(("kills", "seed"), [(30, 1), pytest.param(200, 2, marks=pytest.mark.soak)])
def test_two_writers_are_killed_again_and_again_while_a_reader_reads(
    kills, seed, path, make_spec, monkeypatch
):
    monkeypatch.setattr(fsops, "fdatasync", lambda descriptor: None)
    monkeypatch.setattr(fsops, "sync_folder", lambda path: None)
    open_cache(path, "a").create(make_spec(arrays=LAYOUTS), shard_bytes=20_000)
    rng, told = random.Random(seed), path.with_name("acknowledged.txt")
    acknowledged = os.open(told, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def writer():
        child = os.fork()
        if child == 0:
            extract_until_killed(open_cache(path, "a")["hubert"], acknowledged, rng.random())
            os._exit(0)
        return child

    writers, reader, seen, landed, looks = [writer(), writer()], open_cache(path)["hubert"], 0, 0, 0
    while landed < kills:
        until = time.monotonic() + rng.uniform(0.0, 0.08)
        while time.monotonic() < until:
            reader.refresh()
            ids = list(reader)
            assert len(ids) >= seen
            seen, looks = len(ids), looks + 1
            for clip_id in rng.sample(ids, min(3, len(ids))):
                np.testing.assert_array_equal(reader.read(clip_id, "frames"), value_of(clip_id))
        victim = writers.pop(rng.randrange(2))
        os.kill(victim, signal.SIGKILL)
        landed += os.WIFSIGNALED(os.waitpid(victim, 0)[1])
        rng.random()  # the next one takes other clips
        writers.append(writer())
    for child in writers:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.close(acknowledged)
    lost = set(told.read_text().split()) - set(open_cache(path)["hubert"])
    assert lost == set()
    assert looks > kills / 3
    found = verify_cache(path)
    assert (found.bad, found.records) == ([], len(open_cache(path)["hubert"]))


def count_calls(run, at=None):
    """Run with every call of the seam counted; at call number `at` the process dies on the spot."""
    calls = 0

    def counted(real):
        def call(*args, **settings):
            nonlocal calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            # a kill of the process loses nothing that was written, so syncing would only take time
            return None if "sync" in real.__name__ else real(*args, **settings)

        return call

    originals = {name: getattr(fsops, name) for name in SEAM}
    for name, real in originals.items():
        setattr(fsops, name, counted(real))
    try:
        run()
    finally:
        for name, real in originals.items():
            setattr(fsops, name, real)
    return calls


LAYOUTS = {"frames": ArrayLayout(kind="frames", dim=6)}


@pytest.fixture
def frames_only(make_records):
    """Five records of one array, so that a run makes few enough calls to be killed at many of them."""
    return [
        replace(item, arrays={name: item.arrays[name] for name in LAYOUTS if item.arrays})
        for item in make_records(5, first=2)
    ]


@pytest.fixture
def one_run(make_spec, frames_only):
    """One small extraction: make the cache if need be, a canary, and store what is missing."""

    def run(path, durability="batch"):
        space = open_cache(path, "a").create(make_spec(arrays=LAYOUTS), shard_bytes=800)
        space.write_canary({"frames": np.ones((2, 6))})
        wanted = space.missing({item.clip_id: item.input_sha256 for item in frames_only})
        with space.writer(durability, batch_records=2, publish_records=3) as writer:
            for item in frames_only:
                if item.clip_id in wanted:
                    writer.put(item)

    return run


@pytest.mark.parametrize("every", [40, pytest.param(3, marks=pytest.mark.soak)])
def test_a_kill_before_any_call_of_the_file_system_leaves_a_store_that_resumes(
    every, tmp_path, one_run, frames_only, assert_holds
):
    total = count_calls(lambda: one_run(tmp_path / "whole.zarr"))
    assert total > 150
    for at in range(1, total, every):
        path = tmp_path / f"{at}.zarr"
        child = os.fork()
        if child == 0:
            count_calls(lambda path=path: one_run(path), at)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"call {at} was never reached"
        if path.exists():
            assert verify_cache(path).bad == [], f"killed before call {at}"
        one_run(path, "none")
        assert_holds(open_cache(path)["hubert"], frames_only)
        assert verify_cache(path).records == 5
