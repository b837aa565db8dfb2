"""The pseudo-label loop: a head labels what it is sure of, the LLaMA stage learns from it and labels again.

    OUT/round-<n>/head                       the head of a round
    OUT/round-<n>/llm-<digest>               its LLaMA stage, named by all that it is learnt from
    OUT/pseudo.txt                           clips and labels on which both agree, for `emo train-llm --list`
    OUT/drops.jsonl                          every clip that was left out of a step, and why
    OUT/pseudo.json                          thresholds and counts of each round

The next round's head learns from the labels on which both agreed. Splits are made once, of labelled clips;
choices and thresholds come from validation clips alone, and test clips are never looked at.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emo.cache import Space
from emo.canonical import Json, sha256_json
from emo.clip import Clip
from emo.config.hardware import HardwareConfig
from emo.config.heads import HeadConfig
from emo.config.llm import LlmConfig
from emo.errors import ConfigError, Interrupted
from emo.heads.runs import run_head
from emo.heads.splits import split_clips
from emo.llm.examples import ClipTexts
from emo.llm.recipe import config_to_json
from emo.llm.training.events import StepDone, Stopped
from emo.llm.training.record import RunRecord
from emo.llm.training.runs import Manner, run_llm
from emo.llm.training.stopping import Stop
from emo.pipeline.ablation_runs import KEY_DIGITS
from emo.pipeline.answers import Answer
from emo.pipeline.demo_steps import OnEvent
from emo.pipeline.pseudo_labels import (
    HELD_OUT,
    Drop,
    Threshold,
    believed,
    share_right,
    threshold_on,
)
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
    """One round: labels that the head was sure of, and those on which both agree, with their thresholds.

    `right` is the share that is the hidden label, by step, None where nobody knows.
    """

    number: int
    learnt_from: int
    head: Threshold
    llm: Threshold
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
            "thresholds": {HEAD: self.head.to_json(), LLM: self.llm.to_json()},
            "labelled_by_head": len(self.by_head),
            "agreed": len(self.agreed),
            "dropped": reasons,
            "right": dict(self.right),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Clips by role: `train` and `val` have labels, `unlabelled` have none that anything may see.

    `hidden` are labels that are known of them and only counted against; `drops` were left out beforehand.
    """

    train: tuple[Clip, ...]
    val: tuple[Clip, ...]
    unlabelled: tuple[Clip, ...]
    hidden: Mapping[str, str]
    drops: tuple[Drop, ...]


def pool_of(clips: Sequence[Clip], hide: Collection[str], *, val_share: float, seed: int) -> Pool:
    """Who is learnt from and who is to be labelled: training clips without a label, and those in `hide`.

    A clip of a speaker who is in validation or test is left out: its label would leak into the thresholds.
    ConfigError where `hide` names no training clip, or there is nothing to label.
    """
    training = {clip.clip_id for clip in clips if clip.split in (None, "", "train")}
    if wrong := sorted(set(hide) - training):
        raise ConfigError(
            f"{len(wrong)} clips of the pool are no training clips, the first is {wrong[0]!r}. "
            "Leave them out."
        )
    wanted = [c for c in clips if c.clip_id in training and (c.clip_id in hide or not c.label)]
    if not wanted:
        raise ConfigError("every training clip has a label. Name clips to label anew with --pool FILE.")
    if odd := [c.clip_id for c in wanted if len(c.clip_id.replace(",", " ").split()) != 1]:
        raise ConfigError(f"clip id {odd[0]!r} has a space or comma, which a list of clips cannot hold.")
    chosen = {clip.clip_id for clip in wanted}
    splits = split_clips([c for c in clips if c.clip_id not in chosen], val_share=val_share, seed=seed)
    held = {clip.speaker for clip in (*splits.val, *splits.test) if clip.speaker}
    held |= {clip.speaker for clip in clips if clip.clip_id not in training and clip.speaker}
    return Pool(
        train=tuple(replace(clip, split="train") for clip in splits.train),
        val=tuple(replace(clip, split="val") for clip in splits.val),
        unlabelled=tuple(
            replace(clip, label=None, split="train") for clip in wanted if clip.speaker not in held
        ),
        hidden={clip.clip_id: clip.label for clip in wanted if clip.label},
        drops=tuple(
            Drop(
                clip_id=clip.clip_id,
                round=0,
                step="pool",
                reason=HELD_OUT,
                detail=f"{clip.speaker} is in validation or test",
            )
            for clip in wanted
            if clip.speaker in held
        ),
    )


def refuse_few(pool: Pool, least: int) -> None:
    """ConfigError where validation has fewer than `least` clips: no threshold could ever rest on them."""
    if len(pool.val) < least:
        raise ConfigError(
            f"{len(pool.val)} validation clips are fewer than the {least} that a threshold must rest on. "
            "Give more of them a label, or lower --least-clips."
        )


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
            pool.unlabelled, {HEAD: sure.pool}, {HEAD: sure.threshold}, number=number, step=HEAD
        )
        again = work.llm(by_head, base, recipe)
        both = {HEAD: sure.pool, LLM: again.pool}
        thresholds = {HEAD: sure.threshold, LLM: again.threshold}
        learnt = len(agreed)
        agreed, drops = believed(pool.unlabelled, both, thresholds, number=number, step=BOTH)
        rounds.append(
            Round(
                number=number,
                learnt_from=learnt,
                head=sure.threshold,
                llm=again.threshold,
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
    """What a system says of the pool, and from where it is believed."""

    pool: list[Answer]
    threshold: Threshold


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
        return self._asked(HeadSystem(run.trained))

    def llm(self, labels: Mapping[str, str], base: str, recipe: LlmConfig) -> _Labelled:
        clips = self._training(labels)
        texts = [self._text(clip, labels.get(clip.clip_id)) for clip in clips]
        run = self.folder / f"{LLM}-{self._digest(texts, recipe)}"
        if not RunRecord(run).is_finished:
            self._train_llm(clips, texts, base, recipe, run)
        device, dtype = self.hardware.device, self.hardware.dtype
        return self._asked(load_system(run, base=base, device=device, dtype=dtype))

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

    def _asked(self, system: System) -> _Labelled:
        own = {name: self.spaces[name] for name in system.arrays}
        valid = list(answer_all(system, self.clips.val, own, reasons=False))
        threshold = threshold_on(
            valid,
            [clip.label for clip in self.clips.val],
            precision=self.config.precision,
            least=self.config.least_clips,
        )
        return _Labelled(list(answer_all(system, self.clips.unlabelled, own, reasons=False)), threshold)

    def _step(self, system: str) -> str:
        return f"{self.folder.name}: {system}"


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
