"""Views to records: clips through one encoder, which become features or the status that says why not.

Knows no files and no storage.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from emo.cache import Turn
from emo.canonical import Json
from emo.extractors.reading import Reading
from emo.pipeline.plan import EncoderPlan
from emo.records import OK, Array, Record
from emo.views import View, ViewData, ViewProblem

logger = logging.getLogger(__name__)


def records_of(part: EncoderPlan, readings: Sequence[Reading[Turn]]) -> list[Record]:
    """One record a clip, in order. Clips whose views are there go through the encoder together.

    Where that fails they go one by one, so that what breaks an encoder costs one clip.
    """
    records: dict[int, Record] = {}
    seen: dict[int, dict[View, ViewData]] = {}
    for number, reading in enumerate(readings):
        found = {view: reading.views[view] for view in part.encoder.needs}
        problem = next((one for one in found.values() if isinstance(one, ViewProblem)), None)
        if problem is not None:
            records[number] = _without(part, reading, problem.status, problem.reason)
        else:
            seen[number] = {view: one for view, one in found.items() if isinstance(one, ViewData)}
    for number, arrays in zip(seen, _encoded(part, list(seen.values())), strict=True):
        reading = readings[number]
        if isinstance(arrays, Exception):
            logger.warning("%s on %s: %s", part.encoder.spec.encoder, reading.clip.clip_id, arrays)
            records[number] = _without(part, reading, "failed:encoder_error", str(arrays)[:200])
        else:
            records[number] = _record(part, reading, seen[number], arrays)
    return [records[number] for number in range(len(readings))]


def _encoded(
    part: EncoderPlan, batch: Sequence[Mapping[View, ViewData]]
) -> Sequence[Mapping[str, Array] | Exception]:
    if not batch:
        return []
    try:
        return part.encoder.encode(batch)
    except (RuntimeError, ValueError) as error:
        if len(batch) == 1:
            return [error]
    return [one for views in batch for one in _encoded(part, [views])]


def _without(part: EncoderPlan, reading: Reading[Turn], status: str, reason: str) -> Record:
    clip_id = reading.clip.clip_id
    return Record(clip_id=clip_id, status=status, reason=reason, input_sha256=part.inputs[clip_id])


def _record(
    part: EncoderPlan,
    reading: Reading[Turn],
    views: dict[View, ViewData],
    arrays: Mapping[str, Array],
) -> Record:
    degraded = next((data.degraded for data in views.values() if data.degraded), None)
    meta = part.encoder.times(views) | _meta(views)
    if reading.media_seconds is not None:
        meta["media_seconds"] = reading.media_seconds
    return Record(
        clip_id=reading.clip.clip_id,
        status=degraded or OK,
        arrays=arrays,
        input_sha256=part.inputs[reading.clip.clip_id],
        meta=meta,
    )


def _meta(views: Mapping[View, ViewData]) -> dict[str, Json]:
    meta: dict[str, Json] = {}
    flags: list[Json] = []
    for view, data in views.items():
        name = type(view).__name__.removesuffix("View").lower()
        meta[name] = dict(data.meta)
        flags += [flag for flag in data.flags if flag not in flags]
    if flags:
        meta["flags"] = flags
    return meta
