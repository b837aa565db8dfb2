"""The pseudo-label loop: a head labels what it is sure of, a LLaMA stage learns from it and labels again.

    OUT/round-<n>/head                       the head of a round
    OUT/round-<n>/llm-<digest>               a LLaMA stage of it, named by all that it is learnt from
    OUT/pseudo.txt                           clips and labels on which both agree, for `emo train-llm --list`
    OUT/drops.jsonl                          every clip that was left out of a step, and why
    OUT/pseudo.json                          thresholds and counts of each round

A stage that had learnt the head's label of a clip would repeat it, and to agree would mean nothing. So two
are trained: each learns from the labels of one half of the pool's speakers and is asked about the other half.
The next round's head learns from the labels on which both agreed. Splits are made once, of labelled clips;
choices and thresholds come from validation clips alone, and test clips are never looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emo.cache import Space
from emo.canonical import Json, sha256_json
from emo.clip import Clip
from emo.config.hardware import HardwareConfig
from emo.config.heads import HeadConfig
from emo.config.llm import LlmConfig
from emo.errors import Interrupted
from emo.heads.runs import run_head
from emo.llm.examples import ClipTexts
from emo.llm.recipe import config_to_json
from emo.llm.training.events import StepDone, Stopped
from emo.llm.training.record import RunRecord
from emo.llm.training.runs import Manner, run_llm
from emo.llm.training.stopping import Stop
from emo.pipeline.ablation_runs import KEY_DIGITS
from emo.pipeline.answers import Answer
from emo.pipeline.demo_steps import OnEvent
from emo.pipeline.pseudo_labels import ALONE, Drop, Threshold, believed, share_right, threshold_on
from emo.pipeline.pseudo_pool import Pool, halves
from emo.pipeline.systems import HeadSystem, System, answer_all, load_system

LIST, DROPS, SUMMARY = "pseudo.txt", "drops.jsonl", "pseudo.json"
NAME = "pseudo"  # the list by which recipes ask for these clips and labels
HEAD, LLM, BOTH = "head", "llm", "both"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """How labels are believed: a share `precision` of at least `least_clips` validation clips must be right
    above a system's threshold. `seed` is that of every training."""

    rounds: int = 2
    precision: float = 0.8
    least_clips: int = 5
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One round: labels that the head was sure of, and those on which both agree, with their thresholds: the
    head's, and one for each LLaMA stage.

    `right` is the share that is the hidden label, by step, None where nobody knows.
    """

    number: int
    learnt_from: int
    head: Threshold
    llm: tuple[Threshold, ...]
    by_head: Mapping[str, str]
    agreed: Mapping[str, str]
    drops: tuple[Drop, ...]
    right: Mapping[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """Counts and thresholds; the labels stand in the list."""
        reasons: dict[str, dict[str, int]] = {}
        for drop in self.drops:
            counts = reasons.setdefault(drop.step, {})
            counts[drop.reason] = counts.get(drop.reason, 0) + 1
        return {
            "round": self.number,
            "pseudo_labels_learnt_from": self.learnt_from,
            "thresholds": {HEAD: self.head.to_json(), LLM: [one.to_json() for one in self.llm]},
            "labelled_by_head": len(self.by_head),
            "agreed": len(self.agreed),
            "dropped": reasons,
            "right": dict(self.right),
        }


def run_loop(
    pool: Pool,
    spaces: Mapping[str, Space],
    texts: Sequence[ClipTexts],
    base: str,
    head: HeadConfig,
    recipe: LlmConfig,
    out: Path,
    config: LoopConfig,
    *,
    hardware: HardwareConfig | None = None,
    stop: Stop | None = None,
    on_event: OnEvent | None = None,
) -> Iterator[Round]:
    """Each round as soon as it is over; the files under `out` are those of the last one so far.

    What is written about a clip of the pool is never learnt from: it may tell the label. The same call goes
    on with a LLaMA stage that was interrupted. Interrupted where `stop` was asked for.
    """
    known = {text.clip_id: text for text in texts}
    agreed: Mapping[str, str] = {}
    rounds: list[Round] = []
    for number in range(1, config.rounds + 1):
        work = _Work(
            pool,
            spaces,
            known,
            out / f"round-{number}",
            config,
            hardware or HardwareConfig(),
            stop or Stop(),
            on_event or (lambda *_: None),
        )
        sure = work.head(agreed, replace(head, seed=config.seed), recipe.labels)
        by_head, head_drops = believed(
            pool.unlabelled, {HEAD: sure.said}, {HEAD: sure.threshold}, number=number, step=HEAD
        )
        learnt = len(agreed)
        agreed, drops, thresholds = work.agreed(by_head, sure, number, base, recipe)
        rounds.append(
            Round(
                number=number,
                learnt_from=learnt,
                head=sure.threshold,
                llm=thresholds,
                by_head=by_head,
                agreed=agreed,
                drops=(*head_drops, *drops),
                right={HEAD: share_right(by_head, pool.hidden), BOTH: share_right(agreed, pool.hidden)},
            )
        )
        _write(rounds, pool, out)
        yield rounds[-1]


@dataclass(frozen=True, slots=True)
class _Labelled:
    """What a system says of the clips it was asked about, by clip, and from where it is believed."""

    answers: Mapping[str, Answer]
    threshold: Threshold

    @property
    def said(self) -> list[Answer]:
        """The answers in the order in which they were asked for."""
        return list(self.answers.values())


@dataclass(frozen=True, slots=True)
class _Work:
    """The trainings of one round."""

    clips: Pool
    spaces: Mapping[str, Space]
    texts: Mapping[str, ClipTexts]
    folder: Path
    config: LoopConfig
    hardware: HardwareConfig
    stop: Stop
    say: OnEvent

    def head(self, labels: Mapping[str, str], config: HeadConfig, names: Sequence[str]) -> _Labelled:
        run = run_head(
            self._training(labels),
            self.spaces,
            names,
            config,
            on_epoch=lambda metrics: self.say(self._step(HEAD), metrics.epoch, config.epochs, ""),
        )
        run.trained.save(self.folder / HEAD)
        return self._asked(HeadSystem(run.trained), self.clips.unlabelled)

    def agreed(
        self, by_head: Mapping[str, str], sure: _Labelled, number: int, base: str, recipe: LlmConfig
    ) -> tuple[dict[str, str], list[Drop], tuple[Threshold, ...]]:
        """Of the labels `by_head` those that a LLaMA stage gives too which has not learnt them."""
        first, second = halves([clip for clip in self.clips.unlabelled if clip.clip_id in by_head])
        if not second:
            return {}, [_alone(clip, number) for clip in first], ()
        labels: dict[str, str] = {}
        drops: list[Drop] = []
        thresholds: list[Threshold] = []
        for part in (first, second):
            ids = [clip.clip_id for clip in part]
            rest = {clip_id: label for clip_id, label in by_head.items() if clip_id not in ids}
            again = self._llm(rest, part, base, recipe)
            said = {HEAD: [sure.answers[clip_id] for clip_id in ids], LLM: again.said}
            both = {HEAD: sure.threshold, LLM: again.threshold}
            more, fewer = believed(part, said, both, number=number, step=BOTH)
            labels |= more
            drops += fewer
            thresholds.append(again.threshold)
        return labels, drops, tuple(thresholds)

    def _llm(
        self, labels: Mapping[str, str], asked: Sequence[Clip], base: str, recipe: LlmConfig
    ) -> _Labelled:
        clips = self._training(labels)
        texts = [self._text(clip, labels.get(clip.clip_id)) for clip in clips]
        run = self.folder / f"{LLM}-{self._digest(texts, recipe)}"
        if not RunRecord(run).is_finished:
            self._train_llm(clips, texts, base, recipe, run)
        device, dtype = self.hardware.device, self.hardware.dtype
        return self._asked(load_system(run, base=base, device=device, dtype=dtype), asked)

    def _digest(self, texts: Sequence[ClipTexts], recipe: LlmConfig) -> str:
        """A name for what decides a LLaMA stage, but for its base, which the checkpoint itself remembers."""
        decides: dict[str, Json] = {
            "recipe": config_to_json(recipe),
            "seed": self.config.seed,
            "dtype": self.hardware.dtype,
            "features": {name: space.spec.fingerprint for name, space in self.spaces.items()},
            "texts": [asdict(text) | {"sets": sorted(text.sets)} for text in texts],
        }
        return sha256_json(decides)[:KEY_DIGITS]

    def _train_llm(
        self, clips: Sequence[Clip], texts: Sequence[ClipTexts], base: str, recipe: LlmConfig, run: Path
    ) -> None:
        total, done = sum(stage.steps for stage in recipe.stages.values()), 0
        manner = Manner(stop=self.stop)
        for event in run_llm(
            clips,
            texts,
            self.spaces,
            base,
            recipe,
            run,
            seed=self.config.seed,
            hardware=self.hardware,
            manner=manner,
        ):
            if isinstance(event, StepDone):
                done += 1
                self.say(self._step(LLM), done, total, f"{event.stage}, loss {event.loss:.3f}")
            elif isinstance(event, Stopped):
                raise Interrupted(f"stopped by {event.reason}; the same command goes on in {run}.")

    def _training(self, labels: Mapping[str, str]) -> list[Clip]:
        """Labelled clips, and those of the pool under the labels that are believed."""
        pseudo = [replace(c, label=labels[c.clip_id]) for c in self.clips.unlabelled if c.clip_id in labels]
        return [*self.clips.train, *self.clips.val, *pseudo]

    def _text(self, clip: Clip, pseudo: str | None) -> ClipTexts:
        if pseudo is None:
            return self.texts[clip.clip_id]
        return ClipTexts(
            clip_id=clip.clip_id,
            text=clip.text,
            label=pseudo,
            speaker=clip.speaker or clip.clip_id,
            sets=(NAME,),
            list_labels={NAME: pseudo},
        )

    def _asked(self, system: System, clips: Sequence[Clip]) -> _Labelled:
        own = {name: self.spaces[name] for name in system.arrays}
        valid = list(answer_all(system, self.clips.val, own, reasons=False))
        threshold = threshold_on(
            valid,
            [clip.label for clip in self.clips.val],
            precision=self.config.precision,
            least=self.config.least_clips,
        )
        answers = answer_all(system, clips, own, reasons=False)
        return _Labelled({answer.clip_id: answer for answer in answers}, threshold)

    def _step(self, system: str) -> str:
        return f"{self.folder.name}: {system}"


def _alone(clip: Clip, number: int) -> Drop:
    detail = "the head is sure of no other clip that a LLaMA stage could learn from"
    return Drop(clip_id=clip.clip_id, round=number, step=BOTH, reason=ALONE, detail=detail)


def _write(rounds: Sequence[Round], pool: Pool, out: Path) -> None:
    last = rounds[-1]
    lines = [f"{clip_id} {label}\n" for clip_id, label in last.agreed.items()]
    (out / LIST).write_text("".join(lines), encoding="utf-8")
    drops = [*pool.drops, *(drop for one in rounds for drop in one.drops)]
    text = "".join(json.dumps(drop.to_json(), ensure_ascii=False) + "\n" for drop in drops)
    (out / DROPS).write_text(text, encoding="utf-8")
    summary = {
        "schema_version": 1,
        "train": len(pool.train),
        "val": len(pool.val),
        "pool": len(pool.unlabelled),
        "left_out": len(pool.drops),
        "rounds": [one.to_json() for one in rounds],
    }
    (out / SUMMARY).write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
