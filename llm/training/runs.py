"""A run of the LLaMA stage: base, recipe and clips in; stages trained one after the other and saved.

The folder of a run holds the final checkpoint, one per stage, `metrics.jsonl` (every event as it happens)
and `recipe.json` (every setting as it was used). Test clips are not even a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from emo.canonical import Json
from emo.clip import Clip
from emo.config.llm import LlmConfig
from emo.errors import ConfigError
from emo.heads.splits import split_clips
from emo.llm.base import Base, load_base
from emo.llm.build import new_model
from emo.llm.checkpoint import Card, load_weights, read_card, refuse_other_features, save_checkpoint
from emo.llm.examples import ClipTexts
from emo.llm.features import Features, open_features, slot_arrays
from emo.llm.mixture import refuse_empty_stages
from emo.llm.model import ParameterCounts
from emo.llm.prompts import template_named
from emo.llm.recipe import config_to_json
from emo.llm.training.course import Course
from emo.llm.training.events import StageDone, StageEvent, as_row
from emo.llm.training.stages import train_stage
from emo.records import usable

if TYPE_CHECKING:
    from emo.heads.loader import FeatureSpace

METRICS, SETTINGS = "metrics.jsonl", "recipe.json"


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The model is built: how many parameters are trained."""

    counts: ParameterCounts


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
    device: str = "cpu",
    dtype: str = "float32",
) -> Iterator[RunStarted | StageEvent]:
    """Train on the clips' train split, choose on val; test clips are left alone.

    `start` is a checkpoint of the same recipe and features to go on from, such as an earlier stage's.

    `texts` are matched to `clips` by id; `spaces` is by feature name; `base` is a directory or a hub id.
    Clips without any usable feature are left out; without spaces the model reads words alone. Raises what
    `split_clips`, `load_base`, `load_features` and `train_stage` raise.
    """
    splits = split_clips(
        [clip for clip in clips if has_features(clip, spaces)], val_share=config.val_share, seed=seed
    )
    if not spaces and not config.text:
        raise ConfigError(
            "no features and no text: nothing to read in a clip. Give --features, or text: true."
        )
    by_id = {text.clip_id: text if config.text else replace(text, text="") for text in texts}
    train = [by_id[clip.clip_id] for clip in splits.train if clip.clip_id in by_id]
    valid = [by_id[clip.clip_id] for clip in splits.val if clip.clip_id in by_id]
    arrays = slot_arrays(tuple(spaces), config.arrays)
    features = open_features(spaces, [text.clip_id for text in (*train, *valid)], arrays, missing_ok=True)
    loaded = load_base(base, dtype=dtype, device=device)
    yield from run_stages(loaded, features, train, valid, config, out, seed=seed, start=start)


def has_features(clip: Clip, spaces: Mapping[str, FeatureSpace]) -> bool:
    """Whether any of the spaces has a usable record of the clip; True where there are no spaces to ask."""
    infos = [space.info(clip.clip_id) for space in spaces.values()]
    return not spaces or any(info is not None and usable(info.status) for info in infos)


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
) -> Iterator[RunStarted | StageEvent]:
    """Train the stages of `config` in order and save each under `out`, the last one as `out` itself too.

    ConfigError where there are no training clips, StaleCache and CheckpointError where `start` is of other
    features or of another shape; raises what `train_stage` raises.
    """
    if not train:
        raise ConfigError(
            "no training clip has both texts and features. Check the ids of --merr and --cache."
        )
    refuse_empty_stages(train, valid, config.stages, config.labels)
    model = new_model(base, features, [clip.clip_id for clip in train], config, seed=seed)
    if start is not None:
        refuse_other_features(read_card(start), features.sources)
        load_weights(model, start)
    out.mkdir(parents=True, exist_ok=True)
    settings = json.dumps(config_to_json(config), indent=1, ensure_ascii=False)
    (out / SETTINGS).write_text(settings + "\n", encoding="utf-8")
    yield RunStarted(model.counts())
    course = Course(
        model=model,
        features=features,
        template=template_named(config.template),
        labels=config.labels,
        train=train,
        valid=valid,
        max_answer_tokens=config.max_answer_tokens,
        official_text=config.official_text,
        seed=seed,
    )
    dims = features.read([train[0].clip_id]).dims
    card = Card(
        config=config,
        dims=dims,
        sources=features.sources,
        base=base.reference,
        base_digest=base.digest,
        seed=seed,
    )
    yield from _trained(course, config, card, out)


def _trained(course: Course, config: LlmConfig, card: Card, out: Path) -> Iterator[StageEvent]:
    """Every stage's events, each written to the metrics before it is reported."""
    kept: dict[str, Json] = {}
    with (out / METRICS).open("a", encoding="utf-8") as metrics:
        for name, stage in config.stages.items():
            for event in train_stage(course, name, stage):
                metrics.write(json.dumps(as_row(event)) + "\n")
                metrics.flush()
                if isinstance(event, StageDone):
                    kept[name] = {"step": event.kept_step, "weighted_f1": event.weighted_f1}
                    save_checkpoint(course.model, replace(card, trained=dict(kept)), out / name)
                yield event
    save_checkpoint(course.model, replace(card, trained=dict(kept)), out)
