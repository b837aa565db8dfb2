"""A cache and a dict do the same things in any order, kills among them, and hold the same records.

`make test` tries a few orders, `make soak` a hundred longer ones.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from emo.cache import fsops, open_cache, verify_cache
from emo.cache.compact import compact
from emo.cache.forget import forget
from emo.cache.gc import collect
from emo.cache.merge import merge
from emo.cache.seal import seal
from emo.errors import CacheMiss, DamagedCache
from emo.records import OK, RETRACTED, Record
from emo.spec import ArrayLayout, FeatureSpec

SPEC = FeatureSpec(
    encoder="hubert",
    weights={},
    recipe={},
    recipe_version=1,
    arrays={
        "frames": ArrayLayout(kind="frames", dim=2),
        "utterance": ArrayLayout(kind="utterance", dim=3, dtype="float32"),
    },
)
SHARD_BYTES = 1_000  # three chunks of frames, so that shards fill up
IDS = st.sampled_from([f"clip {letter}" for letter in "abcdef"])


@dataclass
class Reader:
    """A reader that stays open: what it showed when it was opened, and what was forgotten since."""

    space: object
    shows: dict
    generation: int
    gone: set


class CacheMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.real = fsops.fdatasync, fsops.sync_folder
        # kills of a process lose nothing that was written, so syncing would only take time
        fsops.fdatasync, fsops.sync_folder = (lambda descriptor: None), (lambda path: None)
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "features.zarr"
        open_cache(self.path, "a").create(SPEC, shard_bytes=SHARD_BYTES)
        self.model, self.pending, self.readers = {}, [], []
        self.writer, self.number = None, 0

    def teardown(self):
        try:
            self.close()
            self.agrees()
            self.verifies()
        finally:
            fsops.fdatasync, fsops.sync_folder = self.real
            shutil.rmtree(self.folder)

    def space(self, mode="a"):
        return open_cache(self.path, mode)["hubert"]

    def record(self, clip_id, rows, what):
        self.number += 1
        rng, digest = np.random.default_rng(self.number), self.number.to_bytes(32, "little")
        arrays = {
            "frames": rng.normal(size=(rows, 2)).astype(np.float16),
            "utterance": rng.normal(size=3).astype(np.float32),
        }
        kept = {
            "both": arrays,
            "frames": {"frames": arrays["frames"]},
            "degraded:cut": arrays,
        }.get(what, {})
        status = what if ":" in what else OK
        return Record(
            clip_id=clip_id, arrays=kept, status=status, input_sha256=digest, meta={"n": self.number}
        )

    def acknowledged(self):
        """Move to the model what the writer has acknowledged of what was put."""
        known = len(self.pending) - (self.writer.received - self.writer.acknowledged)
        for item in self.pending[:known]:
            self.model[item.clip_id] = item
        self.pending = self.pending[known:]

    @rule(
        clip_id=IDS,
        rows=st.integers(1, 70),
        what=st.sampled_from(
            ["both", "both", "frames", "missing:no_face", "failed:unreadable", "degraded:cut"]
        ),
    )
    def put(self, clip_id, rows, what):
        if self.writer is None:
            space = self.space()
            len(space.index)  # publishes what killed writers left, as an extraction does
            self.writer = space.writer("batch", batch_records=3, publish_records=5)
        item = self.record(clip_id, rows, what)
        self.pending.append(item)
        self.writer.put(item)
        self.acknowledged()

    @precondition(lambda self: self.writer)
    @rule(publish=st.booleans())
    def flush(self, publish):
        self.writer.publish() if publish else self.writer.flush()
        self.acknowledged()
        assert not self.pending

    @precondition(lambda self: self.writer)
    @rule()
    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.model |= {item.clip_id: item for item in self.pending}
            self.pending, self.writer = [], None

    @precondition(lambda self: self.writer)
    @rule()
    def crash(self):
        """The process is gone: its descriptors and locks with it, and what it had not acknowledged."""
        self.writer._release()
        self.pending, self.writer = [], None

    @precondition(lambda self: self.writer and any(item.arrays for item in self.model.values()))
    @rule(new=IDS, data=st.data())
    def alias(self, new, data):
        self.flush(publish=True)
        known = sorted(clip_id for clip_id, item in self.model.items() if item.arrays)
        if not known:  # what was put last replaced the only one
            return
        old = data.draw(st.sampled_from(known))
        self.writer.alias(old, new)
        self.writer.flush()
        self.model[new] = self.model[old]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def forget(self, data):
        if self.writer is not None:
            self.flush(publish=False)
        clip_id = data.draw(st.sampled_from(sorted(self.model)))
        found = forget(open_cache(self.path, "a"), [clip_id])
        assert found.clips == [clip_id]
        before = self.model[clip_id]
        self.model[clip_id] = Record(clip_id=clip_id, status=RETRACTED, input_sha256=before.input_sha256)
        for reader in self.readers:
            reader.gone.add(clip_id)

    @rule(how=st.sampled_from(["compact", "gc", "gc with compaction", "seal"]))
    def tidy(self, how):
        self.close()
        if how == "compact":
            compact(self.space().paths)
        elif how == "seal":
            list(seal(open_cache(self.path, "a")))
        else:
            list(collect(open_cache(self.path, "a"), remove=True, compact_too="with" in how))
        if how in ("compact", "gc with compaction"):
            self.model = {key: item for key, item in self.model.items() if item.status != RETRACTED}

    @rule(clip_id=IDS, rows=st.integers(1, 70))
    def merge(self, clip_id, rows):
        self.close()
        other, item = (
            open_cache(self.folder / f"other{self.number}.zarr", "a"),
            self.record(clip_id, rows, "both"),
        )
        with other.create(SPEC, shard_bytes=SHARD_BYTES).writer("none") as writer:
            writer.put(item)
        found = merge([other], open_cache(self.path, "a"))
        assert (found.stored, len(found.conflicts)) == ((0, 1) if clip_id in self.model else (1, 0))
        self.model.setdefault(clip_id, item)

    @rule()
    def open_reader(self):
        space = self.space("r")
        len(space.index)
        self.readers.append(Reader(space, dict(self.model), space.state.generation, set()))

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def refresh(self, data):
        reader = data.draw(st.sampled_from(self.readers))
        reader.space.refresh()
        self.holds(reader.space, self.model)
        reader.shows, reader.gone = dict(self.model), set()

    @invariant()
    def old_readers_are_right(self):
        """As long as nothing was compacted they show what they showed; after that, what there is now."""
        for reader in self.readers:
            for clip_id, item in reader.shows.items():
                for array, values in item.arrays.items():
                    try:
                        found = reader.space.read(clip_id, array)
                    except (CacheMiss, DamagedCache):
                        assert clip_id in reader.gone
                        continue
                    now = self.model.get(clip_id)
                    right = [values, *([now.arrays[array]] if now and array in now.arrays else [])]
                    assert any(np.array_equal(found, each) for each in right)

    @rule()
    def agrees(self):
        self.holds(self.space("r"), self.model)

    def holds(self, space, model):
        infos = space.infos()
        assert {clip_id: info.status for clip_id, info in infos.items()} == {
            clip_id: item.status for clip_id, item in model.items()
        }
        assert set(space) == {clip_id for clip_id, item in model.items() if item.status == OK}
        for clip_id, item in model.items():
            assert infos[clip_id].input_sha256 == item.input_sha256
            assert set(infos[clip_id].arrays) == set(item.arrays)
            for array, values in item.arrays.items():
                np.testing.assert_array_equal(space.read(clip_id, array), values)

    @rule()
    def verifies(self):
        found = verify_cache(self.path)
        assert found.bad == []
        assert found.records == sum(item.status != RETRACTED for item in self.model.values())


QUICK = settings(max_examples=8, stateful_step_count=25, deadline=None)
LONG = settings(max_examples=100, stateful_step_count=50, deadline=None)


@pytest.mark.parametrize(
    "orders", [QUICK, pytest.param(LONG, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_a_cache_and_a_dict_hold_the_same_after_any_order_of_doings(orders):
    quiet = settings(orders, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(CacheMachine, settings=quiet)
