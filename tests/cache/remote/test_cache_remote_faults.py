"""A store that fails, stalls, cuts bodies and tells stale lists; a killed push: nothing is ever wrong."""

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import emo as package
from emo.cache import open_cache, verify_cache
from emo.cache.compact import compact
from emo.cache.remote.pull import Pull
from emo.cache.remote.push import Push
from emo.cache.remote.store import StoreError, open_store
from emo.errors import DamagedCache

FAULTS = ["500", "drop", "lost", "half", "partial", "wrong"]
SOAK = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 20)]


@pytest.mark.parametrize("seed", [0, *SOAK])
def test_whatever_fails_in_passing_push_read_and_pull_end_right(
    seed, quick, path, filled, bucket, push, proxy, make_records, assert_holds, tmp_path
):
    rng = np.random.default_rng(seed)

    def fault(method, path, number):
        kind = FAULTS[int(rng.integers(len(FAULTS)))] if rng.random() < 0.15 else None
        fits = {
            "partial": method == "PUT",
            "half": method == "GET",
            "wrong": method == "GET" and "/c/" in path,
        }
        return kind if fits.get(kind, True) else None

    proxy.fault = fault
    for _ in range(20):
        try:
            push(path, bucket.url)
            break
        except (StoreError, DamagedCache):
            continue  # told, and gone on with: as a user would
    proxy.fault = lambda method, path, number: None
    assert_holds(package.open(bucket.url)["hubert"], make_records(24))
    proxy.fault = fault
    read = {}
    for _ in range(20):
        try:
            space = package.open(bucket.url)["hubert"]
            read = {clip_id: space[clip_id].values for clip_id in space}
            list(Pull(open_store(bucket.url), tmp_path / "copy.zarr").run())
            break
        except (StoreError, DamagedCache):
            continue
    expected = {item.clip_id: item.arrays["frames"] for item in make_records(24) if item.arrays}
    assert set(read) == set(expected)
    for clip_id, values in expected.items():
        np.testing.assert_array_equal(read[clip_id], values.astype(np.float16))
    assert_holds(open_cache(tmp_path / "copy.zarr")["hubert"], make_records(24))


def test_a_store_that_only_fails_is_told_and_the_next_push_goes_on(
    quick, path, filled, bucket, push, proxy, make_records, assert_holds
):
    proxy.fault = lambda method, path, number: "500" if number > 15 else None
    with pytest.raises(StoreError, match="failed or did not answer"):
        push(path, bucket.url)
    sent = [path for method, path, _ in proxy.seen[:15] if method == "PUT"]
    proxy.fault = lambda method, path, number: None
    again = {step.name for step in push(path, bucket.url)}
    assert len(again) < 40 - len(sent) + 8  # what had arrived was not sent again
    assert_holds(package.open(bucket.url)["hubert"], make_records(24))


def test_a_request_that_hangs_ends_and_is_made_again(
    path, filled, bucket, push, proxy, make_records, assert_holds, monkeypatch
):
    from emo.cache.remote import store
    from emo.config.remote import RemoteSettings

    impatient = RemoteSettings(tries=3, first_wait_s=0.001, request_s=0.7, connect_s=1.0)
    push(path, bucket.url)
    monkeypatch.setattr(store.open_store, "__defaults__", (impatient,))
    hung = set()

    def fault(method, path, number):
        if "frames/c/0/0" in path and not hung:
            hung.add(number)
            return "hang"
        return None

    proxy.fault = fault
    assert_holds(package.open(bucket.url)["hubert"], make_records(24))
    assert hung


def test_bytes_that_rotted_at_the_store_are_never_served(quick, path, filled, bucket, push, tmp_path):
    push(path, bucket.url)
    key = next(key for key in bucket.objects() if f"{filled.name}/frames/c/" in key)
    data = bytearray(bucket.objects()[key])
    data[3] ^= 4
    bucket.put(key, bytes(data))
    space = package.open(bucket.url)["hubert"]
    told = 0
    for clip_id in space:
        try:
            np.testing.assert_array_equal(space[clip_id].values, filled[clip_id].values)
        except DamagedCache as error:
            told += 1
            assert key.removeprefix("lab/features.zarr/") in str(error)
    assert told == 1
    with pytest.raises(DamagedCache):
        list(Pull(open_store(bucket.url), tmp_path / "copy.zarr").run())
    assert not (tmp_path / "copy.zarr").exists()
    push(path, bucket.url)
    assert space[next(iter(space))].values.any()


@pytest.mark.parametrize("part", ["input_sha256", "status", "clip_id", "canary/frames"])
def test_a_bit_that_flips_on_the_way_of_the_index_is_told_and_the_next_pull_is_whole(
    part, quick, path, filled, bucket, push, proxy, make_records, assert_holds, tmp_path
):
    push(path, bucket.url)
    proxy.fault = lambda method, path, number: "wrong" if f"/{part}/c/" in path else None
    with pytest.raises(DamagedCache, match=f"{part}/c/.*Pull again|{part}: .*Pull again"):
        list(Pull(open_store(bucket.url), tmp_path / "copy.zarr").run())
    assert not (tmp_path / "copy.zarr").exists()
    proxy.fault = lambda method, path, number: None
    list(Pull(open_store(bucket.url), tmp_path / "copy.zarr").run())
    assert_holds(open_cache(tmp_path / "copy.zarr")["hubert"], make_records(24))
    assert verify_cache(tmp_path / "copy.zarr").bad == []


@pytest.mark.soak
def test_a_stale_list_changes_nothing_and_hides_nothing_that_must_go(
    quick, path, filled, bucket, push, proxy, make_records, assert_holds, fill
):
    proxy.stale_list = bucket.listing()  # of an empty bucket, for ever
    push(path, bucket.url)
    assert_holds(package.open(bucket.url)["hubert"], make_records(24))
    fill(open_cache(path, "a")["hubert"], make_records(6, seed=1))
    compact(open_cache(path, "a")["hubert"].paths)
    push(path, bucket.url)
    assert not [key for key in bucket.objects() if f"{filled.name}/" in key]


@pytest.mark.parametrize(
    "puts", [25, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 4, 12, 38, 39, 42))]
)
def test_killed_anywhere_a_push_leaves_the_old_snapshot_or_the_new_one(
    puts, quick, path, filled, bucket, push, proxy, make_records, assert_holds, fill
):
    """SIGKILL of the command while it is at its n-th PUT of a push that compaction made a new folder for."""
    push(path, bucket.url)
    fill(open_cache(path, "a")["hubert"], make_records(24, seed=1))
    compact(open_cache(path, "a")["hubert"].paths)
    command = [
        sys.executable,
        "-m",
        "emo",
        "cache",
        "push",
        bucket.url,
        "--cache",
        str(path),
        "--i-have-rights",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    count, lock = [0], threading.Lock()

    def fault(method, path, number):
        with lock:
            count[0] += method in ("PUT", "DELETE")
            if count[0] >= puts:
                process.send_signal(signal.SIGKILL)
                return "drop"
        return None

    proxy.fault = fault
    assert process.wait() == -signal.SIGKILL, f"the push had {count[0]} changes in all"
    proxy.fault = lambda method, path, number: None
    space = package.open(bucket.url)["hubert"]
    assert_holds(space, make_records(24, seed=0 if space.state.generation == 0 else 1))
    push(path, bucket.url)
    assert_holds(package.open(bucket.url)["hubert"], make_records(24, seed=1))
    assert not [key for key in bucket.objects() if f"{filled.name}/" in key or "push.json" in key]


@pytest.mark.soak
@pytest.mark.parametrize("stops", [(39,), range(1, 60, 3)])
def test_abandoned_at_any_step_a_growing_push_never_mixes(
    stops, quick, path, filled, bucket, push, make_records, assert_holds, fill
):
    push(path, bucket.url)
    fill(open_cache(path, "a")["hubert"], make_records(6, first=24))
    for stop in stops:
        with Push(open_cache(path), open_store(bucket.url)) as pushed:
            for step in pushed.run(consent=True):
                if step.done >= stop:
                    break
        space = package.open(bucket.url)["hubert"]
        assert_holds(space, make_records(len(space.index.ids)))
        assert len(space.index.ids) in (24, 30)
    push(path, bucket.url)
    assert_holds(package.open(bucket.url)["hubert"], make_records(30))
