"""What several systems say of one clip, beside the truth, with each clue marked.

A clue is named by exact phrases, see `reasons`. Knows texts and clues, never models or media.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emo.evaluation.reasons import ClueTruth, named_clues
from emo.evaluation.report import Answer, Report


@dataclass(frozen=True, kw_only=True, slots=True)
class ClueMarks:
    """Clues of one text: named and true, named and not true, written down by the annotator and not named."""

    supported: tuple[str, ...]
    unsupported: tuple[str, ...]
    missed: tuple[str, ...]

    def lines(self) -> dict[str, str]:
        """The three lists as text, a dash for an empty one."""
        return {
            name: ", ".join(clues) or "-"
            for name, clues in (
                ("supported", self.supported),
                ("unsupported", self.unsupported),
                ("missed", self.missed),
            )
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One system's answer; `label` None named no label, `marks` None where no clues are known."""

    system: str
    label: str | None
    text: str = ""
    marks: ClueMarks | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipView:
    """A clip with its true label, the words said in it and its true clues, and the answers of N systems."""

    clip_id: str
    label: str | None
    words: str
    clues: tuple[str, ...]
    answers: tuple[Said, ...]

    def to_json(self) -> dict[str, object]:
        """Everything, answers by system."""
        return {
            "clip_id": self.clip_id,
            "label": self.label,
            "text": self.words,
            "clues": list(self.clues),
            "answers": {
                said.system: {
                    "label": said.label,
                    "text": said.text,
                    "clues": None
                    if said.marks is None
                    else {
                        "supported": list(said.marks.supported),
                        "unsupported": list(said.marks.unsupported),
                        "missed": list(said.marks.missed),
                    },
                }
                for said in self.answers
            },
        }


def mark_clues(text: str, truth: ClueTruth, lexicon: Mapping[str, Sequence[str]]) -> ClueMarks:
    """The clues that `text` names or leaves out, in alphabetical order."""
    named = named_clues(text, lexicon)
    return ClueMarks(
        supported=tuple(sorted(named & (truth.clues | truth.also))),
        unsupported=tuple(sorted(named - truth.clues - truth.also)),
        missed=tuple(sorted(truth.clues - named)),
    )


def view_text(view: ClipView) -> str:
    """The view for a terminal."""
    lines = [f"{view.clip_id}: truly {view.label or 'of no label'}"]
    if view.words:
        lines.append(f"  said in the clip: {view.words}")
    if view.clues:
        lines.append(f"  clues: {', '.join(view.clues)}")
    for said in view.answers:
        lines.append(f"{said.system}: {said.label or 'no label'}{_verdict(view, said)}")
        if said.text:
            lines.append(f"  {said.text}")
        if said.marks is not None:
            lines += [f"  {name}: {clues}" for name, clues in said.marks.lines().items()]
    return "\n".join(lines) + "\n"


def view_report(view: ClipView) -> Report:
    """The view as a page: a card for each system."""
    report = Report(f"Clip {view.clip_id}", f"{len(view.answers)} systems beside the truth")
    report.section("The truth").numbers({"true label": view.label or "none"})
    if view.words:
        report.text(f"Said in the clip: {view.words}")
    if view.clues:
        report.text(f"Clues written down: {', '.join(view.clues)}")
    report.section(
        "The answers",
        "Supported: named and true of the clip. Missed: written down by the annotator, not named.",
    )
    return report.answers(
        [
            Answer(
                clip_id=said.system,
                truth=view.label,
                predicted=said.label,
                text=said.text,
                details=said.marks.lines() if said.marks else {},
            )
            for said in view.answers
        ]
    )


def _verdict(view: ClipView, said: Said) -> str:
    if view.label is None:
        return ""
    return ", right" if said.label == view.label else ", wrong"
