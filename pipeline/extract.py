"""The extract loop: clips to views, once a clip, to every encoder that wants them, to the cache.

Decoding runs ahead in worker processes; encoding and writing stay in this one. A clip that cannot give a
feature gets a status, and nothing else is lost. Resuming is the default: what is stored is not done again.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emo.cache import Elsewhere, SharedWork, SpaceWriter, Turn, Wanted, open_cache
from emo.canonical import Json
from emo.clip import Clip
from emo.config.cache import Durability
from emo.config.extract import DEFAULTS, MediaLimits
from emo.corpora.aligned_faces import with_aligned_faces
from emo.corpora.manifest import clips_in
from emo.digests import StatCache
from emo.errors import ConfigError
from emo.extractors import make_encoder
from emo.extractors.reading import Asked, Reading, read_ahead
from emo.extractors.weights import rehash_weights
from emo.pipeline.canary import check_canary
from emo.pipeline.plan import (
    EncoderPlan,
    ExtractPlan,
    Failure,
    alignment_notes,
    augmented_too,
    make_plan,
    with_faces,
)
from emo.records import OK, FeatureSink, Record, usable
from emo.rights import DataRights
from emo.views import Encoder, FacesView, View, ViewData, ViewProblem

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractProgress:
    """After each clip: pairs done and asked for in this run, and what failed.

    `elsewhere` counts the pairs among those done that another process stored in the meantime.
    """

    done: int
    total: int
    clip_id: str
    failures: tuple[Failure, ...] = ()
    elsewhere: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractResult:
    """Counts of clip and encoder pairs; stored + already + len(failed) = clips x encoders."""

    clips: int
    stored: int
    already: int
    failed: tuple[Failure, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The object that `emo extract --json` prints."""
        return asdict(self)


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
    jobs: int = 0,
    retry_failed: bool = False,
    redo: bool = False,
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

    `clips` is a folder, a media file, a manifest or a list of Clip; `encoders` are names such as `hubert` or
    `hubert@merbench`, of `preset` where they name none; `layers` asks each for one feature a layer;
    `views` are augmented views for training, such as `noise@10dB` and `flip`, stored beside the plain ones;
    `faces` changes which faces encoders look at, such as `{"policy": "active"}`;
    `aligned_faces` is a folder of OpenFace's faces for clips that name none.
    `jobs` is the number of decoding processes (0: one a core); `limits` is what a file may claim and cost.
    `rehash` reads media and weights again that look unchanged. `rights` says what data the clips are of; the
    cache keeps it, and without it what the cache says already goes for these clips too. `dry_run` stops
    after the plan. `on_plan` is called once before any work, `on_progress` after each clip.

    Raises ConfigError for unusable settings and for a place without media, CheckpointError where weights are
    missing.
    """
    started = time.monotonic()
    plan = _planned(
        clips,
        encoders,
        cache,
        preset,
        rehash,
        layers,
        views,
        faces,
        aligned_faces,
        retry_failed=retry_failed,
        redo=redo,
        replace_changed=replace_changed,
        limits=limits,
    )
    if on_plan:
        on_plan(plan)
    if rights is not None and not dry_run:
        open_cache(cache, "a").unite([rights])
    clock = {"plan": time.monotonic() - started, "decode": 0.0, "encode": 0.0, "write": 0.0}
    work = () if dry_run else run_plan(plan, jobs=jobs, durability=durability, limits=limits, clock=clock)
    result = _counted(plan, work, on_progress)
    clock["total"] = time.monotonic() - started
    return replace(result, seconds={name: round(value, 3) for name, value in clock.items()})


def _planned(
    clips: str | os.PathLike[str] | Sequence[Clip],
    encoders: Sequence[str],
    cache: str | os.PathLike[str],
    preset: str,
    rehash: bool,
    layers: Sequence[int],
    views: Sequence[str],
    faces: Mapping[str, str],
    aligned_faces: str | os.PathLike[str] | None,
    **choices: Any,
) -> ExtractPlan:
    """What there is to do; `choices` as `make_plan` takes them."""
    chosen, ignored = clips_in(Path(clips)) if isinstance(clips, str | os.PathLike) else (clips, 0)
    if isinstance(clips, str | os.PathLike) and not chosen:
        passed_over = f": {ignored} other files ignored" if ignored else ""
        raise ConfigError(f"no media found in {os.fspath(clips)}{passed_over}. Name a folder of clips.")
    if aligned_faces is not None:
        chosen = with_aligned_faces(chosen, Path(aligned_faces))
    store = open_cache(cache, mode="a")
    if rehash:
        rehash_weights()
    files = StatCache(Path(f"{os.fspath(cache)}.journal") / "media-digests.jsonl", rehash=rehash)
    asked = [_made(name, preset, layers, faces) for name in encoders]
    made, notes = augmented_too(asked, views)
    plan = make_plan(chosen, made, store, files, ignored=ignored, **choices)
    return replace(plan, notes=(*notes, *alignment_notes(asked)))


def _made(name: str, preset: str, layers: Sequence[int], faces: Mapping[str, str]) -> Encoder:
    """The encoder, looking at other faces than its preset's where it looks at faces."""
    encoder = make_encoder(name, preset=preset, layers=layers)
    usual = next((view for view in encoder.needs if isinstance(view, FacesView)), None)
    if not faces or usual is None:
        return encoder
    return make_encoder(name, preset=preset, layers=layers, faces=with_faces(usual, faces))


def _counted(
    plan: ExtractPlan,
    work: Iterable[ExtractProgress],
    on_progress: Callable[[ExtractProgress], None] | None,
) -> ExtractResult:
    """The result of `work` on the plan, told of clip by clip."""
    done = elsewhere = 0
    failed: list[Failure] = []
    for progress in work:
        done, elsewhere = progress.done, progress.elsewhere
        failed += progress.failures
        if on_progress:
            on_progress(progress)
    return ExtractResult(
        clips=len(plan.clips),
        stored=done - elsewhere - len(failed),
        already=plan.already + elsewhere,
        failed=(*plan.failed_before, *failed),
    )


def run_plan(
    plan: ExtractPlan,
    *,
    jobs: int = 0,
    durability: Durability = "batch",
    limits: MediaLimits = DEFAULTS,
    clock: dict[str, float],
) -> Iterator[ExtractProgress]:
    """Encode and store what the plan has to do; yields after each clip. `clock` gathers seconds by step.

    What another live process works on is left to it, and done here if it goes without storing it.
    """
    if not plan.to_do:
        return
    parts = {part.space.name: part for part in plan.parts if part.to_do}
    writers = {name: part.space.writer(durability=durability) for name, part in parts.items()}
    tally = _Tally(plan)
    checked: set[str] = set()  # spaces whose canary sang as it did when they were made
    with ExitStack() as stack:
        work = stack.enter_context(SharedWork([_wanted(parts[name], writers[name]) for name in parts]))
        for writer in writers.values():
            stack.enter_context(writer)
        for turns in work.rounds():
            for read in stack.enter_context(closing(_readings(plan, turns, jobs, limits))):
                clock["decode"] += read.seconds
                turn, failures = read.key, []
                for name in sorted(turn.spaces, key=list(parts).index):
                    record = _encode(parts[name], read.clip, read.views, clock)
                    if record.arrays and name not in checked:
                        check_canary(parts[name].encoder, parts[name].space)
                        checked.add(name)
                    failure = _store(writers[name], parts[name], record, clock)
                    if failure is not None:
                        failures.append(failure)
                work.done(turn)
                yield tally.after(turn, failures, work.elsewhere())
        yield from tally.rest(work.elsewhere())


def _wanted(part: EncoderPlan, writer: SpaceWriter) -> Wanted:
    return Wanted(part.space, writer, {clip_id: part.inputs[clip_id] for clip_id in part.to_do})


class _Tally:
    """What is done so far, by this process and by others."""

    def __init__(self, plan: ExtractPlan) -> None:
        self._encoders = {part.space.name: part.encoder.spec.encoder for part in plan.parts}
        self._total, self._done, self._elsewhere = plan.to_do, 0, 0

    def after(
        self, turn: Turn, failures: Sequence[Failure], elsewhere: Sequence[Elsewhere]
    ) -> ExtractProgress:
        self._done += len(turn.spaces)
        return self._progress(turn.clip_id, failures, elsewhere)

    def rest(self, elsewhere: Sequence[Elsewhere]) -> Iterator[ExtractProgress]:
        if elsewhere:
            yield self._progress(elsewhere[-1].clip_id, (), elsewhere)

    def _progress(
        self, clip_id: str, failures: Sequence[Failure], elsewhere: Sequence[Elsewhere]
    ) -> ExtractProgress:
        bad = [one for one in elsewhere if not usable(one.status, accept_degraded=True)]
        self._done += len(elsewhere)
        self._elsewhere += len(elsewhere) - len(bad)
        theirs = [
            Failure(
                clip_id=one.clip_id,
                encoder=self._encoders[one.space],
                status=one.status,
                reason="as another process found",
            )
            for one in bad
        ]
        return ExtractProgress(
            done=self._done,
            total=self._total,
            clip_id=clip_id,
            failures=(*failures, *theirs),
            elsewhere=self._elsewhere,
        )


def _readings(
    plan: ExtractPlan, turns: Iterable[Turn], jobs: int, limits: MediaLimits
) -> Generator[Reading[Turn], None, None]:
    """What each turn needs of its clip, read ahead in limited processes."""
    clips = {clip.clip_id: clip for clip in plan.clips}
    needs = {part.space.name: part.encoder.needs for part in plan.parts}
    asked = (
        Asked(
            key=turn,
            clip=clips[turn.clip_id],
            views=frozenset[View]().union(*(needs[name] for name in turn.spaces)),
        )
        for turn in turns
    )
    return read_ahead(asked, limits, jobs=jobs)


def _encode(
    part: EncoderPlan, clip: Clip, views: dict[View, ViewData | ViewProblem], clock: dict[str, float]
) -> Record:
    """One clip through one encoder. One at a time on a CPU: values never depend on a clip's neighbours."""
    digest = part.inputs[clip.clip_id]
    got: dict[View, ViewData] = {}
    for view in part.encoder.needs:
        found = views[view]
        if isinstance(found, ViewProblem):
            return Record(clip_id=clip.clip_id, status=found.status, reason=found.reason, input_sha256=digest)
        got[view] = found
    started = time.monotonic()
    try:
        arrays = part.encoder.encode([got])[0]
    except (RuntimeError, ValueError) as error:
        logger.warning("%s on %s: %s", part.encoder.spec.encoder, clip.clip_id, error)
        return Record(
            clip_id=clip.clip_id, status="failed:encoder_error", reason=str(error)[:200], input_sha256=digest
        )
    finally:
        clock["encode"] += time.monotonic() - started
    degraded = next((data.degraded for data in got.values() if data.degraded), None)
    return Record(
        clip_id=clip.clip_id,
        status=degraded or OK,
        arrays=arrays,
        input_sha256=digest,
        meta=part.encoder.times(got) | _meta(got),
    )


def _meta(views: dict[View, ViewData]) -> dict[str, Json]:
    meta: dict[str, Json] = {}
    flags: list[Json] = []
    for view, data in views.items():
        name = type(view).__name__.removesuffix("View").lower()
        meta[name] = dict(data.meta)
        flags += [flag for flag in data.flags if flag not in flags]
    if flags:
        meta["flags"] = flags
    return meta


def _store(writer: FeatureSink, part: EncoderPlan, record: Record, clock: dict[str, float]) -> Failure | None:
    started = time.monotonic()
    stored = writer.put(record)
    clock["write"] += time.monotonic() - started
    if usable(stored.status, accept_degraded=True):
        return None
    return Failure(
        clip_id=record.clip_id,
        encoder=part.encoder.spec.encoder,
        status=stored.status,
        reason=stored.reason,
    )
