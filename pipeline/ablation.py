"""The modality ablation on rendered clips: one LLaMA stage per set of modalities, on one base, with controls.

A set without a modality lacks it in training and in prediction: no slot, no projector, no subtitle line.
Choices are made on validation speakers; test speakers are scored once per set. Draws no figure.
Layout of the table: Emotion-LLaMA, table 3 (A audio, V video, T text). `ablation_study` has the cells of
anybody's clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.config.demo import DemoConfig
from emo.evaluation.reasons import ReasonScores
from emo.evaluation.scored import Scored
from emo.labels import MER2023
from emo.llm.recipe import load_recipe
from emo.pipeline.ablation_cells import Cell
from emo.pipeline.demo_steps import (
    CLIPS,
    OnEvent,
    extracted_spaces,
    rendered_clips,
    shuffled_f1,
    texts_and_base,
    train_on_base,
)
from emo.pipeline.score import score_answers, score_rendered_reasons
from emo.pipeline.systems import answer_all, load_system

AUDIO, VIDEO = ("hubert",), ("mae", "videomae", "eva")
SETS = (
    Cell("A", AUDIO, text=False),
    Cell("V", VIDEO, text=False),
    Cell("T", (), text=True),
    Cell("AV", (*AUDIO, *VIDEO), text=False),
    Cell("AVT", (*AUDIO, *VIDEO), text=True),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationRow:
    """One set's LLaMA stage on test speakers.

    `shuffled_f1` is the mean weighted F1 with features permuted among the clips; None where none are read.
    """

    seed: int
    modalities: Cell
    scored: Scored
    shuffled_f1: float | None
    reasons: ReasonScores

    def to_json(self) -> dict[str, Any]:
        """The row as plain JSON."""
        shuffled = None if self.shuffled_f1 is None else round(self.shuffled_f1, 4)
        return {
            "seed": self.seed,
            "set": self.modalities.name,
            "features": list(self.modalities.features),
            "text": self.modalities.text,
            "n": self.scored.scores.n,
            "weighted_f1": round(self.scored.scores.weighted_f1, 4),
            "ci": [round(self.scored.interval.low, 4), round(self.scored.interval.high, 4)],
            "invalid_rate": round(self.scored.scores.invalid_rate, 4),
            "shuffled_weighted_f1": shuffled,
            "reasons": self.reasons.to_json(),
        }


def run_ablation(
    out: Path,
    config: DemoConfig,
    sets: Sequence[Cell] = SETS,
    *,
    jobs: int = 0,
    on_event: OnEvent | None = None,
) -> Iterator[AblationRow]:
    """A row for each of `sets`, as soon as it is scored; the runs are saved under `out/ablation`.

    Clips, features and the base under `out` are the demo's and are kept where they are there already.
    """
    say = on_event or (lambda *_: None)
    clips = rendered_clips(out, config, jobs, say)
    spaces = extracted_spaces(out, clips, config, jobs, say)
    texts, base = texts_and_base(out, clips, config, say)
    test = [clip for clip in clips if clip.split == "test"]
    recipe = load_recipe(config.recipe)
    for one in sets:
        own = {name: spaces[name] for name in one.features}
        run = out / "ablation" / one.name
        for _ in train_on_base(clips, texts, own, base, one.recipe(recipe), run, seed=config.seed, say=say):
            pass  # the events are told by `say`
        system = load_system(run)
        answers = list(answer_all(system, test, own))
        yield AblationRow(
            seed=config.seed,
            modalities=one,
            scored=score_answers(test, answers, MER2023, seed=config.seed),
            shuffled_f1=shuffled_f1(system, test, own, permutations=config.shuffles) if own else None,
            reasons=score_rendered_reasons(test, answers, out / CLIPS, MER2023, seed=config.seed),
        )
