"""The demo: render, extract, train heads and the LLaMA stage, answer on held-out speakers, report.

Every choice is made on validation speakers; test speakers are scored once. The people are drawn and the
encoders tiny: the figures say that the road works, nothing about real emotion.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emo.cache import Space, open_cache
from emo.clip import Clip
from emo.config.corpus import CorpusConfig
from emo.config.demo import DemoConfig
from emo.config.heads import HeadConfig
from emo.corpora.manifest import read_manifest
from emo.corpora.rendered.corpus import render_corpus
from emo.evaluation.intervals import Difference, paired_bootstrap
from emo.evaluation.metrics import majority_scores
from emo.heads.runs import HeadRun, run_head, write_run
from emo.labels import MER2023, parse_label
from emo.llm.events import StageEvent, StepDone
from emo.llm.recipe import load_recipe
from emo.llm.runs import RunStarted, run_llm
from emo.llm.tiny_base import make_tiny_base
from emo.pipeline.extract import extract
from emo.pipeline.merr_texts import read_texts
from emo.pipeline.score import Scored, score_answers
from emo.pipeline.systems import System, answer_all, load_system

OnEvent = Callable[[str, float, float, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoResult:
    """What the demo measured on test speakers.

    `shuffled` are mean weighted F1 of the same systems with features permuted among the test clips.
    `reasons_name_label` is the share of reasons that name the label they were asked to explain.
    """

    config: DemoConfig
    clips: Sequence[Clip]
    head: Scored
    head_name: str
    unimodal: dict[str, Scored]
    llm: Scored
    majority_f1: float
    shuffled: dict[str, float]
    gains: dict[str, Difference]
    reasons_name_label: float
    seconds: dict[str, float]
    head_run: HeadRun
    llm_events: Sequence[StageEvent] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """The object that `emo demo --json` prints."""
        head, llm = self.head.to_json(), self.llm.to_json()
        return {
            "clips": self.config.clips,
            "seed": self.config.seed,
            "head": {"name": self.head_name, **_brief(head)},
            "unimodal": {name: round(one.scores.weighted_f1, 4) for name, one in self.unimodal.items()},
            "llm": {
                **_brief(llm),
                "invalid_rate": self.llm.scores.invalid_rate,
                "reasons_name_label": round(self.reasons_name_label, 4),
            },
            "majority_f1": round(self.majority_f1, 4),
            "shuffled": {name: round(value, 4) for name, value in self.shuffled.items()},
            "fusion_gain": {
                name: {"difference": round(gain.value, 4), "ci": [round(gain.low, 4), round(gain.high, 4)]}
                for name, gain in self.gains.items()
            },
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }

    def lines(self) -> Iterator[str]:
        """The figures as lines for people."""
        yield (
            f"{self.head.scores.n} test clips of {len(set(self.head.speakers))} speakers nobody trained on "
            "(drawn people, tiny encoders: a check of the pipeline)"
        )
        for name, one in (("fusion head", self.head), ("LLaMA stage", self.llm), *self.unimodal.items()):
            yield (
                f"  {name:12s} weighted F1 {one.scores.weighted_f1:.3f} "
                f"[{one.interval.low:.3f}, {one.interval.high:.3f}]"
            )
        yield (
            f"  shuffled     head {self.shuffled['head_weighted_f1']:.3f}, "
            f"LLaMA {self.shuffled['llm_weighted_f1']:.3f}; majority {self.majority_f1:.3f}"
        )
        yield (
            f"  invalid answers {self.llm.scores.invalid_rate:.1%}, "
            f"reasons that name their label {self.reasons_name_label:.1%}, {self.seconds['total']:.0f} s"
        )


def _brief(scores: dict[str, Any]) -> dict[str, Any]:
    return {"weighted_f1": round(scores["weighted_f1"], 4), "n": scores["n"], "ci": scores["ci"]}


class Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the block under `name`."""
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    def total(self) -> dict[str, float]:
        """The seconds with their total since the clock was made."""
        return {**self.seconds, "total": time.monotonic() - self._started}


def run_demo(out: Path, config: DemoConfig, *, jobs: int = 0, on_event: OnEvent | None = None) -> DemoResult:
    """The whole road under `out`; writes `report.html`, `results.json` and everything in between.

    `on_event(step, done, total, note)` is called as work goes on. What is rendered, extracted and stored
    already is kept, so an interrupted demo goes on.
    """
    from emo.pipeline.demo_report import write_report

    say = on_event or (lambda *_: None)
    clock = Clock()
    clips = _render(out / "clips", config, jobs, clock, say)
    spaces = _extract(out, clips, config, jobs, clock, say)
    with clock.step("heads"):
        run = _best_head(clips, spaces, config, say)
        write_run(run, out / "runs" / "head")
    events = _train_llm(out, clips, spaces, config, clock, say)
    test = [clip for clip in clips if clip.split == "test"]
    with clock.step("answers"):
        head = _score(load_system(out / "runs" / "head"), test, spaces, config)
        system = load_system(out / "runs" / "llm")
        llm = _score(system, test, spaces, config, reasons=True)
        shuffled = {
            "head_weighted_f1": _control(load_system(out / "runs" / "head"), test, spaces, config),
            "llm_weighted_f1": _control(system, test, spaces, config),
        }
        say("answers", 1, 1, "")
    alone = _alone(out, clips, test, spaces, config, clock)
    result = DemoResult(
        config=config,
        clips=test,
        head=head,
        head_name=run.trained.config.head,
        unimodal=alone,
        llm=llm,
        majority_f1=_majority(clips, test),
        shuffled=shuffled,
        gains={name: _gain(head, one, config) for name, one in alone.items()},
        reasons_name_label=_share_named(llm),
        seconds=clock.total(),
        head_run=run,
        llm_events=events,
    )
    (out / "results.json").write_text(json.dumps(result.to_json(), indent=1) + "\n", encoding="utf-8")
    write_report(result, out)
    return result


def _render(folder: Path, config: DemoConfig, jobs: int, clock: Clock, say: OnEvent) -> list[Clip]:
    train, val, test = config.shares
    corpus = CorpusConfig(clips=config.clips, seed=config.seed, train=train, val=val, test=test)
    with clock.step("render"):
        for done, _ in enumerate(render_corpus(folder, corpus, jobs=jobs), start=1):
            say("render", done, config.clips, "")
    return read_manifest(folder / "manifest.jsonl")


def _extract(
    out: Path, clips: Sequence[Clip], config: DemoConfig, jobs: int, clock: Clock, say: OnEvent
) -> dict[str, Space]:
    with clock.step("extract"):
        extract(
            clips,
            config.encoders,
            out / "features.zarr",
            preset=config.preset,
            jobs=jobs,
            on_progress=lambda event: say("extract", event.done, event.total, event.clip_id),
        )
    cache = open_cache(out / "features.zarr")
    return {name: cache.space(f"{name}@{config.preset}") for name in config.encoders}


def _best_head(clips: Sequence[Clip], spaces: dict[str, Space], config: DemoConfig, say: OnEvent) -> HeadRun:
    """The head whose kept epoch is best on validation speakers."""
    runs = []
    for done, name in enumerate(config.heads, start=1):
        runs.append(run_head(clips, spaces, MER2023, HeadConfig(head=name, seed=config.seed)))
        say("heads", done, len(config.heads), name)
    return max(runs, key=lambda run: run.trained.history[run.trained.best_epoch - 1].val_weighted_f1)


def _alone(
    out: Path,
    clips: Sequence[Clip],
    test: Sequence[Clip],
    spaces: dict[str, Space],
    config: DemoConfig,
    clock: Clock,
) -> dict[str, Scored]:
    """Each encoder on its own, with the same choice of heads."""
    alone = {}
    with clock.step("unimodal"):
        for name, space in spaces.items():
            run = _best_head(clips, {name: space}, config, lambda *_: None)
            folder = out / "runs" / f"head-{name}"
            run.trained.save(folder)
            alone[name] = _score(load_system(folder), test, spaces, config)
    return alone


def _train_llm(
    out: Path,
    clips: Sequence[Clip],
    spaces: dict[str, Space],
    config: DemoConfig,
    clock: Clock,
    say: OnEvent,
) -> list[StageEvent]:
    texts = read_texts(out / "clips", clips)
    seen = {clip.clip_id for clip in clips if clip.split == "train"}
    with clock.step("base"):
        own = [each for each in texts if each.clip_id in seen]
        base = replace(config.base, seed=config.seed)
        for progress in make_tiny_base(own, MER2023, out / "base", base):
            say(f"base: {progress.phase}", progress.done, progress.total, "")
    events: list[StageEvent] = []
    with clock.step("llm"):
        for event in run_llm(
            clips,
            texts,
            spaces,
            str(out / "base"),
            load_recipe(config.recipe),
            out / "runs" / "llm",
            seed=config.seed,
        ):
            if isinstance(event, RunStarted):
                continue
            events.append(event)
            if isinstance(event, StepDone):
                say(f"llm: {event.stage}", event.step, event.steps, f"loss {event.loss:.3f}")
    return events


def _score(
    system: System, test: Sequence[Clip], spaces: dict[str, Space], config: DemoConfig, reasons: bool = False
) -> Scored:
    own = {name: spaces[name] for name in system.sources}
    answers = list(answer_all(system, test, own, reasons=reasons))
    return score_answers(test, answers, system.labels, seed=config.seed)


def _control(system: System, test: Sequence[Clip], spaces: dict[str, Space], config: DemoConfig) -> float:
    """Mean weighted F1 with every clip's features taken from another clip."""
    own = {name: spaces[name] for name in system.sources}
    scores = []
    for seed in range(config.shuffles):
        answers = list(answer_all(system, test, own, reasons=False, shuffle_seed=seed))
        scores.append(score_answers(test, answers, system.labels).scores.weighted_f1)
    return sum(scores) / len(scores)


def _majority(clips: Sequence[Clip], test: Sequence[Clip]) -> float:
    train = [str(clip.label) for clip in clips if clip.split == "train"]
    return majority_scores(train, [str(clip.label) for clip in test], MER2023).weighted_f1


def _gain(fusion: Scored, one: Scored, config: DemoConfig) -> Difference:
    return paired_bootstrap(
        fusion.truth,
        fusion.predicted,
        one.predicted,
        fusion.labels,
        fusion.speakers,
        resamples=config.resamples,
        seed=config.seed,
    )


def _share_named(scored: Scored) -> float:
    """Share of reasons whose concluding label is the label they were asked to explain."""
    named = [
        parse_label(answer.text, scored.labels) == (answer.label or _likeliest(answer.probabilities))
        for answer in scored.answers
    ]
    return sum(named) / len(named)


def _likeliest(probabilities: Any) -> str:
    return str(max(probabilities, key=probabilities.get))
