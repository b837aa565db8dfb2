"""An entry of the fine set: a draft with the reasons that somebody found for its label."""

from __future__ import annotations

from dataclasses import dataclass

from emo import wording
from emo.corpora.merr_files import Entry
from emo.merr.cases import Finding
from emo.merr.coarse import Draft
from emo.seeds import generator


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A draft, what was found, and the reason as it stands in the file: the conclusion is always ours."""

    draft: Draft
    finding: Finding
    reason: str

    def entry(self) -> Entry:
        """The entry of the fine file."""
        return {**self.draft.entry(), "text": self.draft.subtitle, "smp_reason_caption": self.reason}


def concluded(draft: Draft, finding: Finding, seed: int) -> Written:
    """The finding with a last sentence that names the draft's label."""
    rng = generator("merr", seed, draft.clip_id, "conclusion")
    conclusion = wording.pick(wording.CONCLUSIONS, rng).format(label=draft.label)
    return Written(draft=draft, finding=finding, reason=f"{finding.reason.rstrip()} {conclusion}")
