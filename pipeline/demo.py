"""The demo: render, extract, train heads and the LLaMA stage, answer on held-out speakers, report.

Every choice is made on validation speakers; test speakers are scored once. The people are drawn and the
encoders tiny: the figures say that the road works, nothing about real emotion.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from emo.cache import Space, open_cache
from emo.clip import Clip
from emo.config.corpus import CorpusConfig
from emo.config.demo import DemoConfig
from emo.config.heads import HeadConfig
from emo.corpora.manifest import read_manifest
from emo.corpora.rendered.corpus import render_corpus
from emo.evaluation.intervals import Difference, paired_bootstrap
from emo.evaluation.metrics import majority_scores
from emo.evaluation.scored import Scored
from emo.extractors import make_encoder
from emo.heads.runs import HeadRun, run_head, write_run
from emo.labels import MER2023, parse_label
from emo.llm.recipe import load_recipe
from emo.llm.tiny.base import make_tiny_base
from emo.llm.training.events import StageEvent, StepDone
from emo.llm.training.runs import RunStarted, run_llm
from emo.pipeline.demo_result import DemoResult
from emo.pipeline.extract import extract
from emo.pipeline.merr_texts import read_texts
from emo.pipeline.score import score_answers
from emo.pipeline.systems import Answer, System, answer_all, load_system

OnEvent = Callable[[str, float, float, str], None]


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
        head, llm = load_system(out / "runs" / "head"), load_system(out / "runs" / "llm")
        head_answers = _answers(head, test, spaces)
        answers = _answers(llm, test, spaces, reasons=True)
        shuffled = {
            "head_weighted_f1": _control(head, test, spaces, config),
            "llm_weighted_f1": _control(llm, test, spaces, config),
        }
        say("answers", 1, 1, "")
    alone = _alone(out, clips, test, spaces, config, clock)
    fused = score_answers(test, head_answers, MER2023, seed=config.seed)
    result = DemoResult(
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
        reasons_name_label=_share_named(answers),
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
    return {name: cache.space(make_encoder(name, preset=config.preset).spec) for name in config.encoders}


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


def _answers(
    system: System, test: Sequence[Clip], spaces: dict[str, Space], *, reasons: bool = False
) -> list[Answer]:
    own = {name: spaces[name] for name in system.sources}
    return list(answer_all(system, test, own, reasons=reasons))


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


def _share_named(answers: Sequence[Answer]) -> float:
    """Share of reasons whose concluding label is the label they were asked to explain."""
    named = [parse_label(answer.text, MER2023) == answer.explained for answer in answers]
    return sum(named) / len(named)
