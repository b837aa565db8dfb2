"""What is taken out of the fine set again, and why: contradictions, repetitions, too many of one label.

Knows texts and labels, never models. What a reviewer accepted stays.

Axes: none; sets of three-word pieces stand for texts.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from emo.config.merr import MerrConfig
from emo.evaluation.reasons import named_clues
from emo.merr.coarse import in_draw_order, unit_name
from emo.merr.drops import Drop
from emo.merr.rules import NEUTRAL
from emo.merr.written import Written
from emo.wording import unit_lexicon

PIECE = 3  # words
LEXICON = unit_lexicon()


def contradiction(text: str, written: Written, config: MerrConfig) -> tuple[str, str] | None:
    """How the reason quarrels with its clip, as (word, detail): another label, a movement never seen.

    A label counts wherever it stands, quoted words among them: what somebody says must not get in that way.
    """
    words = set(re.findall(r"[a-z]+", text.lower()))
    others = sorted(words & (set(config.labels) - {written.draft.label}))
    if others:
        return "names_other_label", f"labelled {written.draft.label}, the reason names {', '.join(others)}"
    there = {unit_name(unit) for unit in (*written.draft.face.seen, *written.draft.face.units)}
    absent = sorted(named_clues(text, LEXICON) - there)
    if absent:
        return "clue_not_there", f"the reason names {', '.join(absent)}, which the face never shows"
    return None


def repeated(written: Sequence[Written], config: MerrConfig, accepted: frozenset[str]) -> list[Drop]:
    """Drops for reasons that share `duplicate_share` of their pieces with one that is kept."""
    dropped: list[Drop] = []
    kept: dict[str, frozenset[str]] = {}
    holders: dict[str, set[str]] = {}
    order = in_draw_order([each.draft.clip_id for each in written], accepted, config.seed, "duplicate")
    reasons = {each.draft.clip_id: each for each in written}
    for clip_id in order:
        own = pieces(reasons[clip_id].finding.reason)
        twin = _nearest(own, kept, holders)
        if twin and twin[1] >= config.duplicate_share and clip_id not in accepted:
            detail = f"shares {twin[1]:.0%} of its pieces with {twin[0]!r}"
            dropped.append(Drop(clip_id=clip_id, stage="fine", reason="duplicate", detail=detail))
            continue
        kept[clip_id] = own
        for piece in own:
            holders.setdefault(piece, set()).add(clip_id)
    return dropped


def over_represented(labels: Mapping[str, str], config: MerrConfig, accepted: frozenset[str]) -> list[Drop]:
    """Drops for labels with more than `most_over_median` times the entries of the median label.

    `labels` are those of the entries by clip id. Neutral clips are drawn by a rule of their own.
    """
    counts = Counter(label for label in labels.values() if label != NEUTRAL)
    if not counts:
        return []
    most = max(1, round(config.most_over_median * statistics.median(counts.values())))
    dropped = []
    for label, count in counts.items():
        own = [clip_id for clip_id, each in labels.items() if each == label]
        for clip_id in in_draw_order(own, accepted, config.seed, "over")[most:]:
            detail = f"{count} entries are {label}, {most} are kept"
            dropped.append(Drop(clip_id=clip_id, stage="fine", reason="over_represented", detail=detail))
    return [drop for drop in dropped if drop.clip_id not in accepted]


def neutrals_left_out(labels: Mapping[str, str], config: MerrConfig, accepted: frozenset[str]) -> list[Drop]:
    """Drops for the neutral clips that are not drawn: as many stay as the other labels have in the mean."""
    counts = Counter(labels.values())
    neutral = [clip_id for clip_id, label in labels.items() if label == NEUTRAL]
    others = [count for label, count in counts.items() if label != NEUTRAL]
    most = round(config.neutral_share * statistics.fmean(others)) if others else len(neutral)
    detail = f"{len(neutral)} clips are neutral, {most} are drawn"
    return [
        Drop(clip_id=clip_id, stage="fine", reason="neutral_not_drawn", detail=detail)
        for clip_id in in_draw_order(neutral, accepted, config.seed, "neutral")[most:]
        if clip_id not in accepted
    ]


def pieces(text: str) -> frozenset[str]:
    """Every three words in a row; a shorter text is one piece."""
    words = re.findall(r"\w+", text.lower())
    if len(words) < PIECE:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[at : at + PIECE]) for at in range(len(words) - PIECE + 1))


def _nearest(
    own: frozenset[str], kept: Mapping[str, frozenset[str]], holders: Mapping[str, set[str]]
) -> tuple[str, float] | None:
    """The kept text that shares the largest part of all pieces (Jaccard), and that part."""
    shared = Counter(name for piece in own for name in holders.get(piece, ()))
    best: tuple[str, float] | None = None
    for name, count in shared.items():
        share = count / (len(own) + len(kept[name]) - count)
        if best is None or (share, name) > (best[1], best[0]):
            best = (name, share)
    return best
