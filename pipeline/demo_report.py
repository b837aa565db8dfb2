"""The demo's report.html: what was rendered, how well it was read, clips that play beside their answers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from emo.clip import Clip
from emo.config.demo import DemoConfig
from emo.evaluation.figures import confusion_figure, curves_figure, png_bytes
from emo.evaluation.report import Answer as AnswerCard
from emo.evaluation.report import Report
from emo.evaluation.tables import HEADERS, Result, per_class_rows, result_rows
from emo.extractors.reading import read_views_limited
from emo.llm.training.events import StepDone, Validated
from emo.pipeline.answers import Answer
from emo.pipeline.demo_result import DemoResult
from emo.views import FrameView, ViewData

NOTES = (
    "These people are drawn by a program and their feelings are planted. The encoders are the tiny preset, "
    "trained on other drawn people. Every figure here is a check that the pipeline works and says nothing "
    "about real emotion.",
    "The LLaMA behind the answers is small and was pre-trained on the wording of this corpus' texts.",
)
WORDS = {
    "names_label": "reasons whose last label is the one they explain",
    "clue_precision": "clues named that are there",
    "clue_recall": "clues there that are named",
    "clue_f1": "clue F1",
    "repetition": "4-grams said before in the same reason",
}


def write_report(result: DemoResult, out: Path) -> Path:
    """Write `report.html` into `out`, with everything inside."""
    config = result.config
    report = Report(
        "emo demo",
        f"{config.clips} rendered clips, seed {config.seed}, preset {config.preset}; "
        f"{result.head.scores.n} test clips of {len(set(result.head.speakers))} held-out speakers",
        NOTES,
    )
    _summary(report, result)
    _corpus(report, out)
    _confusions(report, result)
    _reasons(report, result)
    _training(report, result)
    _examples(report, result, out)
    return report.write(out / "report.html")


def _summary(report: Report, result: DemoResult) -> None:
    report.section("Results", "Test speakers were seen by nothing that was trained or chosen.")
    report.numbers(
        {
            "fusion head, weighted F1": f"{result.head.scores.weighted_f1:.3f}",
            "LLaMA stage, weighted F1": f"{result.llm.scores.weighted_f1:.3f}",
            "head, features shuffled": f"{result.shuffled['head_weighted_f1']:.3f}",
            "invalid answers": f"{result.llm.scores.invalid_rate:.1%}",
            "reasons that name their label": f"{result.reasons.names_label.point:.1%}",
            "seconds": f"{result.seconds['total']:.0f}",
        }
    )
    rows = [
        Result(f"fusion head ({result.head_name})", result.head.scores, result.head.interval),
        Result("LLaMA stage, generated label", result.llm.scores, result.llm.interval),
        *(Result(f"{name} alone", one.scores, one.interval) for name, one in result.unimodal.items()),
    ]
    report.table(HEADERS, result_rows(rows), "Intervals: 95 %, bootstrap over speakers.")
    report.table(
        ("control", "weighted F1"),
        [
            ("head, features shuffled between clips", f"{result.shuffled['head_weighted_f1']:.3f}"),
            ("LLaMA, features shuffled between clips", f"{result.shuffled['llm_weighted_f1']:.3f}"),
            ("majority class", f"{result.majority_f1:.3f}"),
        ],
        f"Shuffled: mean over {result.config.shuffles} permutations of the test clips.",
    )
    report.table(
        ("fusion minus", "difference", "95 % interval"),
        [
            (name, f"{gain.value:+.3f}", f"{gain.low:+.3f} to {gain.high:+.3f}")
            for name, gain in result.gains.items()
        ],
        "Paired bootstrap over speakers.",
    )
    report.table(("step", "seconds"), [(name, f"{value:.1f}") for name, value in result.seconds.items()])


def _corpus(report: Report, out: Path) -> None:
    report.section("The clips", "Peak frames of some rendered clips, with label and speaker.")
    report.images(((out / "clips" / "contact_sheet.png").read_bytes(), "contact sheet"))


def _confusions(report: Report, result: DemoResult) -> None:
    report.section("Who is taken for whom")
    report.images(
        (png_bytes(confusion_figure(result.head.scores, "fusion head")), "fusion head, test speakers"),
        (png_bytes(confusion_figure(result.llm.scores, "LLaMA stage")), "LLaMA stage, test speakers"),
    )
    report.table(
        ("class", "n", "precision", "recall", "F1"), per_class_rows(result.llm.scores), "LLaMA stage by class"
    )


def _reasons(report: Report, result: DemoResult) -> None:
    reasons = result.reasons
    report.section(
        "Reasons",
        "Which planted clues the reasons name, by exact phrases: whether a reason looks at its clip, not "
        "whether it convinces.",
    )
    rows = [
        (WORDS[each.metric], f"{each.point:.3f}", f"{each.low:.3f} to {each.high:.3f}")
        for each in reasons.intervals()
    ]
    rows.append(("clue F1 against the clues of other clips (chance)", f"{reasons.chance_f1:.3f}", "-"))
    rows.append(("different bigrams over all bigrams", f"{reasons.distinct_2:.3f}", "-"))
    report.table(
        ("score", "value", "95 % interval"), rows, f"n = {reasons.n} reasons; bootstrap over speakers."
    )


def _training(report: Report, result: DemoResult) -> None:
    history = result.head_run.trained.history
    head = {
        "training": [(metrics.epoch, metrics.train_loss) for metrics in history],
        "validation": [(metrics.epoch, metrics.val_loss) for metrics in history],
    }
    kept = result.head_run.trained.best_epoch
    report.section("Training", "The epoch and the step that were kept are the best on validation speakers.")
    report.images(
        (
            png_bytes(
                curves_figure(
                    head, x_label="epoch", y_label="loss", title="head", mark_x=kept, mark_label="kept"
                )
            ),
            "fusion head",
        ),
        (
            png_bytes(
                curves_figure(
                    _llm_curves(result), x_label="step", y_label="loss per answer token", title="LLaMA stage"
                )
            ),
            "LLaMA stage, coarse then fine",
        ),
    )


def _llm_curves(result: DemoResult) -> dict[str, list[tuple[float, float]]]:
    """Loss by step; a stage goes on counting where the one before it ended."""
    curves: dict[str, list[tuple[float, float]]] = {}
    before: dict[str, int] = {}
    steps = 0
    for event in result.llm_events:
        offset = before.setdefault(event.stage, steps)
        if isinstance(event, StepDone):
            steps = offset + event.step
            curves.setdefault(f"{event.stage}, training", []).append((steps, event.loss))
        elif isinstance(event, Validated):
            curves.setdefault(f"{event.stage}, validation", []).append((offset + event.step, event.loss))
    return curves


def _examples(report: Report, result: DemoResult, out: Path) -> None:
    report.section(
        "Clips and answers",
        "Held-out speakers, drawn at random among right and wrong answers alike. "
        "The reason is generated after the model's own label.",
    )
    report.answers(
        [_card(clip, answer) for clip, answer in _some(result.clips, result.answers, result.config)]
    )


def _some(clips: Sequence[Clip], answers: Sequence[Answer], config: DemoConfig) -> list[tuple[Clip, Answer]]:
    """A seeded draw of examples."""
    places = np.random.default_rng(config.seed).permutation(len(clips))[: config.examples]
    return [(clips[place], answers[place]) for place in sorted(places)]


def _card(clip: Clip, answer: Answer) -> AnswerCard:
    likely = sorted(answer.probabilities.items(), key=lambda item: -item[1])[:3]
    return AnswerCard(
        clip_id=clip.clip_id,
        truth=clip.label,
        predicted=answer.label,
        text=answer.text,
        video=clip.path.read_bytes(),
        image=_poster(clip),
        details={
            "says": clip.text,
            "speaker": clip.speaker or "",
            "probabilities": ", ".join(f"{label} {share:.2f}" for label, share in likely),
            "missing": ", ".join(answer.missing) or "nothing",
        },
    )


def _poster(clip: Clip) -> bytes | None:
    """The clip's peak frame as JPEG; None where it has no pictures."""
    view = FrameView("peak")
    frame = read_views_limited(clip, [view])[view]
    if not isinstance(frame, ViewData):
        return None
    stream = io.BytesIO()
    Image.fromarray(frame.array).save(stream, format="JPEG", quality=85)
    return stream.getvalue()
