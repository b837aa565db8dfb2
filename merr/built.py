"""What a build made, as files and pages are written from it. Knows how nothing of it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emo.canonical import Json
from emo.clip import Clip
from emo.config.merr import MerrConfig
from emo.merr.clues import ClipClues
from emo.merr.coarse import Draft
from emo.merr.drops import Drop, counted
from emo.merr.fine import FineSet
from emo.rights import DataRights

FAILED = ("media", "bad_action_units", "no_action_units")
Role = Literal["pictures", "voices", "reasons"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelUse:
    """Who did one thing for a build: `name`, what it was `told` of its task ("" where nothing had to be), and
    how many of its answers could be used."""

    role: Role
    name: str
    told: str
    usable: int
    unusable: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """Everything that a build made, in the order of its clips; what files and pages are written from.

    `source` is each clip's label by the source that the build names, `by_rules` what the action units alone
    say, `given` the manifest's. `uses` are those who said something, models or not.
    """

    out: Path
    config: MerrConfig
    clips: Sequence[Clip]
    clues: Mapping[str, ClipClues]
    drafts: Sequence[Draft]
    fine: FineSet
    drops: Sequence[Drop]
    source: Mapping[str, str]
    by_rules: Mapping[str, str]
    given: Mapping[str, str]
    uses: Sequence[ModelUse]
    rights: Sequence[DataRights]
    waiting: Mapping[str, str]

    @property
    def failed(self) -> list[Drop]:
        """Clips that could not be looked at."""
        return [drop for drop in self.drops if drop.reason in FAILED]

    def to_json(self) -> dict[str, Json]:
        """What `emo merr build --json` prints."""
        return {
            "out": str(self.out),
            "clips": len(self.clips),
            "coarse": len(self.drafts),
            "fine": len(self.fine.written),
            "coarse_labels": dict(sorted(Counter(draft.label for draft in self.drafts).items())),
            "fine_labels": dict(sorted(Counter(each.draft.label for each in self.fine.written).items())),
            "dropped": counted(self.drops),
            "failed": [drop.to_json() for drop in self.failed],
            "answers": {use.role: {"usable": use.usable, "unusable": use.unusable} for use in self.uses},
            "pending": dict(self.waiting),
        }
