"""The coarse set: clips whose face bears their label out, each with a caption made of its clues by templates.

The label comes first, from whichever source the build names; the action units only confirm it (the authors'
own order, Emotion-LLaMA issue 12). Knows no models and no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emo import wording
from emo.canonical import Json
from emo.clip import Clip
from emo.config.merr import MerrConfig
from emo.corpora.merr_files import Entry
from emo.merr.clues import NO_UNITS, ClipClues, Face
from emo.merr.drops import Drop
from emo.merr.rules import EXPRESSIVE, NEUTRAL, rules_for, supported
from emo.records import usable
from emo.seeds import generator

SCALE = 5.0  # OpenFace's intensities run to five, those of the phrases to one
MOST_SUBTITLE = 400  # characters of a subtitle that a caption quotes


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A clip of the coarse set.

    `unit_phrases` name the strongest units of the peak in their order; `tone` is the voice in a word or two
    and `picture` what a model said of the peak's picture, "" where there is none.
    """

    clip_id: str
    label: str
    face: Face
    unit_phrases: Mapping[int, str]
    tone: str
    subtitle: str
    picture: str
    caption: str

    def entry(self) -> Entry:
        """The entry of the coarse file."""
        seen: list[Json] = [unit_name(unit) for unit in self.face.seen]
        at_peak: list[Json] = [unit_name(unit) for unit in self.face.units]
        phrases: list[Json] = list(self.unit_phrases.values())
        return {
            "AU_list": seen,
            "visual_prior_list": phrases,
            "audio_prior_list": tone_clue(self.tone) if self.tone else "",
            "peak_index": str(self.face.peak_frame),
            "peak_AU_list": at_peak,
            "pseu_emotion": self.label,
            "caption": self.caption,
        }


def tone_clue(tone: str) -> str:
    """The voice as a clue."""
    return wording.grammatical(f"speaks in a {tone} tone")


def unit_name(unit: int) -> str:
    """For example AU06."""
    return f"AU{unit:02d}"


def refused(clues: ClipClues, config: MerrConfig) -> Drop | None:
    """Why a clip cannot be in the coarse set by itself; None where it can."""
    face = clues.face
    if face is None:
        kind = "no_action_units" if clues.problem.startswith(NO_UNITS) else "bad_action_units"
        return _drop(clues, kind, clues.problem)
    status = clues.picture.partition(": ")[0]
    if not usable(status, accept_degraded=True):
        return _drop(clues, "media", clues.picture)
    if face.label is None:
        shown = ", ".join(unit_name(unit) for unit in face.units) or "nothing"
        return _drop(clues, "no_label", f"its source gives no label; the face shows {shown}")
    if face.label not in config.labels:
        return _drop(clues, "no_label", f"{face.label!r} is none of the build's labels")
    if not supported(face.evidence, face.label, config):
        return _drop(clues, "face_disagrees", _why(face, face.label, config))
    return None


def write_draft(clip: Clip, clues: ClipClues, tone: str, picture: str, config: MerrConfig) -> Draft:
    """The draft of a clip that was not refused; the same clip and seed give the same words."""
    face = clues.face
    assert face is not None and face.label is not None
    rng = generator("merr", config.seed, clip.clip_id, "caption")
    named = [unit for unit in face.units if unit in wording.UNIT_PHRASES][: wording.UNITS_NAMED]
    phrases = {unit: wording.unit_phrase(unit, face.units[unit] / SCALE, rng) for unit in named}
    shown = wording.listed(list(phrases.values())) or wording.pick(wording.STILL_FACES, rng)
    parts = [picture] if picture else []
    parts.append(wording.pick(wording.FACE_SENTENCES, rng).format(face=shown))
    if tone:
        parts.append(wording.pick(wording.TONE_SENTENCES, rng).format(tone=tone))
    subtitle = plain(clip.text)
    if subtitle:
        parts.append(wording.pick(wording.TEXT_SENTENCES, rng).format(text=subtitle.replace('"', "'")))
    return Draft(
        clip_id=clip.clip_id,
        label=face.label,
        face=face,
        unit_phrases=phrases,
        tone=tone,
        subtitle=subtitle,
        picture=picture,
        caption=wording.grammatical(" ".join(parts)),
    )


def plain(text: str, longest: int = MOST_SUBTITLE) -> str:
    """A text of somebody else on one line, without control characters and at most `longest` long."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:longest]


def capped(
    drafts: Sequence[Draft], config: MerrConfig, accepted: frozenset[str]
) -> tuple[list[Draft], list[Drop]]:
    """The drafts with at most `per_label` of each label, and those left out: a seeded choice in which what a
    reviewer accepted goes first."""
    if not config.per_label:
        return list(drafts), []
    dropped = []
    for label in config.labels:
        own = [draft.clip_id for draft in drafts if draft.label == label]
        for clip_id in in_draw_order(own, accepted, config.seed, "per label")[config.per_label :]:
            detail = f"{len(own)} clips are {label}, {config.per_label} are kept"
            dropped.append(Drop(clip_id=clip_id, stage="coarse", reason="per_label", detail=detail))
    gone = {drop.clip_id for drop in dropped}
    return [draft for draft in drafts if draft.clip_id not in gone], dropped


def in_draw_order(clip_ids: Sequence[str], first: frozenset[str], seed: int, purpose: str) -> list[str]:
    """`clip_ids` in an order that does not depend on which others there are; `first` go first."""

    def place(clip_id: str) -> tuple[bool, float]:
        return clip_id not in first, generator("merr", seed, clip_id, purpose).random()

    return sorted(clip_ids, key=place)


def _why(face: Face, label: str, config: MerrConfig) -> str:
    if label == NEUTRAL:
        shown = [unit_name(unit) for unit in face.units if unit in EXPRESSIVE]
        return f"not neutral: the face shows {', '.join(shown)}"
    if label not in face.evidence:
        return f"the rules {config.rules} have no units for {label}: {', '.join(rules_for(config))}"
    each = face.evidence[label]
    return (
        f"{label}: {each.share:.0%} of its units at a mean of {each.intensity:.2f}, "
        f"{config.least_share:.0%} at {config.least_intensity:.2f} are needed"
    )


def _drop(clues: ClipClues, reason: str, detail: str) -> Drop:
    return Drop(clip_id=clues.clip_id, stage="coarse", reason=reason, detail=detail)
