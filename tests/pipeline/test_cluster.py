"""Extraction on a real dask scheduler with two worker processes on loopback, one of which is killed."""

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


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as running:
        yield running


def on_cluster(clips, cache, address, **options):
    return extract(clips, ("hubert",), cache, preset="tiny", scheduler=address, **options)


def test_two_workers_store_what_one_process_stores(clips, cluster, tmp_path):
    told = []
    cache = tmp_path / "many.zarr"
    result = on_cluster(clips, cache, cluster.scheduler_address, on_progress=told.append)
    assert (result.stored, result.already, result.failed) == (CLIPS, 0, ())
    assert result.bytes > 0
    assert (told[-1].done, told[-1].share) == (CLIPS, 1.0)
    extract(clips, ("hubert",), tmp_path / "one.zarr", preset="tiny", jobs=1)
    many, one = (open_cache(path)["hubert"] for path in (cache, tmp_path / "one.zarr"))
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
    assert sorted(open_cache(cache)["hubert"]) == sorted(clip.clip_id for clip in clips)


def test_no_scheduler_is_told_with_what_to_start(clips, tmp_path, monkeypatch):
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
