"""A run of the LLaMA stage: base, recipe and clips in; stages trained one after the other and saved.

Run again with the same folder it goes on where it was, bit for bit; docs/runs.md says what the folder holds.
Test clips are not even a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, cast

import torch

from emo.canonical import Json
from emo.clip import Clip
from emo.config.hardware import HardwareConfig
from emo.config.llm import LlmConfig
from emo.errors import ConfigError
from emo.heads.aligned import AlignedProjectors
from emo.heads.fitting import refuse_other_features
from emo.llm.base import Base, directory_digest, load_base
from emo.llm.build import new_model
from emo.llm.card import CARD, Card, read_card, refuse_other_base
from emo.llm.checkpoint import load_weights
from emo.llm.examples import ClipTexts
from emo.llm.features import Features, open_features, slot_arrays
from emo.llm.mixture import refuse_empty_stages
from emo.llm.model import EmotionLlama, ParameterCounts
from emo.llm.prompts import template_named
from emo.llm.recipe import config_to_json
from emo.llm.training.course import Course
from emo.llm.training.distributed import ALONE, Crew, assembled
from emo.llm.training.events import StageEvent
from emo.llm.training.hardware import prepare, refuse_frozen_slices
from emo.llm.training.record import RunRecord, alone_in, identity
from emo.llm.training.saving import remove
from emo.llm.training.seen import clips_seen, note_beginning
from emo.llm.training.split import texts_by_split
from emo.llm.training.stopping import Stop
from emo.llm.training.underway import STATES, RunUnderWay
from emo.llm.warm_start import begin_with, recipe_with, refuse_other_world
from emo.run_clips import write_run_clips

if TYPE_CHECKING:
    from emo.heads.loader import FeatureSpace


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The model is built: how many parameters are trained, and which slots the starting checkpoint, a
    partial one, left fresh."""

    counts: ParameterCounts
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How a run is carried out, which changes nothing about its result.

    `fresh` starts over in a folder that holds a run; a state is saved every `save_every` steps, at the end
    of a stage, and when `stop` is asked for. `options` are what the command was given, for run.json.
    """

    fresh: bool = False
    save_every: int = 200
    stop: Stop = field(default_factory=Stop)
    options: Mapping[str, Json] = field(default_factory=dict)


def chosen_stages(config: LlmConfig, stage: str) -> LlmConfig:
    """The recipe with only the stage of that name, or as it is for "both"; ConfigError for another name."""
    if stage == "both":
        return config
    if stage not in config.stages:
        raise ConfigError(f"the recipe has the stages {', '.join(config.stages)}, not {stage!r}.")
    return replace(config, stages={stage: config.stages[stage]})


def stage_before(config: LlmConfig, stage: str) -> str | None:
    """The stage that comes before `stage` in the recipe; None for the first and for "both"."""
    names = list(config.stages)
    return names[names.index(stage) - 1] if stage in names[1:] else None


def run_llm(
    clips: Sequence[Clip],
    texts: Sequence[ClipTexts],
    spaces: Mapping[str, FeatureSpace],
    base: str,
    config: LlmConfig,
    out: Path,
    *,
    seed: int,
    start: Path | None = None,
    force: bool = False,
    projectors: Path | None = None,
    hardware: HardwareConfig | None = None,
    manner: Manner | None = None,
    augmented: Mapping[str, Sequence[FeatureSpace]] = MappingProxyType({}),
) -> Iterator[RunStarted | StageEvent]:
    """Train on the clips' train split, choose on val; test clips are left alone.

    `start` is a checkpoint of the same recipe, LLaMA and features to begin with, such as an earlier stage's;
    `force` takes one of another LLaMA or of other features. `projectors` is a run of aligned projectors to
    begin with, as emo.llm.warm_start takes it.

    `texts` are matched to `clips` by id; `spaces` is by feature name, and so is `augmented`: further spaces
    of a feature that training samples and nothing is chosen on. `base` is a directory or a hub id.
    Clips without any usable feature are left out; without spaces the model reads words alone. Raises what
    `split_clips`, `load_base`, `load_features` and `train_stage` raise.
    """
    train, valid = texts_by_split(clips, texts, spaces, config, seed=seed)
    arrays = slot_arrays(tuple(spaces), config.arrays)
    features = open_features(spaces, [text.clip_id for text in (*train, *valid)], arrays, missing_ok=True)
    ids = [text.clip_id for text in train]
    versions = [
        open_features({name: space}, ids, {name: arrays[name]}, missing_ok=True)
        for name, more in augmented.items()
        for space in more
    ]
    hardware = hardware or HardwareConfig()
    refuse_frozen_slices(hardware, config)
    with assembled(hardware) as crew:
        device = "cpu" if crew.sliced else str(crew.device)  # layer by layer to the ranks, later
        loaded = load_base(base, dtype=hardware.dtype, device=device, bits=hardware.bits)
        yield from run_stages(
            loaded,
            features,
            train,
            valid,
            config,
            out,
            seed=seed,
            start=start,
            force=force,
            projectors=projectors,
            hardware=hardware,
            crew=crew,
            manner=manner,
            augmented=versions,
        )


def run_stages(
    base: Base,
    features: Features,
    train: Sequence[ClipTexts],
    valid: Sequence[ClipTexts],
    config: LlmConfig,
    out: Path,
    *,
    seed: int,
    start: Path | None = None,
    force: bool = False,
    projectors: Path | None = None,
    hardware: HardwareConfig | None = None,
    crew: Crew = ALONE,
    manner: Manner | None = None,
    augmented: Sequence[Features] = (),
) -> Iterator[RunStarted | StageEvent]:
    """Train the stages of `config` in order and save each under `out`, the last one as `out` itself too.

    Goes on where an earlier process of the same run was; ends with a Stopped where it was asked to stop.
    ConfigError where there are no training clips or `out` holds another run or this one finished;
    CheckpointError where `start` is of another shape, and unless `force` StaleCache and CheckpointError where
    it is of other features or of another LLaMA, which goes for `projectors` too; raises what `train_stage`
    raises.
    """
    if not train:
        raise ConfigError(
            "no training clip has both texts and features. Check the ids of --merr and --cache."
        )
    refuse_empty_stages(train, valid, config.stages, config.labels)
    manner, hardware = manner or Manner(), hardware or HardwareConfig()
    given = _Given(base, features, train, valid, config, seed, tuple(augmented))
    elsewhere = None if start is None or _is_in(start, out) else start
    if elsewhere is not None and projectors is not None:
        raise ConfigError(f"{elsewhere} has projectors of its own. Begin with it or with {projectors}.")
    mine = given.identity(elsewhere, projectors)
    with alone_in(out) if crew.is_first else nullcontext():
        record = _record(out, mine, config, start, manner, writes=crew.is_first)
        over = [name for name in config.stages if name in record.done]
        beginning = out / over[-1] if over else start
        begun = None if beginning is None else given.card_of(beginning, force=force)
        model = new_model(base, features, [clip.clip_id for clip in train], config, seed=seed)
        if beginning is not None:
            fresh = load_weights(model, beginning)
        else:
            fresh = () if projectors is None else given.aligned(model, projectors, force=force)
        prepare(model, hardware, crew)
        course, card = given.course(model, crew), given.card(begun)
        crew.barrier()  # every rank has read run.json before the first one writes it
        notes = record.begin(mine, config, _circumstances(model, hardware, crew), manner.options)
        seen = clips_seen(train, valid, [one for one in (elsewhere, projectors) if one is not None])
        if crew.is_first:
            note_beginning(out, seen)
        yield RunStarted(model.counts(), fresh)
        yield from RunUnderWay(course, card, record, manner.save_every, manner.stop).events(notes)
        if crew.is_first and record.is_finished:
            write_run_clips(out, seen)


class _Given(NamedTuple):
    """What decides the result of a run, beside the checkpoint that it begins with."""

    base: Base
    features: Features
    train: Sequence[ClipTexts]
    valid: Sequence[ClipTexts]
    config: LlmConfig
    seed: int
    augmented: tuple[Features, ...] = ()

    def identity(self, start: Path | None, projectors: Path | None) -> dict[str, Json]:
        """The run's identity; `start` and `projectors` are of other runs that it begins with."""
        return identity(
            self.config,
            seed=self.seed,
            base_digest=self.base.digest,
            sources=self.features.sources,
            train=self.train,
            valid=self.valid,
            start=None if start is None else directory_digest(start),
            projectors=None if projectors is None else directory_digest(projectors),
            augmented=[each.sources for each in self.augmented],
        )

    def card_of(self, beginning: Path, *, force: bool) -> Card:
        """The card of the checkpoint to begin with. Errors of a misfit as `run_stages`."""
        card = read_card(beginning)
        if not force:
            refuse_other_features(card.sources, self.features.sources)
            refuse_other_base(card, beginning, self.base)
        return card

    def aligned(self, model: EmotionLlama, folder: Path, *, force: bool) -> tuple[str, ...]:
        """Begin with the projectors in `folder`; the slots it has none for. Errors of a misfit as
        `run_stages`."""
        trained = AlignedProjectors.load(folder)
        recipe_with(self.config, trained, folder)
        if not force:
            valid = [clip.clip_id for clip in self.valid]
            refuse_other_world(trained, folder, self.base, self.features.sources, valid)
        return begin_with(model, trained, folder)

    def course(self, model: EmotionLlama, crew: Crew) -> Course:
        """The fixed parts of the run."""
        return Course(
            model=model,
            features=self.features,
            template=template_named(self.config.template, self.config.slots),
            labels=self.config.labels,
            train=self.train,
            valid=self.valid,
            augmented=self.augmented,
            max_answer_tokens=self.config.max_answer_tokens,
            official_text=self.config.official_text,
            seed=self.seed,
            crew=crew,
        )

    def card(self, begun: Card | None) -> Card:
        """The card of the run's checkpoints; `begun` is that of the one it began with."""
        return Card(
            config=self.config,
            dims=self.features.read([self.train[0].clip_id]).dims,
            sources=self.features.sources,
            base=self.base.reference,
            base_digest=self.base.digest,
            seed=self.seed,
            start=None if begun is None else begun.origin or begun.start,
        )


def _record(
    out: Path,
    mine: Mapping[str, Json],
    config: LlmConfig,
    start: Path | None,
    manner: Manner,
    *,
    writes: bool,
) -> RunRecord:
    """The folder's record, where it can take this run."""
    record = RunRecord(out, writes=writes)
    if manner.fresh:
        record.start_over(mine, list(config.stages))
        if writes:
            remove(out / STATES)
    elif record.is_new and (out / CARD).exists() and not (start is not None and _is_in(start, out)):
        raise ConfigError(
            f"{out} holds a checkpoint but no record of its run. Give another --out, or --fresh to start "
            "over."
        )
    stages = config_to_json(config)["stages"]
    record.refuse_another(mine, cast(dict[str, Json], stages))
    if start is not None and _is_in(start, out) and start.name not in record.done:
        raise ConfigError(
            f"{start} is not of this run, which has trained no stage {start.name}. Train that first: emo "
            f"train-llm --stage {start.name}, or give another --out with --init-from {start}."
        )
    return record


def _is_in(start: Path, out: Path) -> bool:
    """Whether a checkpoint is an earlier stage's of the same folder."""
    return start.resolve().parent == out.resolve()


def _circumstances(model: EmotionLlama, hardware: HardwareConfig, crew: Crew) -> dict[str, Json]:
    """What a run may change from one process to the next, at the price of the last bits of its numbers."""
    device = model.device.type
    return {
        "device": device,
        "dtype": str(next(model.words.parameters()).dtype).removeprefix("torch."),
        "ranks": crew.ranks,
        "strategy": hardware.strategy if crew.ranks > 1 else None,
        "bits": hardware.bits,
        "threads": torch.get_num_threads() if device == "cpu" else None,
    }
