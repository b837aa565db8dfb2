"""What a run would be before it is one: parameters, memory, steps, tokens and time. Writes nothing.

Token counts are those of the plan itself, the first epoch of each stage; the model is built without weights,
so a 7B one needs its config and tokenizer only. Memory and operations come from emo.llm.training.footprint.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, cast

import torch

from emo.clip import Clip
from emo.config.hardware import HardwareConfig
from emo.config.llm import LlmConfig, StageConfig
from emo.errors import ConfigError
from emo.heads.projectors import Projector
from emo.llm.base import Base, load_shape
from emo.llm.build import assemble
from emo.llm.examples import ClipTexts
from emo.llm.features import CachedFeatures, Features, slot_arrays
from emo.llm.model import ParameterCounts
from emo.llm.packing.balance import imbalance, shares
from emo.llm.prompts import template_named
from emo.llm.splice import feature_of
from emo.llm.training.course import Course
from emo.llm.training.footprint import FROZEN, Memory, Shape, flops, memory, shape_of
from emo.llm.training.forward import answer_tokens, clips_of
from emo.llm.training.hardware import refuse_frozen_slices
from emo.llm.training.plan import Micro, epoch_steps, micro_lengths
from emo.llm.training.split import texts_by_split

if TYPE_CHECKING:
    from emo.heads.loader import FeatureSpace

UTILISATION = 0.4  # of the measured GEMM: what a packed 16-bit step is held to on a GPU
GEMM = {"cuda": 8192, "cpu": 768}  # side of the matrices that are timed
GEMM_ROUNDS = 5
GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class StageForecast:
    """One stage. Tokens are those that go through the LLaMA; `useful` is the share that is no padding.

    `answers`, `tokens` and `supervised` are of all steps together. `imbalance` is tokens of the fullest
    rank over the mean; `seconds` of training, without validation, None where the device is not here.
    """

    name: str
    steps: int
    epochs: float
    answers: int
    tokens: int
    supervised: int
    longest_row: int
    useful: float
    imbalance: float
    flops: float
    seconds: float | None
    memory: Memory


@dataclass(frozen=True, slots=True)
class Forecast:
    """A run on `ranks` ranks; `gemm` is the measured FLOPs a second of one, None where it is not here."""

    counts: ParameterCounts
    stages: tuple[StageForecast, ...]
    ranks: int
    gemm: float | None

    def as_json(self) -> dict[str, object]:
        """Everything, bytes as numbers."""
        return {
            "parameters": {
                "llama": self.counts.llama - self.counts.lora,
                "lora": self.counts.lora,
                "projectors": self.counts.projectors,
            },
            "ranks": self.ranks,
            "gemm_flops_per_s": self.gemm,
            "assumed_utilisation": UTILISATION,
            "stages": [
                {**asdict(stage), "memory": {**asdict(stage.memory), "total": stage.memory.total}}
                for stage in self.stages
            ],
        }

    def lines(self) -> Iterator[str]:
        """The same for people."""
        yield self.counts.sentence()
        for stage in self.stages:
            need = stage.memory
            yield (
                f"{stage.name}: {stage.steps:,} steps, {stage.epochs:.1f} epochs, {stage.answers:,} "
                f"answers, {stage.tokens:,} tokens ({stage.supervised:,} supervised), longest row "
                f"{stage.longest_row:,}"
            )
            fullest = f", fullest rank {stage.imbalance:.3f} of the mean" if self.ranks > 1 else ""
            yield f"  useful tokens {stage.useful:.1%}{fullest}"
            yield (
                f"  memory a rank {_bytes(need.total)}: frozen weights {_bytes(need.weights)}, trained parts "
                f"{_bytes(need.trained)}, activations {_bytes(need.activations)}, logits "
                f"{_bytes(need.logits)}, within a layer {_bytes(need.workspace)}"
            )
            yield f"  {stage.flops / 1e12:,.2f} TFLOP, {_duration(stage.seconds)}"
        if self.gemm is not None:
            yield (
                f"times assume {self.ranks} x {UTILISATION:.0%} of the {self.gemm / 1e12:.2f} TFLOP/s that a "
                "matrix product reached on this device just now; validation and saving come on top"
            )


def forecast(
    clips: Sequence[Clip],
    texts: Sequence[ClipTexts],
    spaces: Mapping[str, FeatureSpace],
    base: str,
    config: LlmConfig,
    *,
    seed: int,
    hardware: HardwareConfig,
) -> Forecast:
    """What `run_llm` would take with the same parameters; reads no feature. ConfigError as from the run."""
    train, _ = texts_by_split(clips, texts, spaces, config, seed=seed)
    features = CachedFeatures(spaces, slot_arrays(tuple(spaces), config.arrays), missing_ok=True)
    return forecast_of(load_shape(base), features, train, config, hardware, seed=seed)


def forecast_of(
    base: Base,
    features: Features,
    train: Sequence[ClipTexts],
    config: LlmConfig,
    hardware: HardwareConfig,
    *,
    seed: int,
) -> Forecast:
    """As `forecast` for a base without weights, features that are open and clips that are chosen."""
    if not train:
        raise ConfigError("no training clip has both texts and features. Check --merr and --cache.")
    refuse_frozen_slices(hardware, config)
    dims = {name: shape[-1] for name, shape in features.shapes.items()}
    with torch.device("meta"):
        model = assemble(base, dims, replace(config, projector_scale=None), None, seed=seed)
    course = Course(
        model=model,
        features=features,
        template=template_named(config.template, config.slots),
        labels=config.labels,
        train=train,
        valid=(),
        max_answer_tokens=config.max_answer_tokens,
        official_text=config.official_text,
        seed=seed,
    )
    gemm = measured_gemm(hardware)
    shape = shape_of(model, config.lora)
    stages = tuple(
        _stage(course, name, stage, shape, hardware, gemm) for name, stage in config.stages.items()
    )
    return Forecast(model.counts(), stages, hardware.gpus, gemm)


def measured_gemm(hardware: HardwareConfig) -> float | None:
    """FLOPs a second of one large matrix product in `dtype`, the best of a few; None without the device."""
    if hardware.on_cuda and not torch.cuda.is_available():
        return None
    device = torch.device(hardware.device)
    side = GEMM[device.type]
    matrix = torch.randn(side, side, dtype=getattr(torch, hardware.dtype), device=device)
    best = min(_timed_product(matrix) for _ in range(GEMM_ROUNDS))
    return float(2 * side**3 / best)


def _timed_product(matrix: torch.Tensor) -> float:
    started = time.perf_counter()
    product = matrix @ matrix
    float(product[0, 0])  # waits for the device
    return time.perf_counter() - started


def _stage(
    course: Course,
    name: str,
    config: StageConfig,
    shape: Shape,
    hardware: HardwareConfig,
    gemm: float | None,
) -> StageForecast:
    """The first epoch's plan, scaled to the stage's steps."""
    epoch = epoch_steps(course, config, 0, hardware.gpus)
    lengths = [micro_lengths(course, step) for step in epoch]
    micros = [micro for step in epoch for micro in step]
    rows = list(chain(*lengths)) if config.layout == "packed" else [_padded(course, one) for one in micros]
    useful, processed = sum(map(sum, lengths)), sum(rows)
    supervised = sum(answer_tokens(course, step) for step in epoch)
    scale = config.steps / len(epoch)
    operations = scale * flops(
        shape,
        tokens=processed,
        answer_tokens=supervised,
        squares=_squares(course, micros),
        slot_flops=_slot_flops(course, micros),
        checkpointing=hardware.checkpointing,
    )
    uneven = sum(_fullest(step, hardware.gpus) for step in lengths) / useful
    seconds = None if gemm is None else operations * uneven / (gemm * UTILISATION * hardware.gpus)
    return StageForecast(
        name=name,
        steps=config.steps,
        epochs=scale,
        answers=round(scale * sum(map(len, micros))),
        tokens=round(scale * processed),
        supervised=round(scale * supervised),
        longest_row=max(rows),
        useful=useful / processed,
        imbalance=uneven,
        flops=operations,
        seconds=seconds,
        memory=memory(
            course.model,
            shape,
            hardware,
            row_tokens=max(rows),
            answer_tokens=max(answer_tokens(course, (micro,)) for micro in micros),
        ),
    )


def _padded(course: Course, micro: Micro) -> int:
    """Tokens of a padded batch, padding among them."""
    return len(micro) * max(micro_lengths(course, tuple((example,) for example in micro)))


def _squares(course: Course, micros: Sequence[Micro]) -> int:
    """Sum of squared lengths: what attention costs. A clip's tasks are counted one by one."""
    each = tuple((example,) for micro in micros for example in micro)
    return sum(length**2 for length in micro_lengths(course, each))


def _slot_flops(course: Course, micros: Sequence[Micro]) -> float:
    """What the projectors cost: forward and to their weights, once a clip of a row."""
    shapes = course.features.shapes
    clip = sum(
        FROZEN
        * sum(map(torch.Tensor.numel, module.parameters()))
        * cast(Projector, module).tokens(shapes[feature_of(slot)])
        for slot, module in course.model.projectors.items()
    )
    return float(clip * sum(len(clips_of(micro)) for micro in micros))


def _fullest(lengths: Sequence[int], ranks: int) -> float:
    """Tokens of a step if every rank had as many as the fullest."""
    totals = [sum(lengths[place] for place in share) for share in shares(lengths, ranks)]
    return imbalance(totals) * sum(totals)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "no time: the device is not here"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _bytes(count: float) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{1024 * count / GIB:.1f} MiB"
