"""What is ablated: a head or a LLaMA stage on cached features, trained and asked cell by cell.

Choices are made on validation speakers and every cell answers for the same test clips. Keeps no results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, cast

from emo.cache import Space
from emo.canonical import Json, sha256_json
from emo.clip import Clip
from emo.config.hardware import HardwareConfig
from emo.config.heads import HeadConfig
from emo.config.llm import LlmConfig
from emo.errors import ConfigError, Interrupted
from emo.heads.loaded import arrays_for
from emo.heads.models import head_reads
from emo.heads.runs import run_head
from emo.heads.splits import split_clips
from emo.heads.trained import EpochMetrics
from emo.llm.base import directory_digest, load_base
from emo.llm.build import new_model
from emo.llm.card import Card
from emo.llm.examples import ClipTexts
from emo.llm.features import open_features, slot_arrays
from emo.llm.recipe import config_to_json
from emo.llm.training.events import StepDone, Stopped
from emo.llm.training.forecast import forecast
from emo.llm.training.record import RunRecord
from emo.llm.training.runs import Manner, run_llm
from emo.llm.training.split import texts_by_split
from emo.llm.training.stopping import Stop
from emo.pipeline.ablation_cells import Cell
from emo.pipeline.systems import LlamaSystem, System, answer_all, load_system

RUN = "run"
OnStep = Callable[[float, float, str], None]  # done, total, a few words


class Study(Protocol):
    """What is ablated: it trains and asks one cell, and says what decides the result."""

    @property
    def test(self) -> Sequence[Clip]:
        """The clips that every cell answers for."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it may answer with."""

    def identity(self, cell: Cell, seed: int) -> dict[str, Json]:
        """Everything that decides the answers of a cell."""

    def answers(self, cell: Cell, seed: int, folder: Path, on_step: OnStep) -> list[str | None]:
        """Train the cell in `folder`, go on where it was, and answer for the test clips."""

    def seconds(self, cell: Cell) -> float | None:
        """Seconds that training it would take; None where that cannot be told before."""


def test_clips(clips: Sequence[Clip]) -> list[Clip]:
    """The labelled clips that are neither trained nor validated on; ConfigError where there are none."""
    test = list(split_clips(clips, val_share=0.5, seed=0).test)
    if not test:
        raise ConfigError("no clip with a label is in a test split. An ablation is scored on test clips.")
    return test


class HeadStudy:
    """A classifier head on the spaces of a cache."""

    def __init__(
        self,
        clips: Sequence[Clip],
        spaces: Mapping[str, Space],
        labels: Sequence[str],
        config: HeadConfig,
        *,
        stop: Stop | None = None,
    ) -> None:
        self.test = test_clips(clips)
        self.labels = tuple(labels)
        self._clips, self._config = clips, config
        self._stop = stop or Stop()
        self._spaces = _Spaces(clips, spaces)

    def identity(self, cell: Cell, seed: int) -> dict[str, Json]:
        """As Study."""
        return {
            "system": "head",
            "config": cast(Json, asdict(replace(self._config, seed=seed))),
            "labels": list(self.labels),
            **self._spaces.identity(
                cell.features,
                arrays_for(self._spaces.of(cell), self._config.arrays, head_reads(self._config.head)),
            ),
        }

    def answers(self, cell: Cell, seed: int, folder: Path, on_step: OnStep) -> list[str | None]:
        """As Study. Interrupted where the run was asked to stop: the cell is trained anew the next time."""
        config = replace(self._config, seed=seed)

        def told(metrics: EpochMetrics) -> None:
            on_step(metrics.epoch, config.epochs, "")
            if self._stop.reason:
                raise Interrupted(f"stopped by {self._stop.reason}; finished cells are kept.")

        run = run_head(self._clips, self._spaces.of(cell), self.labels, config, on_epoch=told)
        run.trained.save(folder)
        return [run.predicted[clip.clip_id] for clip in self.test]

    def seconds(self, cell: Cell) -> float | None:
        """As Study: how many epochs a head takes is not known before."""
        return None


class LlmStudy:
    """A LLaMA stage on one base. `texts` are what is learnt from, by name; each is of the same clips."""

    def __init__(
        self,
        clips: Sequence[Clip],
        spaces: Mapping[str, Space],
        texts: Mapping[str, Sequence[ClipTexts]],
        base: str,
        recipe: LlmConfig,
        *,
        hardware: HardwareConfig | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.test = test_clips(clips)
        self.labels = recipe.labels
        self._clips, self._texts, self._base, self._recipe = clips, texts, base, recipe
        self._hardware = hardware or HardwareConfig()
        self._stop = stop or Stop()
        self._spaces = _Spaces(clips, spaces)
        self._base_digest = directory_digest(Path(base)) if Path(base).is_dir() else base
        self._text_digests = {name: sha256_json([asdict(one) for one in few]) for name, few in texts.items()}

    def identity(self, cell: Cell, seed: int) -> dict[str, Json]:
        """As Study."""
        recipe = cell.recipe(self._recipe)
        return {
            "system": "llm",
            "recipe": {key: value for key, value in config_to_json(recipe).items() if key != "aims_at"},
            "seed": seed,
            "base": self._base_digest,
            "dtype": self._hardware.dtype,
            "texts": self._text_digests[cell.texts],
            **self._spaces.identity(cell.features, slot_arrays(cell.features, recipe.arrays)),
        }

    def answers(self, cell: Cell, seed: int, folder: Path, on_step: OnStep) -> list[str | None]:
        """As Study. Interrupted where the run was asked to stop: the next one goes on."""
        recipe, own = cell.recipe(self._recipe), self._spaces.of(cell)
        system = self._untrained(cell, recipe, seed)
        if system is None:
            run = folder / RUN
            if not RunRecord(run).is_finished:
                self._train(cell, recipe, seed, run, on_step)
            hardware = self._hardware
            system = load_system(run, base=self._base, device=hardware.device, dtype=hardware.dtype)
        return [answer.label for answer in answer_all(system, self.test, own, reasons=False)]

    def seconds(self, cell: Cell) -> float | None:
        """As Study, by the forecast of `emo train-llm --dry-run`."""
        recipe, texts = cell.recipe(self._recipe), self._texts[cell.texts]
        if not recipe.stages:
            return 0.0
        found = forecast(
            self._clips,
            texts,
            self._spaces.of(cell),
            self._base,
            recipe,
            seed=0,
            hardware=self._hardware,
        )
        known = [stage.seconds for stage in found.stages if stage.seconds is not None]
        return sum(known) if len(known) == len(found.stages) else None

    def _train(self, cell: Cell, recipe: LlmConfig, seed: int, run: Path, on_step: OnStep) -> None:
        total, done = sum(stage.steps for stage in recipe.stages.values()), 0
        events = run_llm(
            self._clips,
            self._texts[cell.texts],
            self._spaces.of(cell),
            self._base,
            recipe,
            run,
            seed=seed,
            hardware=self._hardware,
            manner=Manner(stop=self._stop),
        )
        for event in events:
            if isinstance(event, StepDone):
                done += 1
                on_step(done, total, f"{event.stage}, loss {event.loss:.3f}")
            elif isinstance(event, Stopped):
                raise Interrupted(f"stopped by {event.reason}; {run} goes on with the same command.")

    def _untrained(self, cell: Cell, recipe: LlmConfig, seed: int) -> System | None:
        """The model as it starts, where the cell trains no stage."""
        if recipe.stages:
            return None
        own = self._spaces.of(cell)
        train, _ = texts_by_split(self._clips, self._texts[cell.texts], own, recipe, seed=seed)
        if not train:
            raise ConfigError("no training clip has features. Check the ids of --cache.")
        ids = [text.clip_id for text in train]
        features = open_features(own, ids, slot_arrays(tuple(own), recipe.arrays), missing_ok=True)
        base = load_base(self._base, dtype=self._hardware.dtype, device=self._hardware.device)
        model = new_model(base, features, ids, recipe, seed=seed)
        card = Card(
            config=recipe,
            dims=features.read(ids[:1]).dims,
            sources=features.sources,
            base=base.reference,
            base_digest=base.digest,
            seed=seed,
        )
        return LlamaSystem(model, card)


@dataclass(frozen=True, slots=True)
class _Spaces:
    """Feature spaces and what decides their part of a result, looked at once."""

    clips: Sequence[Clip]
    spaces: Mapping[str, Space]
    digests: dict[str, Json] = field(default_factory=dict)

    def of(self, cell: Cell) -> dict[str, Space]:
        return {name: self.spaces[name] for name in cell.features}

    def identity(self, features: Sequence[str], arrays: Mapping[str, str]) -> dict[str, Json]:
        for name in (*features, ""):
            if name not in self.digests:
                self.digests[name] = self._digest(name)
        return {"clips": self.digests[""], "features": {n: [arrays[n], self.digests[n]] for n in features}}

    def _digest(self, name: str) -> str:
        if not name:
            rows: list[Json] = [[c.clip_id, c.text, c.label, c.speaker, c.split] for c in self.clips]
            return sha256_json(rows)
        space = self.spaces[name]
        infos = [space.info(clip.clip_id) for clip in self.clips]
        made_of: list[Json] = [None if i is None else [i.status, i.input_sha256.hex()] for i in infos]
        return sha256_json([space.spec.fingerprint, made_of])
