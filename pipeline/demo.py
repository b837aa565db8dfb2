"""The demo: render, extract, train heads and the LLaMA stage, answer on held-out speakers, report.

Every choice is made on validation speakers; test speakers are scored once. The people are drawn and the
encoders tiny: the figures say that the road works, nothing about real emotion.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from emo.cache import Space
from emo.clip import Clip
from emo.config.demo import DemoConfig
from emo.config.heads import HeadConfig
from emo.corpora.declared import declared_rights
from emo.evaluation.intervals import Difference, paired_bootstrap
from emo.evaluation.metrics import majority_scores
from emo.evaluation.scored import Scored
from emo.heads.runs import HeadRun, run_head, write_run
from emo.labels import MER2023
from emo.llm.recipe import load_recipe
from emo.llm.training.events import StageEvent
from emo.pipeline.answers import Answer
from emo.pipeline.demo_result import DemoResult
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
from emo.pipeline.systems import System, answer_all, load_system


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
    with clock.step("render"):
        clips = rendered_clips(out, config, jobs, say)
    with clock.step("extract"):
        spaces = extracted_spaces(out, clips, config, jobs, say)
    run, events = _trained(out, clips, spaces, config, clock, say)
    result = _measured(out, clips, spaces, config, clock, say, run, events)
    (out / "results.json").write_text(json.dumps(result.to_json(), indent=1) + "\n", encoding="utf-8")
    write_report(result, out)
    return result


def _trained(
    out: Path, clips: Sequence[Clip], spaces: dict[str, Space], config: DemoConfig, clock: Clock, say: OnEvent
) -> tuple[HeadRun, list[StageEvent]]:
    """The fusion head and the LLaMA stage, saved under `out`: the head's run and the stage's events."""
    with clock.step("heads"):
        run = _best_head(clips, spaces, config, say)
        write_run(run, out / "runs" / "head", declared_rights(None, clips))
    with clock.step("base"):
        texts, base = texts_and_base(out, clips, config, say)
    with clock.step("llm"):
        recipe, folder = load_recipe(config.recipe), out / "runs" / "llm"
        events = list(train_on_base(clips, texts, spaces, base, recipe, folder, seed=config.seed, say=say))
    return run, events


def _measured(
    out: Path,
    clips: Sequence[Clip],
    spaces: dict[str, Space],
    config: DemoConfig,
    clock: Clock,
    say: OnEvent,
    run: HeadRun,
    events: Sequence[StageEvent],
) -> DemoResult:
    """The saved systems on test speakers, and each encoder alone."""
    test = [clip for clip in clips if clip.split == "test"]
    with clock.step("answers"):
        head, llm = load_system(out / "runs" / "head"), load_system(out / "runs" / "llm")
        head_answers = _answers(head, test, spaces)
        answers = _answers(llm, test, spaces, reasons=True)
        shuffled = {
            "head_weighted_f1": shuffled_f1(head, test, spaces, permutations=config.shuffles),
            "llm_weighted_f1": shuffled_f1(llm, test, spaces, permutations=config.shuffles),
        }
        say("answers", 1, 1, "")
    alone = _alone(out, clips, test, spaces, config, clock)
    fused = score_answers(test, head_answers, MER2023, seed=config.seed)
    return DemoResult(
        config=config,
        clips=test,
        head=fused,
        head_name=run.trained.config.head,
        unimodal=alone,
        llm=score_answers(test, answers, MER2023, seed=config.seed),
        answers=answers,
        majority_f1=_majority(clips, test),
        shuffled=shuffled,
        gains={name: _gain(fused, one, config) for name, one in alone.items()},
        reasons=score_rendered_reasons(test, answers, out / CLIPS, MER2023, seed=config.seed),
        seconds=clock.total(),
        head_run=run,
        llm_events=events,
    )


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
            answers = _answers(load_system(folder), test, spaces)
            alone[name] = score_answers(test, answers, MER2023, seed=config.seed)
    return alone


def _answers(
    system: System, test: Sequence[Clip], spaces: dict[str, Space], *, reasons: bool = False
) -> list[Answer]:
    own = {name: spaces[name] for name in system.arrays}
    return list(answer_all(system, test, own, reasons=reasons))


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
