"""What is wrong with a recipe that types cannot say: names that mean nothing, figures out of range.

Every mistake is a sentence that begins with the place of the setting. Reads no files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from emo.config.llm import ALL, SLOTS, LlmConfig, StageConfig
from emo.errors import hint
from emo.heads.projectors import misfit, slot_source
from emo.llm.examples import NEUTRAL
from emo.llm.parts import LORA, PARTS, PROJECTORS
from emo.llm.prompts import TASKS, TEMPLATES

COUNTS = ("steps", "batch_size", "tasks_per_clip", "row_tokens")
NOT_NEGATIVE = (
    "peak_lr",
    "min_lr",
    "warmup_lr",
    "warmup_steps",
    "weight_decay",
    "validate_every",
    "rows_per_step",
)


def contradictions(config: LlmConfig) -> list[str]:
    """Every mistake in the recipe."""
    mistakes = _names("template", [config.template], TEMPLATES)
    mistakes += _names("slots", config.slots, SLOTS)
    mistakes += _names("arrays", config.arrays, _features(config))
    mistakes += _names("projectors", config.projectors, config.slots)
    mistakes += [
        f"projectors.{slot}: {why}."
        for slot, kind in config.projectors.items()
        if slot in config.slots and (why := misfit(slot, kind))
    ]
    mistakes += _label_set(config.labels)
    if not config.labels:
        mistakes.append("labels: none. Give at least one.")
    if not 0 < config.val_share < 1:
        mistakes.append(f"val_share: {config.val_share} is not between 0 and 1.")
    if config.lora.rank < 1:
        mistakes.append("lora.rank: must be at least 1.")
    if not config.lora.targets:
        mistakes.append("lora.targets: none. Name at least one module, such as q_proj.")
    mistakes += [f"lora.{mistake}" for mistake in _chances("dropout", {"": config.lora.dropout})]
    if not config.stages:
        mistakes.append("stages: none. Give at least one.")
    for name, stage in config.stages.items():
        mistakes += [f"stages.{name}.{mistake}" for mistake in _of_stage(stage, config)]
    return mistakes


def _of_stage(stage: StageConfig, config: LlmConfig) -> list[str]:
    mistakes = _names("tasks", stage.tasks, TASKS)
    mistakes += _shares("tasks", stage.tasks)
    mistakes += [f"{key}: must be at least 1." for key in COUNTS if getattr(stage, key) < 1]
    mistakes += [f"{key}: must not be negative." for key in NOT_NEGATIVE if getattr(stage, key) < 0]
    if stage.clip_norm is not None and stage.clip_norm <= 0:
        mistakes.append("clip_norm: must be above 0, or left out.")
    return mistakes + _of_mixture(stage, config) + _of_weights(stage, config)


def _of_mixture(stage: StageConfig, config: LlmConfig) -> list[str]:
    mistakes = _label_set(stage.labels) + _chances("neutral_free", {"": stage.neutral_free})
    if stage.neutral_free and NEUTRAL not in (stage.labels or config.labels):
        mistakes.append(f"neutral_free: the labels have no {NEUTRAL!r} to leave out.")
    if stage.sample_ratios:
        mistakes += _shares("sample_ratios", stage.sample_ratios)
    if ALL in stage.sample_ratios:
        mistakes.append(f"sample_ratios: {ALL!r} is no set of its own. Name the sets that are mixed.")
    return mistakes


def _of_weights(stage: StageConfig, config: LlmConfig) -> list[str]:
    mistakes = _names("frozen", stage.frozen, PARTS)
    frozen = set(stage.frozen)
    if LORA in frozen and (PROJECTORS in frozen or frozen.issuperset(config.slots)):
        mistakes.append("frozen: adapters and projectors, so that nothing is left to train.")
    dropout = stage.modality_dropout
    if isinstance(dropout, Mapping):
        return [
            *mistakes,
            *_names("modality_dropout", dropout, _features(config)),
            *_chances("modality_dropout", dropout),
        ]
    return mistakes + _chances("modality_dropout", {"": dropout})


def _features(config: LlmConfig) -> list[str]:
    """The features that fill the recipe's slots."""
    return list(dict.fromkeys(slot_source(slot)[0] for slot in config.slots))


def _names(place: str, given: Iterable[str], known: Collection[str]) -> list[str]:
    return [f"{place}: no {name!r}; {hint(name, known)}" for name in given if name not in known]


def _label_set(labels: tuple[str, ...]) -> list[str]:
    return [] if len(set(labels)) == len(labels) else ["labels: give each label once."]


def _shares(place: str, shares: Mapping[str, float]) -> list[str]:
    wrong = min(shares.values(), default=0) < 0 or not any(shares.values())
    return [f"{place}: shares must not be negative and one must be above 0."] if wrong else []


def _chances(place: str, chances: Mapping[str, float]) -> list[str]:
    return [
        f"{place}{f'.{name}' if name else ''}: {chance} is no share between 0 and 1."
        for name, chance in chances.items()
        if not 0 <= chance <= 1
    ]
