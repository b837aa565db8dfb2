"""README.md of a build: what the set was made from and how, what is in it, what it must not be used for."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from emo.canonical import Json
from emo.evaluation.tables import escaped
from emo.merr.built import Built
from emo.merr.clues import RECIPE_VERSION

NOTE = (
    "Labels and reasons were made by rules and models from faces, voices and words. They say how somebody "
    "looks and sounds in a clip, not what that person feels. Do not use them to judge people."
)


def card_text(built: Built, figures: Mapping[str, Json]) -> str:
    """The card as Markdown."""
    lines = ["# Emotion-reasoning data set", "", NOTE, ""]
    lines += ["## Source", "", f"{len(built.clips)} clips; labels from {_source(built)}.", ""]
    lines += _rights(built)
    lines += ["## Made by", "", f"`emo merr build`, clue recipe {RECIPE_VERSION}.", ""]
    lines += _table(
        ("setting", "value"), {name: _shown(value) for name, value in asdict(built.config).items()}
    )
    lines += _models(built)
    lines += ["## Counts", ""]
    coarse = Counter(draft.label for draft in built.drafts)
    fine = Counter(each.draft.label for each in built.fine.written)
    rows = {label: (coarse[label], fine[label]) for label in built.config.labels}
    rows["all"] = (coarse.total(), fine.total())
    lines += _table(("label", "coarse", "fine"), rows)
    lines += ["## Left out", "", "One line a clip in `drops.jsonl`.", ""]
    for stage, counts in cast(Mapping[str, Mapping[str, Json]], figures["dropped"]).items():
        lines += _table((f"{stage}: reason", "clips"), dict(counts)) if counts else [f"{stage}: none.", ""]
    if built.waiting:
        lines += [f"{len(built.waiting)} clips still wait for an answer; the same command goes on.", ""]
    lines += ["## Quality", "", "Shares with their 95 % bootstrap interval over speakers.", ""]
    lines += _table(("labels that agree", "n", "share", "interval"), _agreements(figures))
    lines += (
        _figures("captions", figures) + _figures("reasons", figures) + _figures("clues_and_texts", figures)
    )
    return "\n".join(lines).rstrip() + "\n"


def _source(built: Built) -> str:
    names = {"au": f"the action units by the rules {built.config.rules}", "given": "the manifest"}
    return names.get(built.config.labels_from, "a trained head")


def _models(built: Built) -> list[str]:
    """Who wrote what, and in full what each model was told: only the same words give comparable answers."""
    rows: dict[str, tuple[Json, ...]] = {use.role: (use.name, use.usable, use.unusable) for use in built.uses}
    lines = (
        _table(("of", "by", "answers used", "not usable"), rows) if rows else ["No model, no reasons.", ""]
    )
    if not any(use.role == "voices" for use in built.uses):
        lines += ["Voices are put into words from their sound: pitch, loudness, tempo, melody.", ""]
    for use in built.uses:
        if use.told:
            digest = hashlib.sha256(use.told.encode()).hexdigest()
            lines += [f"Who wrote of {use.role} was told (SHA-256 `{digest}`):", "", f"> {use.told}", ""]
    return lines


def _rights(built: Built) -> list[str]:
    if not built.rights:
        return ["Licence of the clips: not recorded. Whoever passes this set on must know it.", ""]
    return [f"- {each.name}: {each.licence}" for each in built.rights] + [""]


def _agreements(figures: Mapping[str, Json]) -> dict[str, tuple[Json, ...]]:
    rows: dict[str, tuple[Json, ...]] = {}
    for name, value in cast(Mapping[str, Mapping[str, Json]], figures["label_agreement"]).items():
        if value["n"]:
            low, high = cast(list[Json], value["ci"])
            rows[name.replace("_", " ")] = (value["n"], value["share"], f"{low} to {high}")
    return rows


def _figures(name: str, figures: Mapping[str, Json]) -> list[str]:
    values = cast(Mapping[str, Json], figures[name])
    shown = {key.replace("_", " "): value for key, value in values.items() if value is not None}
    return _table((name.replace("_", " "), "value"), shown)


def _shown(value: object) -> Json:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else cast(Json, value)


def _table(header: tuple[str, ...], rows: Mapping[str, Json | tuple[Json, ...]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    for name, value in rows.items():
        cells = value if isinstance(value, tuple) else (value,)
        lines.append("| " + " | ".join(escaped(str(cell)) for cell in (name, *cells)) + " |")
    return [*lines, ""]
