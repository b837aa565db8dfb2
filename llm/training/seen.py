"""The clips behind the weights in a run's folder, as clips.json tells them. Knows ids and folders only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.llm.examples import ClipTexts
from emo.run_clips import NAME, read_run_clips, write_run_clips

TRAIN, VAL, START, REPLACED = "train", "val", "start", "replaced"


def clips_seen(
    train: Sequence[ClipTexts], valid: Sequence[ClipTexts], starts: Sequence[Path]
) -> dict[str, list[str]]:
    """Sorted ids of the clips of a run, and of the runs elsewhere that it began with, `starts`."""
    seen = {TRAIN: sorted(clip.clip_id for clip in train), VAL: sorted(clip.clip_id for clip in valid)}
    before = {clip_id for start in starts for clip_id in _all_of(read_run_clips(start))}
    return {**seen, START: sorted(before)} if before else seen


def note_beginning(out: Path, seen: Mapping[str, Sequence[str]]) -> None:
    """Write clips.json of a run that begins or goes on in `out`. Clips of weights of a former run, which lie
    there until new ones are in their place, stay in it as "replaced"."""
    before = _all_of(read_run_clips(out)) if (out / NAME).is_file() else set()
    replaced = before - _all_of(seen)
    write_run_clips(out, {**seen, REPLACED: sorted(replaced)} if replaced else seen)


def _all_of(clips: Mapping[str, Sequence[str]]) -> set[str]:
    return {clip_id for ids in clips.values() for clip_id in ids}
