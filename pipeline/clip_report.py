"""One clip as several answer files tell it, with the clues of a rendered corpus or of a clue file.

Reads files and hands them to `evaluation`; asks no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.config.strict import checked
from emo.corpora.merr_files import COARSE, read_entries
from emo.corpora.rendered.clues import LEXICON, clues_of
from emo.errors import ConfigError
from emo.evaluation.answers_table import Cell, Table, read_table, text_of
from emo.evaluation.reasons import ClueTruth
from emo.evaluation.side_by_side import ClipView, Said, mark_clues

LABELS, TEXTS = ("label", "discrete", "emotion"), ("text", "reason", "said")


@dataclass(frozen=True, kw_only=True, slots=True)
class Clues:
    """Phrases by clue, and what is true of a clip."""

    lexicon: Mapping[str, tuple[str, ...]]
    clips: Mapping[str, ClueTruth]


@dataclass(frozen=True, kw_only=True, slots=True)
class _ClipClues:
    clues: tuple[str, ...]
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _ClueFile:
    lexicon: dict[str, tuple[str, ...]]
    clips: dict[str, _ClipClues]


def clues_in(place: Path) -> Clues:
    """Clues of a rendered corpus (the folder of its MERR JSON), or of a JSON file.

    The file is {"lexicon": {clue: [phrase, ...]}, "clips": {clip: {"clues": [...], "also": [...]}}}.
    ConfigError where it is not of this shape.
    """
    if place.is_dir():
        truths = {}
        for clip, entry in read_entries(place / COARSE).items():
            clues, also = clues_of(entry)
            truths[clip] = ClueTruth(label="", clues=clues, also=also)
        return Clues(lexicon=LEXICON, clips=truths)
    try:
        data = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{place}: no clues ({error}). Name a JSON file or a folder of MERR JSON."
        ) from error
    found = checked(_ClueFile, data, str(place))
    unknown = sorted(
        {clue for one in found.clips.values() for clue in (*one.clues, *one.also)} - set(found.lexicon)
    )
    if unknown:
        raise ConfigError(f"{place}: the lexicon has no phrase for {', '.join(unknown)}. Add some.")
    return Clues(
        lexicon=found.lexicon,
        clips={
            clip: ClueTruth(label="", clues=frozenset(one.clues), also=frozenset(one.also))
            for clip, one in found.clips.items()
        },
    )


def view_clip(
    clip: str, truth: Path, answers: Sequence[tuple[str, Path]], clues: Clues | None = None
) -> ClipView:
    """What each of `answers` (name, file) says of `clip`. ConfigError where a file does not have it."""
    row = _row(read_table(truth), clip)
    known = clues.clips.get(clip) if clues else None
    said = []
    for name, path in answers:
        found = _row(read_table(path), clip)
        text = _first(found, TEXTS) or ""
        marks = mark_clues(text, known, clues.lexicon) if clues and known and text else None
        said.append(Said(system=name, label=_first(found, LABELS), text=text, marks=marks))
    return ClipView(
        clip_id=clip,
        label=_first(row, LABELS),
        words=_first(row, ("text",)) or "",
        clues=tuple(sorted(known.clues)) if known else (),
        answers=tuple(said),
    )


def _row(table: Table, clip: str) -> Mapping[str, Cell]:
    if clip not in table.rows:
        raise ConfigError(
            f"{table.path}: no clip {clip!r} among {len(table.rows)}, the first: {next(iter(table.rows))!r}."
        )
    return table.rows[clip]


def _first(row: Mapping[str, Cell], names: Sequence[str]) -> str | None:
    """The first of the named cells that has text."""
    return next((text for name in names if (text := text_of(row.get(name))) is not None), None)
