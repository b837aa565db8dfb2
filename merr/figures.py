"""quality.json: the figures of one build, gathered. Knows what was built, computes nothing itself."""

from __future__ import annotations

from emo.canonical import Json
from emo.merr.built import Built
from emo.merr.drops import counted
from emo.merr.quality import agreement, balance, consistency, label_pairs, shortfalls, texts


def quality_figures(built: Built) -> dict[str, Json]:
    """Agreement of the labels, consistency, variety, balance, drops."""
    speakers = {clip.clip_id: clip.speaker for clip in built.clips}
    seems = {clip_id: finding.seems for clip_id, finding in built.fine.findings.items()}
    given_to = {draft.clip_id: draft.label for draft in built.drafts}
    compared = {
        "rules_and_source": (built.by_rules, built.source),
        "rules_and_manifest": (built.by_rules, built.given),
        "source_and_manifest": (built.source, built.given),
        "coarse_and_manifest": (given_to, built.given),
        "explainer_and_source": (seems, built.source),
    }
    labels: dict[str, Json] = {}
    for name, (first, second) in compared.items():
        both, pairs = label_pairs(first, second)
        labels[name] = agreement(pairs, [speakers[clip_id] for clip_id in both], seed=built.config.seed)
    coarse = [draft.label for draft in built.drafts]
    fine = [each.draft.label for each in built.fine.written]
    target = built.config.per_label
    return {
        "label_agreement": labels,
        "clues_and_texts": consistency(built.fine.written),
        "captions": texts([draft.caption for draft in built.drafts]),
        "reasons": texts([each.reason for each in built.fine.written]),
        "coarse_balance": balance(coarse) if coarse else {},
        "fine_balance": balance(fine) if fine else {},
        "short_of_target": shortfalls(coarse, built.config.labels, target) if target else {},
        "dropped": counted(built.drops),
    }
