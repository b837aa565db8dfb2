"""Planted truth: what each clip was made to show and say, who its speaker is, and the shares of a corpus.

For checking systems against, never as an input to one: the truth names the class of each modality.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from emo.canonical import Json
from emo.corpora.rendered.planning import PlannedClip

DIGITS = 4


def planted_truth(planned: PlannedClip) -> dict[str, Json]:
    """One line of truth.jsonl: times in seconds, intensities 0..1, tone as in `tone.Tone`."""
    role, plan = planned.role, planned.performance
    row: dict[str, object] = {
        "clip_id": role.clip_id,
        "speaker": role.speaker_id,
        "split": role.split,
        "label": role.label,
        "condition": role.condition,
        "face": plan.face,
        "face_strength": plan.face_strength,
        "voice": plan.voice,
        "voice_strength": plan.voice_strength,
        "weak": list(plan.weak),
        "short": plan.short,
        "duration": plan.duration,
        "peak_frame": planned.peak_frame,
        "movements": [asdict(movement) for movement in plan.movements],
        "blinks": list(plan.blinks),
        "tone": asdict(plan.tone),
    }
    rounded: dict[str, Json] = json.loads(
        json.dumps(row), parse_float=lambda text: round(float(text), DIGITS)
    )
    return rounded


def speaker_records(clips: Sequence[PlannedClip]) -> dict[str, Json]:
    """By speaker: the declared groups and the voice, the split and the number of clips."""
    counts = Counter(planned.role.speaker_id for planned in clips)
    records: dict[str, Json] = {}
    for planned in clips:
        speaker = planned.role.speaker_id
        records[speaker] = {
            **planned.identity.declared(),
            "split": planned.role.split,
            "clips": counts[speaker],
        }
    return records


def corpus_shares(clips: Sequence[PlannedClip]) -> dict[str, Json]:
    """Shares of all clips by label, split, condition, skin group, weak modality and short expression."""
    columns = {
        "label": [planned.role.label for planned in clips],
        "split": [planned.role.split for planned in clips],
        "condition": [str(planned.role.condition) for planned in clips],
        "skin_group": [str(planned.identity.skin_group) for planned in clips],
        "age_look": [str(planned.identity.age_look) for planned in clips],
        "presentation": [str(planned.identity.presentation) for planned in clips],
        "weak": ["+".join(planned.performance.weak) or "none" for planned in clips],
        "short": ["short" if planned.role.short else "not short" for planned in clips],
    }
    return {name: _shares(values) for name, values in columns.items()}


def _shares(values: Sequence[str]) -> dict[str, Json]:
    return {value: round(count / len(values), DIGITS) for value, count in sorted(Counter(values).items())}
