"""What is put is what is read; what is no feature becomes a status; the last record of a clip counts."""

import numpy as np
import pytest

from emo.cache import open_cache
from emo.errors import AmbiguousSpace, CacheError, CacheMiss, ConfigError
from emo.records import Record
from emo.spec import ArrayLayout

FRAMES = np.ones((5, 6), np.float32)


def record(clip_id="a", digest=1, **fields):
    if "status" not in fields:
        fields.setdefault("arrays", {"frames": FRAMES})
    return Record(clip_id=clip_id, input_sha256=bytes([digest]) * 32, **fields)


def test_what_was_put_is_read_back(path, space, make_records, fill, assert_holds):
    records = make_records(40)
    fill(space, records)
    assert_holds(space, records)
    assert_holds(open_cache(path)["hubert"], records)


def test_a_mapping_holds_the_clips_that_have_features(space, make_records, fill):
    records = make_records(14)
    fill(space, records)
    usable = {item.clip_id for item in records if item.arrays}
    assert set(space) == usable
    assert len(space) == 12
    assert "clip/006 é" not in space
    with pytest.raises(CacheMiss, match=r"status is missing:no_face \(0 of 16 frames\)"):
        space["clip/006 é"]


def test_a_miss_names_the_command_that_fills_it(space):
    with pytest.raises(CacheMiss) as caught:
        space["x"]
    assert str(caught.value) == "hubert has no features for clip 'x'. Run: emo extract --encoder hubert"
    with pytest.raises(CacheMiss, match="emo extract --encoder hubert"):
        space.read("x", "frames")


def test_a_feature_has_values_arrays_times_mask_and_meta(space, make_records, fill):
    item = make_records(1)[0]
    fill(space, [item])
    feature = space[item.clip_id]
    count = len(item.arrays["frames"])
    np.testing.assert_array_equal(feature.values, item.arrays["frames"].astype(np.float16))
    assert set(feature.arrays) == {"frames", "tokens", "utterance"}
    np.testing.assert_allclose(feature.times, 0.01 + 0.02 * np.arange(count))
    assert feature.mask.shape == (count,)
    assert feature.mask.all()
    assert feature.meta["flags"] == ["short"]
    assert feature.status == "ok"


def test_the_primary_array_is_the_finest_that_the_record_has(space, fill):
    fill(space, [record(arrays={"utterance": FRAMES[0], "tokens": np.ones((3, 4))})])
    assert space["a"].values.shape == (3, 4)
    assert space["a"].times is None


def test_stack_and_read_many_keep_the_order_asked_for(space, make_records, fill):
    records = [item for item in make_records(20) if item.arrays]
    fill(space, records)
    picked = [records[index] for index in (7, 0, 15, 7)]
    ids = [item.clip_id for item in picked]
    stacked = space.stack(ids, "utterance")
    np.testing.assert_array_equal(stacked, np.stack([item.arrays["utterance"] for item in picked]))
    assert space.stack(ids, "tokens").shape == (4, 3, 4)
    assert space.stack([], "tokens").shape == (0, 3, 4) or len(space.stack([], "tokens")) == 0
    for values, item in zip(space.read_many(ids, "frames"), picked, strict=True):
        np.testing.assert_array_equal(values, item.arrays["frames"].astype(np.float16))
    with pytest.raises(ConfigError, match="cannot be stacked"):
        space.stack(ids, "frames")


def test_read_into_fills_the_callers_buffers_and_refuses_others(space, fill):
    fill(space, [record()])
    buffer = np.empty((5, 6), np.float16)
    space.read_into(["a"], "frames", [buffer])
    np.testing.assert_array_equal(buffer, FRAMES)
    with pytest.raises(ConfigError, match="must be float16"):
        space.read_into(["a"], "frames", [np.empty((5, 6), np.float32)])
    with pytest.raises(ConfigError, match="C-contiguous"):
        space.read_into(["a"], "frames", [np.empty((10, 6), np.float16)[::2]])


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (np.full((5, 6), np.nan), "failed:nonfinite"),
        (np.full((5, 6), 1e5), "failed:nonfinite"),  # Inf as float16
        (np.vstack([FRAMES, np.zeros((1, 6))]), "failed:zero_rows"),
        (np.full((5, 6), 1e-9), "failed:zero_rows"),  # zero as float16
        (np.empty((0, 6)), "failed:empty"),
    ],
)
def test_values_that_are_no_features_become_a_status(path, space, fill, plain_records, values, status):
    fill(space, [record(arrays={"frames": values, "utterance": FRAMES[0]})])
    info = space.info("a")
    assert info.status == status
    assert "frames" in info.reason
    assert info.arrays == ()
    assert plain_records(path) == {}


def test_the_reason_says_where_the_first_bad_value_is(space, fill):
    values = FRAMES.copy()
    values[3, 2] = np.inf
    fill(space, [record(arrays={"frames": values})])
    assert space.info("a").reason == "frames of shape (5, 6) as float16: inf at [3, 2]"


def test_more_rows_than_a_shard_holds_are_a_status_not_an_end(space, fill):
    rows = space.geometry("frames").shard_rows + 1
    fill(space, [record(arrays={"frames": np.ones((rows, 6))}), record("b")])
    assert space.info("a").status == "failed:too_long"
    assert space.info("b").status == "ok"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"arrays": {"frames": np.ones((5, 7))}},
            r"frames is float64 \(5, 7\); the spec says float16 \(T, 6\)",
        ),
        ({"arrays": {"tokens": np.ones((2, 4))}}, r"\(3, 4\)"),
        ({"arrays": {"utterance": np.ones((1, 6))}}, r"\(6,\)"),
        ({"arrays": {"frames": np.full((5, 6), "x")}}, "spec says"),
        ({"arrays": {"other": FRAMES}}, "no array 'other'"),
        ({"arrays": {}, "status": "ok"}, "holds no arrays"),
        ({"arrays": {"frames": FRAMES}, "status": "missing:no_face"}, "cannot hold arrays"),
        ({"status": "lost"}, "'lost' is no status"),
    ],
)
def test_a_record_that_does_not_fit_the_spec_is_refused(space, fields, message):
    with space.writer() as writer, pytest.raises(ConfigError, match=message):
        writer.put(record(**fields))


def test_a_refused_record_does_not_stop_the_writer(space):
    with space.writer() as writer:
        with pytest.raises(ConfigError):
            writer.put(record("bad", arrays={"other": FRAMES}))
        writer.put(record("good"))
    assert list(space) == ["good"]


def test_the_last_record_of_a_clip_is_current_and_the_old_row_stays(path, space, fill, plain_records):
    fill(space, [record(status="failed:unreadable")])
    fill(space, [record(digest=2)])
    fill(space, [record(digest=3, arrays={"frames": 2 * FRAMES}), record("b", status="missing:no_face")])
    assert space.info("a").input_sha256 == bytes([3]) * 32
    assert len(space.index) == 4
    np.testing.assert_array_equal(plain_records(path)["hubert", "a", "frames"], 2 * FRAMES)


def test_within_one_writer_the_later_record_is_current(space):
    with space.writer() as writer:
        writer.put(record())
        writer.put(record(digest=2, status="failed:unreadable"))
        writer.put(record("b", status="failed:unreadable"))
        writer.put(record("b", digest=2))
    assert space.info("a").status == "failed:unreadable"
    assert space.info("b").status == "ok"


def test_an_alias_is_one_more_row_to_the_same_data(space, fill):
    fill(space, [record()])
    with space.writer() as writer:
        writer.alias("a", "copy")
        writer.put(record("b", arrays={"frames": 3 * FRAMES}))
        writer.alias("b", "copy of b")
        with pytest.raises(CacheMiss, match="no record of clip 'x'"):
            writer.alias("x", "y")
    assert space.index.place(space.index.current["copy"], "frames") == space.index.place(0, "frames")
    np.testing.assert_array_equal(space.read("copy of b", "frames"), 3 * FRAMES)
    assert space.info("copy").input_sha256 == space.info("a").input_sha256


def test_words_that_are_no_unicode_do_not_stop_a_run(space, fill):
    fill(space, [record(status="failed:unreadable", reason="bad\udc80 name\nsecond line")])
    assert space.info("a").reason == "bad? name second line"
    for meta in ({"x": float("nan")}, {"x": object()}, {"x": "\udc80"}):
        with space.writer() as writer, pytest.raises(ConfigError, match="no plain JSON"):
            writer.put(record(meta=meta))


def test_ids_are_data(space, fill):
    ids = ["../../x", ".", "a/b", "emoji 😀", "שלום", "x" * 4000, "cafe\u0301"]
    fill(space, [record(clip_id) for clip_id in ids])
    assert set(space) == {*ids[:-1], "caf\u00e9"}
    with space.writer() as writer, pytest.raises(ConfigError, match="control characters"):
        writer.put(record("a\nb"))


def test_missing_asks_for_changed_input_absent_arrays_and_unknown_clips(space, fill):
    fill(
        space,
        [
            record("ok"),
            record("degraded", status="degraded:truncated", arrays={"frames": FRAMES}),
            record("no face", status="missing:no_face"),
            record("failed", status="failed:unreadable"),
        ],
    )
    wanted = dict.fromkeys(["ok", "degraded", "no face", "failed", "new"], bytes([1]) * 32)
    assert space.missing(wanted) == ["new"]
    assert space.missing(wanted, ["frames"]) == ["new"]
    assert space.missing(wanted, ["frames", "utterance"]) == ["ok", "degraded", "new"]
    assert space.missing(wanted, retry_failed=True) == ["failed", "new"]
    assert space.missing(dict.fromkeys(wanted, bytes([2]) * 32)) == list(wanted)
    with pytest.raises(ConfigError, match="no array 'faces'"):
        space.missing(wanted, ["faces"])


def test_degraded_records_are_not_trained_on_but_can_be_read(space, fill):
    fill(space, [record(status="degraded:truncated", arrays={"frames": FRAMES})])
    assert "a" not in space
    np.testing.assert_array_equal(space.read("a", "frames"), FRAMES)


def test_spaces_are_found_by_spec_name_prefix_and_preset(path, make_spec):
    cache = open_cache(path, "a")
    tiny, base = make_spec(), make_spec(weights={"model": "cd" * 32}, preset="base")
    cache.create(tiny)
    assert cache["hubert"].spec == tiny
    cache.create(base)
    assert cache[base].spec == base
    assert cache["hubert@base"].spec == base
    assert cache[f"hubert/{tiny.short[:6]}"].spec == tiny
    assert "hubert" in cache
    assert "mae" not in cache
    assert [space.name for space in cache.spaces()] == sorted(f"hubert/{s.short}" for s in (tiny, base))
    with pytest.raises(AmbiguousSpace, match=r"preset (base|tiny).*preset (base|tiny)"):
        cache["hubert"]
    with pytest.raises(CacheMiss, match="emo extract --encoder mae"):
        cache["mae"]
    with pytest.raises(CacheMiss, match=f"It has hubert/{min(tiny.short, base.short)}"):
        cache[make_spec(recipe_version=2)]


def test_create_is_idempotent(path, make_spec, fill):
    cache = open_cache(path, "a")
    fill(cache.create(make_spec()), [record()])
    assert list(open_cache(path, "a").create(make_spec(preset="other"))) == ["a"]


def test_names_that_cannot_stand_in_the_format_are_refused(path, make_spec):
    cache = open_cache(path, "a")
    layout = ArrayLayout(kind="frames", dim=4)
    whole = ArrayLayout(kind="frames", dim=4, dtype="int16")
    for arrays in ({"canary": layout}, {"meta": layout}, {"../x": layout}, {"frames": whole}, {}):
        with pytest.raises(ConfigError):
            cache.create(make_spec(arrays=arrays))
    with pytest.raises(ConfigError):
        cache.create(make_spec("../hubert"))


def test_arrays_of_several_layers_live_in_one_space(path, make_spec, fill):
    layout = ArrayLayout(kind="frames", dim=6)
    space = open_cache(path, "a").create(make_spec(arrays={"frames@6": layout, "frames@9": layout}))
    fill(space, [record(arrays={"frames@6": FRAMES, "frames@9": 2 * FRAMES})])
    np.testing.assert_array_equal(space["a"].arrays["frames@9"], 2 * FRAMES)


def test_the_first_canary_stays(path, space, make_records, fill):
    assert space.read_canary() is None
    first = {"frames": np.arange(1, 13).reshape(2, 6) / 7}
    space.write_canary(first)
    space.write_canary({"frames": np.ones((2, 6))})
    fill(space, make_records(3))
    np.testing.assert_array_equal(
        open_cache(path)["hubert"].read_canary()["frames"], first["frames"].astype(np.float32)
    )
    with pytest.raises(ConfigError, match="failed:nonfinite"):
        space.write_canary({"frames": np.full((2, 6), np.nan)})


def test_plain_zarr_reads_the_canary(path, space):
    import zarr

    space.write_canary({"frames": np.ones((2, 6)), "utterance": np.ones(6)})
    group = zarr.open_group(path / space.name, mode="r")["canary"]
    assert group["frames"][:].tolist() == np.ones((2, 6)).tolist()
    assert group["utterance"].shape == (6,)
    assert zarr.open_group(path / space.name / "canary", mode="r")["frames"].shape == (2, 6)


def test_a_cache_opened_to_read_cannot_be_written(path, space):
    cache = open_cache(path)
    with pytest.raises(CacheError, match="opened to read"):
        cache.create(space.spec)
    with pytest.raises(CacheError, match="opened to read"):
        cache["hubert"].writer()


def test_a_space_travels_to_another_process(path, space, make_records, fill, assert_holds):
    import pickle

    fill(space, make_records(3))
    reader = open_cache(path)["hubert"]
    reader.read("clip/000 é", "frames")
    assert_holds(pickle.loads(pickle.dumps(reader)), make_records(3))
    assert_holds(reader, make_records(3))


def test_refresh_shows_what_others_stored(path, space, fill):
    reader = open_cache(path)["hubert"]
    assert list(reader) == []
    fill(space, [record()])
    assert list(reader) == []
    reader.refresh()
    assert list(reader) == ["a"]
