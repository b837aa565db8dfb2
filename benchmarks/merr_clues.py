"""How well the clues of `emo merr build` find what was planted: labels from action units, peaks, voices.

    python benchmarks/merr_clues.py --json > benchmarks/results/merr_clues.json

480 clips of six labels, and 480 of nine, are planned (seed 20): the two tables differ in contempt and doubt
alone, which are not among the six. Action units are written as OpenFace writes them, voices synthesised;
nothing is filmed. Labels: the share of clips that the rules label, and of these the share whose
label is the planted one: of the clip, and of its face (faces may differ from the label, or be weak). Peaks:
frames between the planted and the found one, of clips whose face shows something. Voices: correlation of what
is measured with what was planted, in the first 120. Intervals are 95 % bootstraps over speakers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from emo.config.corpus import CorpusConfig
from emo.config.merr import MerrConfig, PeakRule, RuleTable
from emo.corpora.rendered.cast import cast_corpus
from emo.corpora.rendered.film import frame_times
from emo.corpora.rendered.openface import write_unit_csv
from emo.corpora.rendered.planning import PlannedClip, plan_clip
from emo.corpora.rendered.voice import RATE, synthesise
from emo.extractors.action_units import UnitTable, read_units
from emo.extractors.container import Span
from emo.labels import MER2023, MERR
from emo.merr.quality import agreement
from emo.merr.rules import NEUTRAL, evidence, label_by_rules, peak_row
from emo.merr.voice import measure_voice
from emo.seeds import generator

WHOLE = Span(start=0.0, end=float("inf"))
TABLES: tuple[RuleTable, ...] = ("mer-factory", "paper-copy")
PEAKS: tuple[PeakRule, ...] = ("emotion", "frequent", "overall")
MEASURED = ("pitch", "melody", "rise", "energy", "tempo")


def planned(clips: int, seed: int, folder: Path, own: tuple[str, ...]) -> list[tuple[UnitTable, PlannedClip]]:
    """Planned clips of the labels `own` with the tables of their action units."""
    config = CorpusConfig(clips=clips, seed=seed, labels=own)
    found = []
    for role in cast_corpus(config):
        plan = plan_clip(config, role)
        path = folder / f"{role.clip_id}.csv"
        write_unit_csv(path, plan.performance, frame_times(plan.performance))
        found.append((read_units(path, WHOLE, 25.0), plan))
    return found


def labels(clips: Sequence[tuple[UnitTable, PlannedClip]], config: MerrConfig) -> dict[str, object]:
    """How many clips the rules label, and how often rightly."""
    said = [label_by_rules(evidence(table, config), config) for table, _ in clips]
    given = [(label, plan) for label, (_, plan) in zip(said, clips, strict=True) if label]
    speakers = [plan.role.speaker_id for _, plan in given]
    strong = [(label, plan) for label, plan in given if "face" not in plan.performance.weak]
    return {
        "n": len(clips),
        "labelled": len(given),
        "label_right": agreement([(label, plan.role.label) for label, plan in given], speakers),
        "face_right": agreement([(label, plan.performance.face) for label, plan in given], speakers),
        "face_right_where_not_weak": agreement(
            [(label, plan.performance.face) for label, plan in strong],
            [plan.role.speaker_id for _, plan in strong],
        ),
    }


def peaks(clips: Sequence[tuple[UnitTable, PlannedClip]], config: MerrConfig) -> dict[str, object]:
    """Frames between the planted peak and the one found for the face's own label."""
    errors = [
        abs(int(table.frames[peak_row(table, plan.performance.face, config)]) - plan.peak_frame)
        for table, plan in clips
        if plan.performance.face != NEUTRAL and "face" not in plan.performance.weak
    ]
    return {
        "n": len(errors),
        "median": float(np.median(errors)),
        "mean": round(float(np.mean(errors)), 2),
        "p90": float(np.quantile(errors, 0.9)),
    }


def rows(clips: Sequence[tuple[UnitTable, PlannedClip]], own: tuple[str, ...]) -> list[list[object]]:
    """For each clip: id, planted label, its face's, whether that is weak, what either table says, planted
    peak, and the peaks that the three rules find for the face's label."""
    tables = [MerrConfig(labels=own, rules=rules) for rules in TABLES]
    found = []
    for table, plan in clips:
        performance, said = plan.performance, [label_by_rules(evidence(table, each), each) for each in tables]
        peaks_found = [
            int(table.frames[peak_row(table, performance.face, MerrConfig(labels=own, peak=peak))])
            for peak in PEAKS
        ]
        weak = "face" in performance.weak
        found.append(
            [plan.role.clip_id, plan.role.label, performance.face, weak, *said, plan.peak_frame, *peaks_found]
        )
    return found


def voices(clips: Sequence[tuple[UnitTable, PlannedClip]]) -> dict[str, object]:
    """Correlation of measured with planted parameters."""
    heard, meant = [], []
    for _, plan in clips:
        who, performance = plan.identity, plan.performance
        rng = generator("benchmark", plan.role.number)
        sound = synthesise(who, performance.tone, performance.duration, rng, performance.syllables)
        measures = measure_voice(sound, RATE)
        if measures is not None:
            heard.append([asdict(measures)[name] for name in MEASURED])
            meant.append([asdict(performance.tone)[name] for name in MEASURED])
    rows, truth = np.array(heard), np.array(meant)
    r = {
        name: round(float(np.corrcoef(rows[:, at], truth[:, at])[0, 1]), 3)
        for at, name in enumerate(MEASURED)
    }
    return {"n": len(rows), "r": r}


def main() -> None:
    """Measure, and print a JSON object or lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=480)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, object] = {"clips": options.clips, "seed": options.seed}
    with tempfile.TemporaryDirectory() as folder:
        clips = planned(options.clips, options.seed, Path(folder), MER2023)
        nine = planned(options.clips, options.seed, Path(folder), MERR)
    for rules in TABLES:
        found[f"six labels, {rules}"] = labels(clips, MerrConfig(labels=MER2023, rules=rules))
        found[f"nine labels, {rules}"] = labels(nine, MerrConfig(labels=MERR, rules=rules))
    for peak in PEAKS:
        found[f"peaks, {peak}"] = peaks(clips, MerrConfig(labels=MER2023, peak=peak))
    found["voices"] = voices(clips[:120])
    lines = [f"{name}: {value}" for name, value in found.items()]
    found["rows"] = rows(clips, MER2023)
    found["rows_of_nine_labels"] = rows(nine, MERR)
    print(json.dumps(found) if options.json else "\n".join(lines))


if __name__ == "__main__":
    main()
