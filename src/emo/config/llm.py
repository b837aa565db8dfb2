"""Settings of the LLaMA stage. The recipes override them; the defaults are those of the official code.

Source of the defaults: Emotion-LLaMA at commit 4ee28d2, train_configs/Emotion-LLaMA_finetune.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from emo.labels import MERR

SLOTS = ("eva_patches", "mae", "videomae", "hubert", "eva_class")
ALL, COARSE, FINE, LABELLED = "all", "coarse", "fine", "labelled"
SETS_WITHOUT_LIST = (ALL, COARSE, FINE, LABELLED)  # sets of clips that need no list to be known


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraSettings:
    """Low-rank adapters on the frozen LLaMA; the official scale is alpha / rank = 0.25."""

    rank: int = 64
    alpha: int = 16
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "v_proj")


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """One training stage: `tasks` maps a task of emo.llm.prompts to its share of the examples.

    Which clips: `clips` is `all`, `coarse` or `fine` (an entry in that MERR file), `labelled` (a label in the
    manifest), or the name of a list given with `--list NAME=FILE`. `sample_ratios` maps such sets to their
    share of an epoch's examples; without it every clip comes once. `labels_from` takes the labels of a list,
    such as pseudo-labels, instead of the manifest's. Clips of the labels in `leave_out` are not trained on.

    Which questions: `labels` replaces the recipe's label set in this stage. `neutral_free` is the share of
    questions about clips of another class that leave `neutral` out of the labels they name.
    `fixed_instruction` asks every question in the official words instead of drawing from the pool.
    `tasks_per_clip` asks that many different tasks about a clip, one after the other (fewer where it has
    no more answers).

    Which weights: `frozen` names parts that this stage leaves as they are: `lora`, `projectors`, or the
    projector of one slot. `modality_dropout` hides a feature with this chance, the same for all or by
    feature; a clip keeps at least one.

    How a step is laid out: `packed` puts examples into rows of at most `row_tokens` tokens without padding,
    and the tasks of a clip share what they begin with; `padded` is one batch with lengths grouped.
    `batch_size` is clips in a step, however many rows that makes; `rows_per_step` above 0 makes steps of that
    many full rows instead, for a GPU.

    `steps` are optimiser steps. The learning rate rises from `warmup_lr` to `peak_lr` over
    `warmup_steps` and falls to `min_lr` along a half cosine. `validate_every` 0 validates at the end only.
    """

    tasks: Mapping[str, float]
    clips: str = "all"
    sample_ratios: Mapping[str, float] = field(default_factory=dict)
    labels_from: str = ""
    leave_out: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    neutral_free: float = 0.0
    fixed_instruction: bool = False
    tasks_per_clip: int = 1
    frozen: tuple[str, ...] = ()
    modality_dropout: float | Mapping[str, float] = 0.0
    layout: Literal["packed", "padded"] = "packed"
    row_tokens: int = 16_384
    rows_per_step: int = 0
    steps: int = 30_000
    batch_size: int = 4
    peak_lr: float = 1e-5
    min_lr: float = 1e-6
    warmup_lr: float = 1e-6
    warmup_steps: int = 1000
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.05
    clip_norm: float | None = None
    validate_every: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class LlmConfig:
    """A recipe: what the LLaMA is made of and the stages it goes through, in order.

    `arrays` replaces the array that fills a feature's slots, as in {mae: "frames:mean+apex"}; `projectors`
    replaces the kind of projector that fills a slot, as in {eva_patches: attention}.

    `standardise` z-scores the features with figures of the training clips; `projector_scale` starts the
    projectors at that multiple of the word embeddings' spread (None: PyTorch's default). Both are off
    in the official code and both are needed where the base is small. `val_share` of the training speakers
    is held out where the manifest has no validation split. `official_text` cleans answers as the official
    code does: lower case, no full stops, at most 200 words. Without `text` the subtitle is left out of every
    prompt, in training and in prediction.
    """

    aims_at: str = ""
    labels: tuple[str, ...] = MERR
    template: str = "emo"
    slots: tuple[str, ...] = SLOTS
    lora: LoraSettings = field(default_factory=LoraSettings)
    arrays: Mapping[str, str] = field(default_factory=dict)
    projectors: Mapping[str, str] = field(default_factory=dict)
    standardise: bool = False
    projector_scale: float | None = None
    max_answer_tokens: int = 1024
    official_text: bool = False
    text: bool = True
    val_share: float = 0.2
    stages: Mapping[str, StageConfig] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyBaseConfig:
    """A small LLaMA for machines without a real one: size, tokenizer and pre-training.

    In the pre-training loss a token of the prompt weighs `prompt_weight`, a label in an answer
    `label_weight`, any other token of an answer 1. `clue_purity` is the share of clue words that are of the
    clip's own class, `max_clues` the largest number of them where the image patches will stand.
    `initializer_range` is the weights' first standard deviation, about 1 / sqrt(hidden): with the 0.02 of
    large models attention this narrow starts so flat that nothing is copied for a hundred steps.
    """

    hidden: int = 256
    layers: int = 4
    heads: int = 4
    intermediate: int = 688
    vocabulary: int = 760
    positions: int = 1024
    initializer_range: float = 0.06
    steps: int = 160
    batch_size: int = 32
    peak_lr: float = 3e-3
    warmup_steps: int = 20
    weight_decay: float = 0.05
    prompt_weight: float = 0.3
    label_weight: float = 8.0
    clue_purity: float = 0.5
    max_clues: int = 16
    template: str = "emo"
    seed: int = 0
