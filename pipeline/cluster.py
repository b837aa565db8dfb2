"""Extraction on many machines: a dask scheduler hands parts of the clips to its workers.

Each worker extracts its part into the one cache on the disk that all of them share, as `emo extract` does on
one machine: what is safe is decided by the cache's commits, so a worker that dies costs its open batch alone.
Knows neither media nor encoders.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import joblib

from emo.clip import Clip
from emo.errors import CacheMiss, ConfigError, Interrupted, MissingDependency
from emo.pipeline.choice import FeatureChoice
from emo.pipeline.parts import chunks
from emo.pipeline.plan import ExtractPlan
from emo.pipeline.progress import ExtractProgress, ExtractResult

PARTS_A_WORKER = 4  # so that a slow part does not keep the others waiting at the end
MOST_CLIPS = 256
ANSWERS_WITHIN = 20.0  # seconds for the scheduler


def work_on_cluster(
    plan: ExtractPlan, choice: FeatureChoice, cache: str | os.PathLike[str], scheduler: str, **options: Any
) -> Iterator[ExtractProgress]:
    """What `plan` has to do, done by the workers of the dask scheduler at `scheduler` (`tcp://host:port`).

    Yields after each part. `options` go to `emo.extract` on the workers. Raises ConfigError where no
    scheduler answers or a worker does not see the cache, MissingDependency without dask, Interrupted where
    workers keep dying.
    """
    wanted = plan.encoders_of()
    clips = [clip for clip in plan.clips if clip.clip_id in wanted]
    seen = ExtractProgress(done=0, total=plan.to_do, clip_id="")
    with _client(scheduler) as client:
        workers = len(client.scheduler_info(n_workers=-1)["workers"]) or 1
        most = min(MOST_CLIPS, -(-len(clips) // (PARTS_A_WORKER * workers)) or 1)
        parts = chunks(clips, most)
        with joblib.parallel_config("dask", client=client), _told_of_deaths():
            parallel = joblib.Parallel(return_as="generator_unordered")
            place = str(Path(cache).absolute())
            results = parallel(joblib.delayed(_part)(part, choice, place, options) for part in parts)
            for number, result in enumerate(results, start=1):
                seen = replace(
                    seen,
                    done=seen.done + result.stored + len(result.failed),
                    clip_id=f"{workers} workers",
                    failures=result.failed,
                    share=number / len(parts),
                    bytes=seen.bytes + result.bytes,
                )
                yield seen
    left = plan.to_do - seen.done
    if left:  # stored by workers that died before they could say so, or by other processes
        yield replace(seen, done=plan.to_do, elsewhere=left, failures=())


def _part(clips: list[Clip], choice: FeatureChoice, cache: str, options: dict[str, Any]) -> ExtractResult:
    """One worker's part."""
    from emo.cache import open_cache
    from emo.pipeline.extract import extract

    try:
        open_cache(cache)
    except CacheMiss as error:
        raise ConfigError(
            f"the worker on {platform.node()} does not see {cache}. The cache has to lie on a disk that all "
            "workers share; without one, give each machine `--shard i/n` and a cache of its own, and "
            "`emo cache merge` them."
        ) from error
    if not any(clip.path.exists() for clip in clips):
        raise ConfigError(
            f"the worker on {platform.node()} sees none of its clips, such as {clips[0].path}. "
            "Clips have to lie on a disk that all workers share."
        )
    return extract(
        clips,
        choice.encoders,
        cache,
        preset=choice.preset,
        layers=choice.layers,
        views=choice.views,
        faces=choice.faces,
        **asdict(choice.running),
        jobs=1,
        replace_changed=True,  # the plan has looked at all clips; a part may look odd by itself
        **options,
    )


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependency(
            "a dask scheduler needs dask. Run: pip install 'emo-toolkit[dask]'"
        ) from error
    try:
        client = Client(  # type: ignore[no-untyped-call]
            scheduler, timeout=ANSWERS_WITHIN, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no dask scheduler answers at {scheduler!r}: {error}. "
            "Start one with `dask scheduler` and workers with `dask worker ADDRESS --nthreads 1`."
        ) from error
    with client:
        yield client


@contextmanager
def _told_of_deaths() -> Iterator[None]:
    from distributed.scheduler import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise Interrupted(
            f"workers died again and again on one part: {error}. What was stored is safe; look at the "
            "workers' logs, then run the same command to go on."
        ) from error
