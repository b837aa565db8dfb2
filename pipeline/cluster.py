"""Extraction on many machines: a dask scheduler hands parts of the clips to its workers.

Each worker extracts its part into the one cache on the disk that all of them share, as `emo extract` does on
one machine: what is safe is decided by the cache's commits, so a worker that dies costs its open batch alone.
Knows neither media nor encoders.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib

from emo.clip import Clip
from emo.errors import CacheMiss, ConfigError, Interrupted, MissingDependency
from emo.pipeline.extract import ExtractProgress, ExtractResult, extract
from emo.pipeline.parts import chunks
from emo.pipeline.plan import ExtractPlan

PARTS_A_WORKER = 4  # so that a slow part does not keep the others waiting at the end
MOST_CLIPS = 256
ANSWERS_WITHIN = 20.0  # seconds for the scheduler


def extract_on_cluster(
    plan: ExtractPlan,
    encoders: Sequence[str],
    cache: str | os.PathLike[str],
    scheduler: str,
    *,
    on_progress: Callable[[ExtractProgress], None] | None = None,
    **options: Any,
) -> ExtractResult:
    """What `plan` has to do, done by the workers of the dask scheduler at `scheduler` (`tcp://host:port`).

    `options` go to `extract` on the workers. Raises ConfigError where no scheduler answers or a worker does
    not see the cache, MissingDependency without dask, Interrupted where workers keep dying.
    """
    wanted = set[str]().union(*(part.to_do for part in plan.parts))
    clips = [clip for clip in plan.clips if clip.clip_id in wanted]
    stored, failed = 0, list(plan.failed_before)
    done = 0
    with _client(scheduler) as client:
        workers = len(client.scheduler_info(n_workers=-1)["workers"]) or 1
        most = min(MOST_CLIPS, -(-len(clips) // (PARTS_A_WORKER * workers)) or 1)
        with joblib.parallel_config("dask", client=client), _told_of_deaths():
            parallel = joblib.Parallel(return_as="generator_unordered")
            place = str(Path(cache).absolute())
            jobs = (
                joblib.delayed(_part)(part, tuple(encoders), place, options) for part in chunks(clips, most)
            )
            for result in parallel(jobs):
                stored += result.stored
                failed += result.failed
                done += result.stored + len(result.failed)
                if on_progress:
                    on_progress(
                        ExtractProgress(
                            done=done, total=plan.to_do, clip_id=f"{workers} workers", failures=result.failed
                        )
                    )
    return ExtractResult(
        clips=len(plan.clips), stored=stored, already=plan.pairs - stored - len(failed), failed=tuple(failed)
    )


def _part(clips: list[Clip], encoders: tuple[str, ...], cache: str, options: dict[str, Any]) -> ExtractResult:
    """One worker's part."""
    from emo.cache import open_cache

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
    return extract(clips, encoders, cache, **options)


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependency(
            "--backend dask needs dask's scheduler. Run: pip install 'emo-toolkit[dask]'"
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
