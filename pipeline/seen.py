"""What of some clips a run was trained on, told by what their features were made of. Opens no media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.cache import Space
from emo.clip import Clip
from emo.evaluation.leaks import Leaks, find_leaks
from emo.pipeline.inputs import words_alone
from emo.records import NO_INPUT
from emo.run_data import read_run_data, seen_clips


def leaks_of(model: Path, clips: Sequence[Clip], spaces: Mapping[str, Space]) -> Leaks:
    """What of `clips` the run in the folder `model` was trained on."""
    return find_leaks(read_run_data(model).clips, seen_clips(clips, media_digests(spaces, clips)))


def media_digests(spaces: Mapping[str, Space], clips: Sequence[Clip]) -> dict[str, str]:
    """SHA-256 of what each clip's features were made of, by clip; the first space that knows a clip tells.

    Features of words alone do not: two clips may have the same words.
    """
    found: dict[str, str] = {}
    for space in spaces.values():
        infos = space.infos()
        for clip in clips:
            info = infos.get(clip.clip_id)
            if info is not None and info.input_sha256 not in (NO_INPUT, words_alone(clip.text)):
                found.setdefault(clip.clip_id, info.input_sha256.hex())
    return found
