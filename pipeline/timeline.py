"""A long video answered for, piece by piece: divided, extracted and asked like any clips.

Each segment is a clip that cuts the video, so its features stay in the cache and a second run is quick. Knows
neither how a video is divided nor what the result is written as.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emo.cache import Space
from emo.clip import Clip
from emo.config.extract import DEFAULTS as LIMITS
from emo.config.extract import MediaLimits
from emo.config.timeline import DEFAULTS, TimelineConfig
from emo.errors import ConfigError
from emo.extractors.segments import Segment, divided
from emo.extractors.shots import shot_cuts
from emo.extractors.voiced import Stretch, voiced_stretches
from emo.pipeline.answer_file import AnswerFile
from emo.pipeline.answer_identity import DIGITS, clip_digest
from emo.pipeline.answering import Answering
from emo.pipeline.predict import Prepared
from emo.pipeline.survey import LEVEL, Progress, Survey, survey
from emo.records import OK

SCHEMA_VERSION = 1  # of the rows of answers.jsonl and of timeline.json
SURVEY, ANSWERS = "survey.jsonl", "answers.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Divided:
    """A video and the segments it was divided into; `clips` are their cuts, in the same order."""

    video: Clip
    survey: Survey
    voice: tuple[Stretch, ...]
    cuts: tuple[float, ...]
    segments: tuple[Segment, ...]
    clips: tuple[Clip, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A segment with what was said of it.

    `status` is `ok`, else the first status of its features that failed, or that is missing where there is no
    feature at all. `problems` has status and reason of each feature that is not there. `answer` is the JSON
    of an Answer, None where there was nothing to answer from.
    """

    segment: Segment
    clip_id: str
    status: str
    problems: Mapping[str, str]
    answer: Mapping[str, Any] | None

    @property
    def failed(self) -> bool:
        """Whether a feature could not be made, rather than not being there to be had."""
        return self.status.startswith("failed:")


def divide(
    video: Path,
    config: TimelineConfig = DEFAULTS,
    *,
    kept: Path | None = None,
    limits: MediaLimits = LIMITS,
    jobs: int = 0,
    on_progress: Progress | None = None,
) -> Divided:
    """Divide `video` at its shots and where a voice begins or ends; arguments and errors as `survey`.

    ConfigError also for settings that do not go together, and where the video is shorter than a segment.
    """
    if mistakes := config.mistakes():
        raise ConfigError(*mistakes)
    clip = Clip(clip_id=video.stem, path=video)
    found = survey(clip, config, kept=kept, limits=limits, jobs=jobs, on_progress=on_progress)
    if found.seconds < config.shortest:
        raise ConfigError(
            f"{video} lasts {found.seconds:.2f} s; a segment is {config.shortest:g} s at least. "
            f"Ask for it as one clip: emo predict {video}"
        )
    voice = tuple(voiced_stretches(*found.levels, LEVEL.hop, config))
    cuts = tuple(shot_cuts(*found.changes, config))
    segments = tuple(divided(0.0, round(found.seconds, 3), cuts, voice, config))
    clips = tuple(
        replace(
            clip,
            clip_id=f"{clip.clip_id}@{clock(one.start)}-{clock(one.end)}",
            start=one.start,
            end=one.end,
            group=clip.clip_id,
        )
        for one in segments
    )
    return Divided(video=clip, survey=found, voice=voice, cuts=cuts, segments=segments, clips=clips)


def answer_segments(
    whole: Divided,
    ready: Prepared,
    path: Path,
    run: str,
    *,
    reasons: bool = True,
    abstain_below: float = 0.0,
    on_progress: Progress | None = None,
) -> list[Answered]:
    """Every segment with its answer, from the features that are `ready`.

    Answers are written to `path` as they are given, and those that are there already by the same `run` are
    kept. A segment without any feature is not asked. ConfigError as `AnswerFile.go_on`.
    """
    problems = {clip.clip_id: _problems(clip, ready.spaces) for clip in ready.clips}
    known = [clip for clip in ready.clips if len(problems[clip.clip_id]) < len(ready.spaces)]
    inputs = {clip.clip_id: clip_digest(clip, ready.spaces)[:DIGITS] for clip in known}
    with AnswerFile(path) as file:
        done = file.go_on(run, inputs)
        todo = [clip for clip in known if clip.clip_id not in done]
        asked = Answering(ready=ready, todo=todo, run=run, inputs=inputs)
        answers = asked.rows(reasons=reasons, abstain_below=abstain_below)
        for number, (shown, row) in enumerate(answers, start=len(known) - len(todo) + 1):
            file.write({"schema_version": SCHEMA_VERSION, **row})
            if on_progress:
                on_progress(number, len(known), shown.clip_id)
    rows = dict(_rows(path, inputs))
    return [
        Answered(
            segment=segment,
            clip_id=clip.clip_id,
            status=_status(problems[clip.clip_id], ready.spaces),
            problems=problems[clip.clip_id],
            answer=rows.get(clip.clip_id),
        )
        for segment, clip in zip(whole.segments, ready.clips, strict=True)
    ]


def clock(seconds: float, point: str = ".") -> str:
    """`01:02:03.456`: hours, minutes, seconds and thousandths."""
    whole = round(seconds * 1000)
    minutes, rest = divmod(whole, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _problems(clip: Clip, spaces: Mapping[str, Space]) -> dict[str, str]:
    found = {}
    for name, space in spaces.items():
        info = space.info(clip.clip_id)
        if info is None:
            found[name] = "missing: it is not in the cache"
        elif info.status != OK:
            found[name] = f"{info.status}: {info.reason}" if info.reason else info.status
    return found


def _status(problems: Mapping[str, str], names: Collection[str]) -> str:
    statuses = [":".join(problem.split(":")[:2]) for problem in problems.values()]
    failed = [status for status in statuses if status.startswith("failed:")]
    if failed:
        return failed[0]
    return statuses[0] if len(problems) == len(names) else OK


def _rows(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as stream:
        for row in map(json.loads, stream):
            if row["clip_id"] in wanted:
                yield row["clip_id"], row
