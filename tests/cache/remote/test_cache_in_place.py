"""A cache that was pushed: read in place with one GET a clip, read by plain Zarr, pulled, added to."""

import numpy as np
import pytest

import emo as package
from emo.cache import open_cache, verify_cache
from emo.cache.compact import compact
from emo.cache.remote.pull import Pull
from emo.cache.remote.store import StoreError, open_store
from emo.errors import CacheMiss, ConfigError

pytestmark = pytest.mark.usefixtures("quick")


def test_what_was_pushed_is_read_in_place_as_it_was_stored(
    path, filled, bucket, push, make_records, assert_holds
):
    push(path, bucket.url)
    found = package.open(bucket.url)["hubert"]
    assert_holds(found, make_records(24))
    np.testing.assert_array_equal(found.read_canary()["frames"], np.ones((2, 6)))
    assert found.spec == filled.spec


def test_each_clip_is_exactly_one_ranged_get(path, filled, bucket, push, proxy, ranged):
    push(path, bucket.url)
    space = package.open(bucket.url)["hubert"]
    clips = list(space)
    proxy.seen.clear()
    for clip_id in clips:
        assert space[clip_id].values.shape[1] == 6
    assert len(proxy.seen) == ranged(proxy.gets()) == len(clips)
    proxy.seen.clear()
    space.read_many(clips, "utterance")
    assert len(proxy.seen) == ranged(proxy.gets()) == len(clips)


def test_batches_are_those_of_the_local_cache(path, filled, bucket, push):
    push(path, bucket.url)
    there, here = package.open(bucket.url)["hubert"], open_cache(path)["hubert"]
    clips = list(here)
    for array in ("frames", "tokens", "utterance"):
        pairs = zip(
            there.batches(clips, array, size=5).ahead(),
            here.batches(clips, array, size=5).here(),
            strict=True,
        )
        for one, other in pairs:
            np.testing.assert_array_equal(one.values, other.values)
            np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(there.view(clips[0], "frames"), here.view(clips[0], "frames"))


def test_a_remote_space_travels_to_another_process(path, filled, bucket, push):
    import pickle

    push(path, bucket.url)
    space = package.open(bucket.url)["hubert"]
    again = pickle.loads(pickle.dumps(space))
    clip_id = next(iter(space))
    np.testing.assert_array_equal(again[clip_id].values, space[clip_id].values)


def test_plain_zarr_reads_what_was_pushed(path, filled, bucket, push, plain_records, proxy):
    import zarr
    from obstore.store import S3Store
    from zarr.storage import ObjectStore

    push(path, bucket.url)
    here = plain_records(path)
    place = S3Store(
        bucket.name, prefix="lab/features.zarr", endpoint=proxy.url, client_options={"allow_http": True}
    )
    root = zarr.open_group(ObjectStore(place, read_only=True), mode="r")
    (name,) = root.attrs["spaces"]
    group = root[name]
    row_of = {clip_id: row for row, clip_id in enumerate(group["clip_id"][:])}
    starts, rows = group["frames_start"][:], group["frames_rows"][:]
    for (_, clip_id, array), values in here.items():
        if array == "frames":
            first = starts[row_of[clip_id]]
            np.testing.assert_array_equal(group["frames"][first : first + rows[row_of[clip_id]]], values)


def test_pulled_it_is_the_same_cache_and_writers_go_on_in_it(
    path, filled, bucket, push, tmp_path, make_records, assert_holds, fill
):
    push(path, bucket.url)
    target = tmp_path / "elsewhere" / "copy.zarr"
    assert all(not step.there for step in Pull(open_store(bucket.url), target).run())
    assert_holds(open_cache(target)["hubert"], make_records(24))
    assert verify_cache(target).to_json()["bad"] == []
    fill(open_cache(target, "a")["hubert"], make_records(30))
    assert_holds(open_cache(target)["hubert"], make_records(30))
    assert sorted(entry.name for entry in target.parent.iterdir()) == ["copy.zarr", "copy.zarr.journal"]
    assert push(target, bucket.url)  # it goes on where the cache that was pulled ended
    assert_holds(package.open(bucket.url)["hubert"], make_records(30))


def test_pulled_into_a_cache_that_has_some_it_gets_the_others(
    path, filled, bucket, push, tmp_path, make_spec, make_records, assert_holds, fill
):
    push(path, bucket.url)
    target = tmp_path / "copy.zarr"
    fill(open_cache(target, "a").create(make_spec(), shard_bytes=3000), make_records(5))
    pulled = Pull(open_store(bucket.url), target)
    list(pulled.run())
    assert (pulled.merged.stored, pulled.merged.same) == (19, 5)
    assert_holds(open_cache(target)["hubert"], make_records(24))
    assert not (tmp_path / "copy.zarr.pull").exists()


def test_a_push_again_sends_nothing_and_one_of_more_records_only_those(
    path, filled, bucket, push, make_records, assert_holds, fill
):
    first = push(path, bucket.url)
    assert len(first) > 30
    assert push(path, bucket.url) == []
    old = package.open(bucket.url)["hubert"]
    fill(open_cache(path, "a")["hubert"], make_records(3, first=24))
    second = {step.name for step in push(path, bucket.url)}
    assert {name for name in second if "/frames/c/" in name} < {step.name for step in first} | second
    assert len([name for name in second if "/c/" in name]) < len([s for s in first if "/c/" in s.name])
    assert_holds(old, make_records(24))  # an older snapshot stays right
    assert_holds(package.open(bucket.url)["hubert"], make_records(27))


@pytest.mark.soak
def test_a_compacted_cache_takes_a_folder_of_its_own_and_the_old_one_goes(
    path, filled, bucket, push, make_records, assert_holds, fill
):
    push(path, bucket.url)
    before = set(bucket.objects())
    fill(open_cache(path, "a")["hubert"], make_records(6, seed=1))
    compact(open_cache(path, "a")["hubert"].paths)
    old = package.open(bucket.url)["hubert"]
    list(old.index.ids)
    push(path, bucket.url)
    changed = {item.clip_id: item for item in [*make_records(24), *make_records(6, seed=1)]}
    assert_holds(package.open(bucket.url)["hubert"], list(changed.values()))
    name = filled.name
    assert not [key for key in bucket.objects() if f"{name}/" in key]
    assert [key for key in before if f"{name}/" in key]
    with pytest.raises(StoreError, match="Open it again"):
        old[next(iter(old))].values  # noqa: B018 - the read is what fails


@pytest.mark.soak
def test_spaces_that_only_the_store_has_stay(
    path, filled, bucket, push, tmp_path, make_spec, make_records, fill, assert_holds
):
    push(path, bucket.url)
    other = tmp_path / "other.zarr"
    fill(open_cache(other, "a").create(make_spec("mae"), shard_bytes=3000), make_records(4))
    push(other, bucket.url)
    cache = package.open(bucket.url)
    assert_holds(cache["hubert"], make_records(24))
    assert_holds(cache["mae"], make_records(4))
    assert "mae" in bucket.objects()["lab/features.zarr.README.md"].decode()


def test_rows_that_nobody_owns_are_not_sent(path, filled, bucket, push):
    shard = next(filled.paths.folder.glob("frames/c/*/0"))
    state = filled.state
    used = int(filled.index.column("frames_rows")[0])
    assert used
    with shard.open("r+b") as stream:  # what a killed writer left after the last record
        stream.seek(state.geometry("frames").data_bytes - 4)
        stream.write(b"lost")
    push(path, bucket.url)
    assert not [key for key, data in bucket.objects().items() if b"lost" in data]


@pytest.mark.soak
def test_two_caches_do_not_push_over_each_other(
    path, filled, bucket, push, tmp_path, make_spec, fill, make_records
):
    push(path, bucket.url)
    bucket.put("lab/features.zarr.journal/push.json", b'{"objects":[],"owner":"somebody"}')
    with pytest.raises(StoreError, match="take-over"):
        push(path, bucket.url)
    push(path, bucket.url, take_over=True)
    assert "lab/features.zarr.journal/push.json" not in bucket.objects()


@pytest.mark.parametrize(
    "url", ["s3://", "s3://only", "gs://b/x", "hf://owner", "s3://AKIA:secret@b/x", "s3://b/../x"]
)
def test_a_url_that_names_no_cache_is_refused_without_repeating_secrets(url):
    with pytest.raises(ConfigError) as refused:
        open_cache(url)
    assert "secret" not in str(refused.value)


def test_a_place_without_a_cache_and_a_bucket_that_is_not_there_are_told(bucket):
    with pytest.raises(CacheMiss, match="no feature cache at s3://"):
        open_cache(bucket.url)
    with pytest.raises(StoreError, match="no bucket 'emo-nowhere'"):
        open_cache("s3://emo-nowhere/x.zarr")


def test_a_remote_cache_is_not_written_verified_or_pushed_as_a_local_one(path, filled, bucket, push):
    push(path, bucket.url)
    with pytest.raises(ConfigError, match="emo cache push"):
        open_cache(bucket.url, "a")
    with pytest.raises(ConfigError, match="emo cache pull"):
        verify_cache(bucket.url)
    with pytest.raises(ConfigError, match="Pull it"):
        push(bucket.url, bucket.url)
