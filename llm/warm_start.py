"""Warm start: a run of the LLaMA stage that begins with the projectors of `emo train-head projector`.

Only what fits is taken: the same LLaMA, the same recipes of features, the same kinds of projectors. Trains
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from emo.config.llm import LlmConfig
from emo.errors import CheckpointError, ConfigError
from emo.heads.aligned import AlignedProjectors
from emo.heads.batches import Source
from emo.heads.fitting import refuse_other_features
from emo.heads.projectors import kind_of
from emo.heads.standardise import Standardiser
from emo.llm.base import Base
from emo.llm.model import EmotionLlama
from emo.llm.weight_files import refuse_misfit
from emo.run_clips import read_run_clips


def recipe_with(config: LlmConfig, trained: AlignedProjectors, folder: Path) -> LlmConfig:
    """The recipe with the kinds of projectors in `folder`, where it says none itself; ConfigError where it
    says another one, or z-scores features otherwise."""
    kinds = {slot: kind_of(slot, trained.config.kinds) for slot in trained.slots if slot in config.slots}
    wrong = [
        f"projectors.{slot}: {config.projectors[slot]}, but {folder} has {kind}."
        for slot, kind in kinds.items()
        if config.projectors.get(slot, kind) != kind
    ]
    if config.standardise is (trained.standardiser is None):
        wrong.append(f"standardise: {str(config.standardise).lower()}, and {folder} was trained otherwise.")
    if wrong:
        raise ConfigError(*wrong, "Train the projectors with this recipe: emo train-head projector --recipe")
    own = {slot: kind for slot, kind in kinds.items() if kind != kind_of(slot)}
    return replace(config, projectors={**own, **config.projectors})


def refuse_other_world(
    trained: AlignedProjectors,
    folder: Path,
    base: Base,
    sources: Mapping[str, Source],
    valid: Sequence[str],
) -> None:
    """StaleCache where features are of another recipe, CheckpointError where the LLaMA is another one, and
    ConfigError where clips that are to be validated on were trained on."""
    refuse_other_features(trained.sources, sources)
    if trained.receiver.digest != base.digest:
        raise CheckpointError(
            f"{folder} was aligned with a LLaMA with digest {trained.receiver.digest[:16]}, {base.reference} "
            f"has {base.digest[:16]}. Train projectors for this one, or force it."
        )
    shared = set(valid) & set(read_run_clips(folder).get("train", ()))
    if shared:
        raise ConfigError(
            f"{folder} was trained on {len(shared)} of the {len(valid)} validation clips, the first: "
            f"{min(shared)}. Train it with the same manifest and --seed, or force it."
        )


def begin_with(model: EmotionLlama, trained: AlignedProjectors, folder: Path) -> tuple[str, ...]:
    """Put trained projectors, and the figures their features are z-scored with, into a fresh model.

    Returns the slots that `trained` brings nothing for. CheckpointError names every tensor that does not fit.
    """
    theirs = {slot: part for slot, part in trained.model.projectors.items() if slot in model.projectors}
    if not theirs:
        raise ConfigError(f"{folder} has {', '.join(trained.slots)}, none of them a slot of this run.")
    for slot, part in theirs.items():
        mine, given = model.projectors[slot].state_dict(), part.state_dict()
        refuse_misfit(
            {f"{slot}.{key}": value for key, value in mine.items()},
            {f"{slot}.{key}": value for key, value in given.items()},
            folder,
        )
        model.projectors[slot].load_state_dict(given)
    if model.standardiser is not None and trained.standardiser is not None:
        model.standardiser = _replaced(model.standardiser, trained.standardiser)
    return tuple(slot for slot in model.projectors if slot not in theirs)


def _replaced(own: Standardiser, theirs: Standardiser) -> Standardiser:
    """`own` with the figures of the features that `theirs` knows."""
    known = own.mean.keys() & theirs.mean.keys()
    return Standardiser(
        {name: theirs.mean[name] if name in known else value for name, value in own.mean.items()},
        {name: theirs.scale[name] if name in known else value for name, value in own.scale.items()},
    )
