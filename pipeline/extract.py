"""Extraction from the first question to the last count: what there is to do, on what, and what came of it.

Resuming is the default: what is stored is not done again. The work itself is `emo.pipeline.loop`, or
`emo.pipeline.cluster` where a scheduler hands it out.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from emo.cache import open_cache
from emo.clip import Clip
from emo.config.cache import Durability
from emo.config.extract import DEFAULTS, MediaLimits
from emo.corpora.aligned_faces import with_aligned_faces
from emo.corpora.declared import declared_rights
from emo.corpora.manifest import clips_in
from emo.digests import StatCache
from emo.errors import ConfigError
from emo.extractors.running import running_on
from emo.extractors.weights import rehash_weights
from emo.pipeline.canary import precision_error
from emo.pipeline.choice import FeatureChoice
from emo.pipeline.loop import run_plan
from emo.pipeline.parts import WHOLE, Shard
from emo.pipeline.people import crowd_note, with_person
from emo.pipeline.plan import ExtractPlan, Failure, Renewal, make_plan
from emo.pipeline.progress import ExtractProgress, ExtractResult
from emo.rights import DataRights

BATCH_ON_A_CARD = 16  # clips; on a CPU one, see docs/decisions/0002


def extract(
    clips: str | os.PathLike[str] | Sequence[Clip],
    encoders: Sequence[str],
    cache: str | os.PathLike[str],
    *,
    preset: str = "base",
    layers: Sequence[int] = (),
    views: Sequence[str] = (),
    faces: Mapping[str, str] = MappingProxyType({}),
    aligned_faces: str | os.PathLike[str] | None = None,
    person: str = "",
    device: str = "auto",
    precision: str = "auto",
    compiled: bool = False,
    batch: int = 0,
    jobs: int = 0,
    shard: Shard = WHOLE,
    scheduler: str = "",
    redo: bool = False,
    retry_failed: bool = False,
    replace_changed: bool = False,
    rehash: bool = False,
    rights: DataRights | None = None,
    durability: Durability = "batch",
    limits: MediaLimits = DEFAULTS,
    dry_run: bool = False,
    on_plan: Callable[[ExtractPlan], None] | None = None,
    on_progress: Callable[[ExtractProgress], None] | None = None,
) -> ExtractResult:
    """Store features of `clips` in the cache at `cache` and say what is stored, was stored and failed.

    What is read: `clips` is a folder, a media file, a manifest or a list of Clip, of which `shard` does one
    part; `aligned_faces` is a folder of OpenFace's faces for clips that name none; `limits` is what a file
    may claim and cost; `rights` says what data the clips are of: the cache
    keeps it; without it what the manifest says is kept, else what the cache says goes for these clips too.

    Which features: `encoders` are names such as `hubert` or `hubert@merbench`, of `preset` where they name
    none; `layers` asks each for one feature a layer; `views` are augmented views for training, such as
    `noise@10dB` and `flip`, stored beside the plain ones; `faces` changes which faces encoders look at, such
    as `{"policy": "active"}`; `person` is whose face counts in clips that name nobody, see `with_person`.
    What is done again is said by `redo`, `retry_failed`, `replace_changed` and
    `rehash`, see `Renewal`.

    On what: `device` and `precision` as `running_on` takes them; `batch` clips go through an encoder together
    (0: 1 on a CPU); `jobs` is the number of decoding processes (0: one a core); `scheduler` is the address of
    a dask scheduler whose workers do the work.

    `dry_run` stops after the plan. `on_plan` is called once before any work, `on_progress` after each clip.

    Raises ConfigError for unusable settings and for a place without media, CheckpointError where weights are
    missing, OSError (ENOSPC) where the disk has no room for what is known to come.

    >>> result = emo.extract("clips.csv", ["hubert"], "features.zarr", preset="tiny")
    >>> result.stored, result.already, result.failed
    (0, 8, ())
    """
    started = time.monotonic()
    running = running_on(device, precision, compiled=compiled)
    choice = FeatureChoice(tuple(encoders), preset, tuple(layers), tuple(views), dict(faces), running)
    renewal = Renewal(redo=redo, retry_failed=retry_failed, replace_changed=replace_changed, rehash=rehash)
    chosen, ignored = _chosen(clips, aligned_faces)
    chosen = with_person(chosen, person, limits=limits, jobs=jobs)
    plan = _planned(chosen, choice, cache, shard, renewal, limits)
    plan = replace(plan, ignored=ignored)
    if on_plan:
        on_plan(plan)
    clock = {"plan": time.monotonic() - started, "decode": 0.0, "encode": 0.0, "write": 0.0}
    if dry_run:
        return _timed(_counted(plan, (), None), clock, started)
    _refuse_full_disk(plan, Path(cache))
    if data := _data(clips, chosen, rights):
        open_cache(cache, "a").unite(data)
    plan = replace(plan, notes=(*plan.notes, *_errors_of(choice, plan)))
    if scheduler:
        from emo.pipeline.cluster import work_on_cluster

        work: Iterable[ExtractProgress] = work_on_cluster(
            plan,
            choice,
            cache,
            scheduler,
            batch=batch,
            redo=redo,
            retry_failed=retry_failed,
            durability=durability,
            limits=limits,
        )
    else:
        work = run_plan(
            plan,
            jobs=jobs,
            batch=batch or (1 if running.device == "cpu" else BATCH_ON_A_CARD),
            durability=durability,
            limits=limits,
            clock=clock,
        )
    return _timed(_counted(plan, work, on_progress), clock, started)


def _data(
    clips: str | os.PathLike[str] | Sequence[Clip], chosen: Sequence[Clip], rights: DataRights | None
) -> Sequence[DataRights]:
    """Whose data the clips are: what the caller says, else what stands beside and in the manifest."""
    if rights is not None:
        return [rights]
    return declared_rights(Path(clips) if isinstance(clips, str | os.PathLike) else None, chosen)


def _chosen(
    clips: str | os.PathLike[str] | Sequence[Clip], aligned_faces: str | os.PathLike[str] | None
) -> tuple[Sequence[Clip], int]:
    """The clips, and how many files were passed over. ConfigError where there is no media."""
    chosen, ignored = clips_in(Path(clips)) if isinstance(clips, str | os.PathLike) else (clips, 0)
    if isinstance(clips, str | os.PathLike) and not chosen:
        passed_over = f": {ignored} other files ignored" if ignored else ""
        raise ConfigError(f"no media found in {os.fspath(clips)}{passed_over}. Name a folder of clips.")
    if aligned_faces is not None:
        chosen = with_aligned_faces(chosen, Path(aligned_faces))
    return chosen, ignored


def _planned(
    clips: Sequence[Clip],
    choice: FeatureChoice,
    cache: str | os.PathLike[str],
    shard: Shard,
    renewal: Renewal,
    limits: MediaLimits,
) -> ExtractPlan:
    if renewal.rehash:
        rehash_weights()
    files = StatCache(Path(f"{os.fspath(cache)}.journal") / "media-digests.jsonl", rehash=renewal.rehash)
    encoders, notes = choice.made()
    store = open_cache(cache, mode="a")
    plan = make_plan(shard.of(clips), encoders, store, files, renewal=renewal, limits=limits)
    return replace(plan, notes=tuple(notes))


def _refuse_full_disk(plan: ExtractPlan, cache: Path) -> None:
    """OSError where what is sure to be written, without the frames whose number is not known, has no room."""
    free = shutil.disk_usage(cache if cache.exists() else cache.absolute().parent).free
    if plan.least_bytes > free:
        raise OSError(
            errno.ENOSPC,
            f"No space left on device: at least {plan.least_bytes} bytes of features will be written, {free} "
            "bytes are free. Nothing was begun. Free some space, or store less, such as eva@pool64+int8",
            str(cache),
        )


def _errors_of(choice: FeatureChoice, plan: ExtractPlan) -> list[str]:
    """What a half precision costs, measured on the canary clip for each space that is new."""
    if choice.running.precision == "float32":
        return []
    new = {part.encoder.spec.short for part in plan.parts if part.to_do and part.space.read_canary() is None}
    exact, _ = choice.with_precision("float32").made()
    half, _ = choice.made()
    return [
        f"{one.spec.encoder} in {one.spec.precision}: {precision_error(one, other)} on the canary clip"
        for one, other in zip(half, exact, strict=True)
        if one.spec.short in new
    ]


def _counted(
    plan: ExtractPlan,
    work: Iterable[ExtractProgress],
    on_progress: Callable[[ExtractProgress], None] | None,
) -> ExtractResult:
    """The result of `work` on the plan, told of clip by clip."""
    done = elsewhere = stored_bytes = crowded = 0
    failed: list[Failure] = []
    for progress in work:
        done, elsewhere, stored_bytes = progress.done, progress.elsewhere, progress.bytes
        failed += progress.failures
        crowded = progress.crowded
        if on_progress:
            on_progress(progress)
    return ExtractResult(
        clips=len(plan.clips),
        stored=done - elsewhere - len(failed),
        already=plan.already + elsewhere,
        failed=(*plan.failed_before, *failed),
        bytes=stored_bytes,
        notes=(*plan.notes, *crowd_note(crowded)),
    )


def _timed(result: ExtractResult, clock: Mapping[str, float], started: float) -> ExtractResult:
    seconds = {**clock, "total": time.monotonic() - started}
    return replace(result, seconds={name: round(value, 3) for name, value in seconds.items()})
