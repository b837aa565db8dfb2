"""Round trip over any lengths, any split into writers and publishes, any order of replacement."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.cache import open_cache, verify_cache
from emo.cache.columns import Column, decode_chunk, encode_chunk
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

SPEC = FeatureSpec(
    encoder="hubert",
    weights={},
    recipe={},
    recipe_version=1,
    arrays={
        "frames": ArrayLayout(kind="frames", dim=2),
        "tokens": ArrayLayout(kind="tokens", dim=2, tokens=2, dtype="float32"),
    },
)

puts = st.tuples(
    st.sampled_from("abcdefgh"),  # few ids, so that records replace each other
    st.integers(1, 70),
    st.sampled_from(["frames", "tokens", "both", "status"]),
    st.sampled_from(["go on", "go on", "go on", "publish", "new writer"]),
)


def record(number, clip_id, rows, what):
    rng = np.random.default_rng(number)
    digest = number.to_bytes(32, "little")
    if what == "status":
        return Record(clip_id=clip_id, status="missing:no_face", input_sha256=digest)
    arrays = {
        "frames": rng.normal(size=(rows, 2)).astype(np.float16),
        "tokens": rng.normal(size=(2, 2)).astype(np.float32),
    }
    kept = arrays if what == "both" else {what: arrays[what]}
    return Record(clip_id=clip_id, arrays=kept, input_sha256=digest, meta={"number": number})


@settings(max_examples=15, deadline=None)
@given(st.lists(puts, max_size=25), st.integers(64, 200))
def test_any_history_of_writes_ends_in_the_last_record_of_each_clip(history, shard_rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.zarr"
        space = open_cache(path, "a").create(SPEC, shard_bytes=shard_rows * 4 + 300)
        writer, expected = space.writer("none"), {}
        for number, (clip_id, rows, what, then) in enumerate(history, start=1):
            item = record(number, clip_id, rows, what)
            writer.put(item)
            if len(item.arrays.get("frames", ())) <= space.geometry("frames").shard_rows:
                expected[clip_id] = item
            else:
                expected[clip_id] = Record(clip_id=clip_id, status="failed:too_long")
            if then == "publish":
                writer.publish()
            elif then == "new writer":
                writer.close()
                writer = space.writer("none")
        writer.close()
        found = open_cache(path)["hubert"]
        assert {clip_id: info.status for clip_id, info in found.infos().items()} == {
            clip_id: item.status for clip_id, item in expected.items()
        }
        for clip_id, item in expected.items():
            for name, values in item.arrays.items():
                np.testing.assert_array_equal(found.read(clip_id, name), values)
        checked = verify_cache(path)
        assert (checked.records, checked.bad, checked.orphans) == (len(expected), [], [])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=40), st.integers(0, 40))
def test_a_text_chunk_gives_back_any_prefix(texts, count):
    column, count = Column("reason"), min(count, len(texts))
    chunk = encode_chunk(column, column.body(texts), len(texts))
    body = decode_chunk(column, chunk, count)
    assert column.values(body, count).tolist() == texts[:count]
    assert body == column.body(texts[:count])
