"""Extraction on a real dask scheduler with two worker processes on loopback, one of which is killed.

The encoder is another package's and needs no torch, so that a worker starts in a second.
"""

import os
import signal
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cache.leases import bucket_of
from emo.cli.main import emo as command
from emo.clip import Clip
from emo.errors import ConfigError
from emo.pipeline.extract import extract
from emo.pipeline.parts import Shard, chunks
from emo.testing import tone, write_clip

distributed = pytest.importorskip("distributed", reason="dask's scheduler is an extra")

CLIPS = 24


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return [
        Clip(
            clip_id=f"c{number}",
            path=write_clip(folder / f"c{number}.wav", None, tone(0.3, hertz=200.0 + 10 * number)),
        )
        for number in range(CLIPS)
    ]


LOUDNESS = """
import numpy as np

from emo.spec import ArrayLayout, FeatureSpec
from emo.views import AudioView


class Loudness:
    def __init__(self, preset):
        self.needs = frozenset({AudioView()})
        self.spec = FeatureSpec(
            encoder="loudness",
            weights={},
            recipe={"hop": 160},
            recipe_version=1,
            arrays={"frames": ArrayLayout(kind="frames", dim=2)},
            preset=preset,
        )

    def encode(self, batch):
        return [{"frames": self._frames(views[AudioView()].array)} for views in batch]

    def times(self, views):
        return {"frames": {"t0": 0.005, "dt": 0.01}}

    def _frames(self, sound):
        parts = sound[: len(sound) // 160 * 160].reshape(-1, 160)
        return np.stack([np.abs(parts).mean(axis=1), np.abs(parts).max(axis=1)], axis=1).astype(np.float32)
"""


@pytest.fixture(scope="module")
def loudness(tmp_path_factory):
    """The package, where this process and those that it starts find it."""
    folder = tmp_path_factory.mktemp("package")
    info = folder / "loudness-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loudness\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[emo.encoders]\nloudness = loudness:Loudness\n")
    (folder / "loudness.py").write_text(LOUDNESS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
        yield


@pytest.fixture(scope="module")
def cluster(loudness):
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as running:
        yield running


def on_cluster(clips, cache, address, **options):
    return extract(clips, ("loudness",), cache, preset="tiny", scheduler=address, **options)


def test_two_workers_store_what_one_process_stores(clips, cluster, tmp_path):
    told = []
    cache = tmp_path / "many.zarr"
    result = on_cluster(clips, cache, cluster.scheduler_address, on_progress=told.append)
    assert (result.stored, result.already, result.failed) == (CLIPS, 0, ())
    assert result.bytes > 0
    assert (told[-1].done, told[-1].share) == (CLIPS, 1.0)
    extract(clips, ("loudness",), tmp_path / "one.zarr", preset="tiny", jobs=1)
    many, one = (open_cache(path)["loudness"] for path in (cache, tmp_path / "one.zarr"))
    for clip in clips:
        assert np.array_equal(many.read(clip.clip_id, "frames"), one.read(clip.clip_id, "frames"))


def test_a_killed_worker_loses_nothing_and_the_run_completes(clips, cluster, tmp_path):
    cache = tmp_path / "killed.zarr"
    killed = []

    def kill_one(_progress):
        if not killed:
            killed.append(next(iter(cluster.workers.values())).process.process.pid)
            os.kill(killed[0], signal.SIGKILL)

    result = on_cluster(clips, cache, cluster.scheduler_address, on_progress=kill_one)
    assert killed
    assert result.stored + result.already == CLIPS
    assert not result.failed
    assert sorted(open_cache(cache)["loudness"]) == sorted(clip.clip_id for clip in clips)


def test_no_scheduler_is_told_with_what_to_start(clips, loudness, tmp_path, monkeypatch):
    from emo.pipeline import cluster as module

    monkeypatch.setattr(module, "ANSWERS_WITHIN", 0.5)
    with pytest.raises(ConfigError, match="dask scheduler"):
        on_cluster(clips, tmp_path / "f.zarr", "tcp://127.0.0.1:9")


def test_the_command_needs_backend_and_scheduler_together(clips):
    ran = CliRunner().invoke(command, ["extract", str(clips[0].path), "--backend", "dask"])
    assert ran.exit_code == 2
    assert "--scheduler" in ran.stderr


def test_parts_are_even_share_hardly_a_bucket_and_miss_nobody(clips):
    many = [Clip(clip_id=f"x{number}", path=clips[0].path) for number in range(1000)]
    parts = [Shard.parse(f"{number}/7").of(many) for number in range(7)]
    assert sorted(clip.clip_id for part in parts for clip in part) == sorted(clip.clip_id for clip in many)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    buckets = [{bucket_of(clip.clip_id) for clip in part} for part in parts]
    assert sum(len(one & other) for one, other in pairwise(buckets)) <= 6
    assert [clip.clip_id for part in chunks(many, 64) for clip in part] == [
        clip.clip_id for part in parts for clip in part
    ]


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "a/b", "0/0"])
def test_a_shard_that_is_none_is_told(text):
    with pytest.raises(ConfigError, match="0/4"):
        Shard.parse(text)
