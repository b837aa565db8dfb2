"""An explainer without a model: the rules sort the clues, templates put them into words.

Knows what the rules know and nothing more: whether a voice or a sentence fits a label it cannot say.
"""

from __future__ import annotations

from emo import wording
from emo.config.merr import TEMPLATE_NAME
from emo.merr.cases import VOICE, Case, Finding
from emo.seeds import generator


class TemplateExplainer:
    """Explains every case that it is given."""

    name, told = TEMPLATE_NAME, ""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def explain(self, case: Case) -> Finding:
        """As Explainer; never refuses."""
        rng = generator("merr", self._seed, case.clip_id, "reason")
        fitting = [name for name in case.face if name in case.fitting]
        face = wording.listed([case.face[name] for name in fitting]) or wording.pick(wording.STILL_FACES, rng)
        if not case.tone:
            parts = [wording.pick(wording.FACE_SENTENCES, rng).format(face=face)]
        else:
            templates = wording.BOTH_AGREE if fitting else wording.VOICE_LEADS
            parts = [wording.pick(templates, rng).format(face=face, tone=case.tone)]
        parts += [wording.pick(wording.REASONS[case.label], rng)] if case.label in wording.REASONS else []
        heard = (VOICE,) if case.tone else ()
        return Finding(
            true_clues=(*fitting, *heard),
            false_clues=tuple(name for name in case.face if name not in case.fitting),
            reason=wording.grammatical(" ".join(parts)),
            seems=case.label,
        )
