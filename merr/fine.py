"""The fine set: reasons for the coarse set's labels, and what is taken out again.

Explainers are asked several at a time; what they find is taken in the order of the clips, so the set does not
depend on who answered first. Knows no servers and no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from emo.config.merr import MerrConfig
from emo.merr.cases import Explainer, Finding, Pending, Refusal, case_of
from emo.merr.coarse import Draft
from emo.merr.drops import Drop
from emo.merr.filters import contradiction, neutrals_left_out, over_represented, repeated
from emo.merr.in_order import answered
from emo.merr.verdicts import ACCEPT, Verdict, of_kind
from emo.merr.written import Written, concluded


@dataclass(frozen=True, kw_only=True, slots=True)
class FineSet:
    """The entries, what is not among them and why, and which clips still wait for an answer. `findings` are
    the answers that could be used, `refused` is the number of the others."""

    written: tuple[Written, ...]
    drops: tuple[Drop, ...]
    pending: Mapping[str, str]
    findings: Mapping[str, Finding]
    refused: int


def explain_all(
    drafts: Sequence[Draft],
    explainer: Explainer,
    config: MerrConfig,
    verdicts: Mapping[str, Verdict],
    *,
    concurrency: int = 1,
    on_done: Callable[[int, int, str], None] = lambda done, total, clip_id: None,
) -> FineSet:
    """Reasons for all drafts but the neutral clips that are not drawn, which nobody is asked about."""
    said = of_kind(verdicts, ACCEPT)  # what was rejected is in no draft
    accepted = frozenset(said)
    drops = neutrals_left_out({draft.clip_id: draft.label for draft in drafts}, config, accepted)
    gone = {drop.clip_id for drop in drops}
    chosen = [draft for draft in drafts if draft.clip_id not in gone]
    written: list[Written] = []
    pending: dict[str, str] = {}
    findings: dict[str, Finding] = {}
    answers = answered(chosen, lambda draft: explainer.explain(case_of(draft, config)), concurrency)
    for done, (draft, answer) in enumerate(answers, start=1):
        if isinstance(answer, Pending):
            pending[draft.clip_id] = answer.detail
        elif isinstance(answer, Refusal):
            drops.append(_drop(draft, answer.reason, answer.detail))
        else:
            findings[draft.clip_id] = answer
            entry = concluded(draft, answer, config.seed)
            fault = _fault(entry, config, said)
            if fault:
                drops.append(_drop(draft, *fault))
            else:
                written.append(entry)
        on_done(done, len(chosen), draft.clip_id)
    still = frozenset(
        each.draft.clip_id
        for each in written
        if each.draft.clip_id in said and said[each.draft.clip_id].on(each.draft.caption, each.reason)
    )
    drops += _taken_out(written, config, still)
    gone = {drop.clip_id for drop in drops}
    return FineSet(
        written=tuple(each for each in written if each.draft.clip_id not in gone),
        drops=tuple(drops),
        pending=pending,
        findings=findings,
        refused=len(chosen) - len(findings) - len(pending),
    )


def _fault(entry: Written, config: MerrConfig, verdicts: Mapping[str, Verdict]) -> tuple[str, str] | None:
    """Why an entry cannot stand by itself; what a reviewer accepted can."""
    verdict = verdicts.get(entry.draft.clip_id)
    if verdict is not None and verdict.on(entry.draft.caption, entry.reason):
        return None
    return contradiction(entry.finding.reason, entry, config)


def _taken_out(written: Sequence[Written], config: MerrConfig, accepted: frozenset[str]) -> list[Drop]:
    twins = repeated(written, config, accepted)
    gone = {drop.clip_id for drop in twins}
    labels = {each.draft.clip_id: each.draft.label for each in written if each.draft.clip_id not in gone}
    return [*twins, *over_represented(labels, config, accepted)]


def _drop(draft: Draft, reason: str, detail: str) -> Drop:
    return Drop(clip_id=draft.clip_id, stage="fine", reason=reason, detail=detail)
