"""What an explainer is asked and what it may answer, whoever it is: a case of clues, a label, and a finding.

The label is given and stays given: an answer can be refused, never believed about it. Knows no models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emo.config.merr import MerrConfig
from emo.merr.coarse import Draft, tone_clue
from emo.merr.rules import NEUTRAL, rules_for

VOICE = "voice"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A clip to be explained.

    `face` maps a clue's name, such as AU06, to its phrase; `fitting` are those that the rules count towards
    the label, and all of them where it is neutral.
    """

    clip_id: str
    label: str
    labels: tuple[str, ...]
    face: Mapping[str, str]
    fitting: frozenset[str]
    tone: str
    subtitle: str
    picture: str

    def clues(self) -> dict[str, str]:
        """Every clue by name, the voice among them."""
        return {**self.face, **({VOICE: tone_clue(self.tone)} if self.tone else {})}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """An accepted answer: which clues count, which do not, why, and what label they would suggest alone."""

    true_clues: tuple[str, ...]
    false_clues: tuple[str, ...]
    reason: str
    seems: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An answer that is not accepted, by the word that a drop records."""

    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """No answer yet, such as from a server that is down: the same command asks again."""

    detail: str


class Explainer(Protocol):
    """Explains cases; `name`, and what it is `told` of its task, go into the card of the data set. Safe to
    call from several threads."""

    name: str
    told: str

    def explain(self, case: Case) -> Finding | Refusal | Pending:
        """What is made of one case. RightsError and ConfigError end the build, nothing else does."""


class Teller(Protocol):
    """Says what pictures show, or how voices sound; `name` and `told` as in Explainer, threads too."""

    name: str
    told: str

    def tell(self, media: Path) -> str | Pending:
        """Words about a JPEG or a WAV, "" where what was answered cannot be used."""


def case_of(draft: Draft, config: MerrConfig) -> Case:
    """The case of a draft."""
    units = rules_for(config).get(draft.label, ())
    face = {f"AU{unit:02d}": phrase for unit, phrase in draft.unit_phrases.items()}
    fitting = face if draft.label == NEUTRAL else [f"AU{unit:02d}" for unit in units]
    return Case(
        clip_id=draft.clip_id,
        label=draft.label,
        labels=config.labels,
        face=face,
        fitting=frozenset(fitting) & frozenset(face),
        tone=draft.tone,
        subtitle=draft.subtitle,
        picture=draft.picture,
    )
