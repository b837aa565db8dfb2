"""The report of `emo evaluate --out`: report.html, scores.json and answers.jsonl. Measures nothing itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emo.clip import Clip
from emo.evaluation.figures import confusion_figure, png_bytes, reliability_figure, risk_figure
from emo.evaluation.intervals import Interval
from emo.evaluation.report import Report
from emo.evaluation.scored import Scored
from emo.evaluation.selective import RiskCoverage
from emo.evaluation.tables import HEADERS, Result, per_class_rows, result_rows, title_of
from emo.pipeline.evaluation import Evaluation, Reproduction
from emo.pipeline.systems import System

SHARES = (1.0, 0.9, 0.8, 0.7, 0.5)  # of clips answered, in the table of error rates


def write_evaluation(evaluation: Evaluation, system: System, title: str, how: str, out: Path) -> Path:
    """Write the page and the two files into `out`; `how` is the command. Returns the page's path."""
    scored = evaluation.scored
    report = Report(title, _subtitle(scored))
    _results(report, evaluation)
    _mistakes(report, scored)
    _groups(report, evaluation)
    _calibration(report, evaluation, system)
    _refusing(report, evaluation)
    report.section("How this was made").code(how)
    rows = [
        {"truth": clip.label, **_speaker(clip), **answer.unless_below(evaluation.threshold).to_json()}
        for clip, answer in zip(evaluation.clips, evaluation.answers, strict=True)
    ]
    return _write(report, evaluation.to_json(), rows, out)


def write_reproduction(found: Reproduction, title: str, how: str, out: Path) -> Path:
    """As `write_evaluation`, of a published recipe asked again."""
    report = Report(title, f"{found.recipe.about}; {_subtitle(found.strict)}", found.notes)
    report.section("Expected and got")
    report.table(
        ("weights", "metric", "expected", "got", "95 % interval", "source"),
        [
            (
                each.expected.weights,
                each.expected.metric,
                f"{each.expected.value:.4f}",
                f"{each.got.point:.4f}",
                f"{each.got.low:.4f} to {each.got.high:.4f}",
                each.expected.source,
            )
            for each in found.compared
        ],
        "Got: answers read as the published figures read them.",
    )
    readings = [Result("strict", found.strict.scores, found.strict.interval)]
    if found.official:
        readings.append(Result("official", found.official.scores, found.official.interval))
    report.table(
        ("reading", *HEADERS[1:]),
        result_rows(readings),
        "Official: the last word, and neutral where it is no label. Strict: no label is a wrong answer.",
    )
    _mistakes(report, found.official or found.strict)
    report.section("How this was made").code(how)
    rows = [
        {"clip_id": clip.clip_id, "truth": clip.label, **_speaker(clip), "label": label, "said": text}
        for clip, label, text in zip(found.clips, found.strict.predicted, found.said, strict=True)
    ]
    return _write(report, found.to_json(), rows, out)


def _subtitle(scored: Scored) -> str:
    return f"{scored.scores.n} clips, {scored.interval.clusters} speakers or clips of unknown speaker"


def _speaker(clip: Clip) -> dict[str, str]:
    """Whose clip it is, as the manifest calls them: what a paired test resamples."""
    return {"speaker": clip.speaker} if clip.speaker else {}


def _counts(scored: Scored) -> str:
    return f"n {scored.scores.n}, invalid {scored.scores.invalid_rate:.1%}"


def _results(report: Report, evaluation: Evaluation) -> None:
    scored, scores = evaluation.scored, evaluation.scored.scores
    report.section("Results")
    report.numbers(
        {
            "weighted F1": f"{scores.weighted_f1:.3f}",
            "UAR": f"{scores.uar:.3f}",
            "WAR": f"{scores.war:.3f}",
            "calibration error (ECE)": f"{evaluation.calibration.ece.point:.3f}",
            "invalid answers": f"{scores.invalid_rate:.1%}",
        }
    )
    rows = [Result("every answer", scores, scored.interval)]
    if evaluation.answered is not None:
        name = f"answers at least {evaluation.threshold:.2f} sure ({evaluation.coverage:.0%})"
        rows.append(Result(name, evaluation.answered.scores, evaluation.answered.interval))
    report.table(HEADERS, result_rows(rows), "Intervals: 95 %, bootstrap over speakers.")
    _combined(report, evaluation)


def _combined(report: Report, evaluation: Evaluation) -> None:
    found = evaluation.combined
    if found is None:
        return
    report.table(
        ("with the valence, as MER2023", "n", "value", "95 % interval", "invalid"),
        [
            (
                title_of(each.metric),
                str(found.n),
                f"{each.point:.3f}",
                each.bounds,
                f"{found.invalid_rate:.1%}",
            )
            for each in found.scores
        ],
        "Combined: weighted F1 - 0.25 MSE of the valence, of the clips whose valence is known.",
    )


def _mistakes(report: Report, scored: Scored) -> None:
    report.section("Who is taken for whom")
    caption = f"clips by true and answered label; {_counts(scored)}"
    report.images((png_bytes(confusion_figure(scored.scores)), caption))
    report.table(("class", "n", "precision", "recall", "F1"), per_class_rows(scored.scores))


def _groups(report: Report, evaluation: Evaluation) -> None:
    found = evaluation.groups
    if found is None:
        return
    report.section(f"By {found.column}", "Groups are as declared; nothing is inferred from a face.")
    report.table(
        ("group, worst first", "n", "speakers", "UAR", "95 % interval", "invalid"),
        [
            (
                one.group,
                str(one.n),
                str(one.score.clusters),
                f"{one.score.point:.3f}",
                one.score.bounds,
                f"{one.invalid_rate:.1%}",
            )
            for one in found.groups
        ],
        f"Worst gap {found.gap}; p {found.p_value:.3g} by shuffling groups among speakers. "
        f"{found.undeclared} clips declare no {found.column}.",
    )
    for note in found.notes:
        report.note(note)


def _calibration(report: Report, evaluation: Evaluation, system: System) -> None:
    found = evaluation.calibration
    report.section(
        "Calibration",
        "Of answers given with probability p, a share of p should be right. "
        f"{_calibrated(system)} Bars show accuracy, marks the mean confidence.",
    )
    caption = f"reliability in {len(found.bins)} bins; ECE {found.ece}, {_counts(evaluation.scored)}"
    report.images((png_bytes(reliability_figure(found)), caption))
    report.table(
        ("score", "value", "95 % interval"),
        [
            _line("expected calibration error", found.ece),
            _line("Brier score", found.brier),
            _line("log loss", found.nll),
        ],
        "Less is better. Resamples repeat clips, so the interval of the calibration error leans upward.",
    )


def _calibrated(system: System) -> str:
    fitted = system.calibration
    if fitted.temperature == 1 and not fitted.bias:
        return "No calibration was fitted: emo calibrate does that, on validation clips."
    bias = " and a bias by label" if fitted.bias else ""
    return f"Temperature {fitted.temperature:.2f}{bias}, fitted on validation clips."


def _refusing(report: Report, evaluation: Evaluation) -> None:
    curve = evaluation.risk
    report.section("Answering only when sure", "Clips are answered by falling confidence of the answer.")
    figure = risk_figure(
        curve,
        coverage=evaluation.coverage if evaluation.threshold else None,
        mark_label=f"p >= {evaluation.threshold:.2f}",
    )
    caption = f"error rate by share of clips answered; {_counts(evaluation.scored)}"
    report.images((png_bytes(figure), caption))
    report.table(
        ("answered", "n", "error rate", "least confidence"),
        [_at(curve, share, len(evaluation.clips)) for share in SHARES],
        f"Area under the curve {curve.aurc}.",
    )


def _at(curve: RiskCoverage, share: float, clips: int) -> tuple[str, str, str, str]:
    """The widest answering that does not go beyond `share` of the `clips`."""
    places = [place for place, covered in enumerate(curve.coverage) if covered <= share + 1e-9]
    if not places:
        return (f"{share:.0%}", "0", "-", "-")
    last = places[-1]
    covered, risk, least = curve.coverage[last], curve.risk[last], curve.threshold[last]
    return (f"{covered:.0%}", str(round(covered * clips)), f"{risk:.3f}", f"{least:.2f}")


def _line(name: str, interval: Interval) -> tuple[str, str, str]:
    return (name, f"{interval.point:.3f}", interval.bounds)


def _write(report: Report, scores: dict[str, object], rows: Sequence[dict[str, Any]], out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (out / "answers.jsonl").write_text("".join(lines), encoding="utf-8")
    return report.write(out / "report.html")
