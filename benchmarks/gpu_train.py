"""Training at LLaMA-2-7B size on one CUDA device: packed rows, HF Trainer + peft, and an official-style loop.

    python benchmarks/gpu_train.py --json
    python benchmarks/gpu_train.py --tiny --device cpu      # does it run; its figures mean nothing

Weights, clips and features are random and as long as the real ones; the base is bf16, adapters are fp32.

- `packed`: emo's stage on full rows of --row-tokens, features in memory.
- `trainer`: transformers' Trainer on the same clips, batches of 8 padded to the longest, HF's loss and SDPA.
- `official`: one clip a step, a ViT of EVA-g's size (39 x 1408, 1025 tokens) in the loop, all logits
  in fp32.

MFU counts useful tokens only, 4 FLOPs a frozen weight and 6 an adapter weight, against the best of a few
matrix products of 8192 measured in this run. Times are wall times around a synchronised device.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from side_by_side.rounds import machine
from side_by_side.world import EVA_DIM, EVA_TOKENS, features_of, stage_of, stir, texts_of, tokenizer_of
from torch import Tensor, nn
from torch.nn import functional

from emo.clip import Example
from emo.config.hardware import HardwareConfig
from emo.config.llm import LlmConfig, LoraSettings, StageConfig
from emo.heads.projectors import ClassTokenProjector, MergedPatchProjector
from emo.labels import MERR
from emo.llm.base import Base
from emo.llm.build import assemble
from emo.llm.examples import ask
from emo.llm.features import HeldFeatures
from emo.llm.prompts import TEMPLATES
from emo.llm.splice import IGNORED, Spliced
from emo.llm.training.course import Course
from emo.llm.training.distributed import ALONE
from emo.llm.training.footprint import flops, shape_of
from emo.llm.training.forecast import measured_gemm
from emo.llm.training.forward import answer_tokens
from emo.llm.training.hardware import prepare
from emo.llm.training.optimiser import adamw
from emo.llm.training.plan import epoch_steps, micro_lengths
from emo.llm.training.stages import train_stage

FULL = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
TINY = {"hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2, "num_attention_heads": 4}
EVA_FULL, EVA_TINY = (39, 1408, 16), (1, 64, 2)  # blocks, width, heads of the encoder in the official loop
VOCABULARY, PADDED_BATCH = 32_000, 8


def build(options: argparse.Namespace, hardware: HardwareConfig) -> Course:
    """A model of that size made on the device, and its clips."""
    from transformers import LlamaConfig, LlamaForCausalLM

    dtype = getattr(torch, hardware.dtype)
    shape = LlamaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=4096, **(TINY if options.tiny else FULL)
    )
    torch.manual_seed(options.seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(hardware.device):
            llama = LlamaForCausalLM(shape).requires_grad_(False)
    finally:
        torch.set_default_dtype(before)
    texts = texts_of(options.clips, VOCABULARY, options.seed)
    eva = torch.randn(4, EVA_TOKENS, EVA_DIM).repeat(-(-options.clips // 4), 1, 1)[: options.clips]
    batch = features_of([clip.clip_id for clip in texts], eva, options.seed)
    config = LlmConfig(lora=LoraSettings(), projector_scale=1.0)
    base = Base(llama, tokenizer_of(VOCABULARY), "made", "0" * 64)
    model = assemble(base, batch.dims, config, None, seed=options.seed)
    stir(model, options.seed)
    prepare(model, hardware, ALONE)
    features = HeldFeatures(batch)
    return Course(
        model=model.train(), features=features, template=TEMPLATES["emo"], labels=MERR, train=texts, valid=()
    )


def padded(course: Course, examples: Sequence[Example], eva: Tensor | None = None) -> Spliced:
    """A batch padded on the right; `eva` replaces the cached tokens."""
    features = course.features.read([example.clip_id for example in examples])
    if eva is not None:
        features = features.with_values({**features.values, "eva": eva})
    prompts = [ask(course.template, example) for example in examples]
    return course.model.embed(prompts, features, [course.answer_ids(one) for one in examples])


def packed_side(course: Course, stage: StageConfig, examples: Sequence[Example]) -> None:
    """Our stage over the same clips."""
    del examples
    list(train_stage(course, "bench", stage))


def official_side(
    course: Course, stage: StageConfig, examples: Sequence[Example], encoder: nn.Module, width: int
) -> None:
    """A step a clip, its image encoded, logits of all tokens in fp32."""
    optimiser = adamw(course.model.trained().values(), stage)
    device = course.model.device
    dtype = next(encoder.parameters()).dtype
    for example in examples:
        with torch.no_grad():
            tokens = encoder(torch.randn(1, EVA_TOKENS, width, device=device, dtype=dtype))[..., :EVA_DIM]
        tokens = functional.pad(tokens.float(), (0, EVA_DIM - tokens.shape[-1]))
        batch = padded(course, [example], tokens)
        output = course.model.llama(
            inputs_embeds=batch.inputs_embeds, attention_mask=batch.attention_mask, output_hidden_states=True
        )
        logits = output.logits.float()[:, :-1].contiguous()
        targets = batch.labels[:, 1:].contiguous()
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        loss.backward()
        loss.item()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def trainer_side(course: Course, stage: StageConfig, examples: Sequence[Example]) -> None:
    """transformers' Trainer, batches of PADDED_BATCH."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = course.model

        def forward(self, numbers: list[int], **_: Any) -> dict[str, Tensor]:
            batch = padded(course, [examples[number] for number in numbers])
            output = course.model.llama(
                inputs_embeds=batch.inputs_embeds, attention_mask=batch.attention_mask, labels=batch.labels
            )
            return {"loss": output.loss}

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=PADDED_BATCH,
            max_steps=-(-len(examples) // PADDED_BATCH),
            learning_rate=stage.peak_lr,
            max_grad_norm=0.0,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            use_cpu=course.model.device.type == "cpu",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        trainer = Trainer(
            model=Wrapped(),
            args=arguments,
            train_dataset=list(range(len(examples))),  # type: ignore[arg-type]
            data_collator=lambda given: {"numbers": list(given)},
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def encoder_of(options: argparse.Namespace, hardware: HardwareConfig) -> tuple[nn.Module, int]:
    """The blocks of a ViT of EVA-g's size, and its width."""
    blocks, width, heads = EVA_TINY if options.tiny else EVA_FULL
    block = nn.TransformerEncoderLayer(
        width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
    )
    encoder = nn.TransformerEncoder(block, blocks, enable_nested_tensor=False).eval().requires_grad_(False)
    return encoder.to(device=hardware.device, dtype=getattr(torch, hardware.dtype)), width


def timed(side: Callable[[], None], device: torch.device, rounds: int) -> dict[str, Any]:
    """Seconds of each round after one that is not counted, and the peak of allocated memory."""
    seconds = []
    for number in range(-1, rounds):
        gc.collect()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            torch.cuda.synchronize()
        started = time.perf_counter()
        side()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number >= 0:
            seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    return {"seconds": seconds, "peak_bytes": peak}


def useful_flops(course: Course, stage: StageConfig) -> float:
    """Of one epoch: every token through every layer, nothing made twice."""
    epoch = epoch_steps(course, stage, 0)
    examples = tuple((one,) for step in epoch for micro in step for one in micro)
    lengths = micro_lengths(course, examples)
    patches = {MergedPatchProjector: 256, ClassTokenProjector: 1}
    slots = sum(
        4 * patches.get(type(module), 1) * sum(value.numel() for value in module.parameters())  # type: ignore[call-overload]
        for module in course.model.projectors.values()
    )
    return flops(
        replace(shape_of(course.model, LoraSettings()), trimmed=False),
        tokens=sum(lengths),
        answer_tokens=sum(answer_tokens(course, step) for step in epoch),
        squares=sum(length**2 for length in lengths),
        slot_flops=slots * len(examples),
        checkpointing=False,
    )


def main() -> None:
    """Build, time the sides one after the other, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--row-tokens", type=int, default=16_384)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sides", default="packed,trainer,official")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="a model of 2 layers x 64, 16 clips")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("gpu_train: no CUDA device here. `--tiny --device cpu` checks that it runs.", file=sys.stderr)
        return
    if options.tiny:
        options.clips, options.row_tokens, options.rounds = 16, 2048, 1
    hardware = HardwareConfig(device=options.device, dtype="bfloat16", compile=options.compile)
    course = build(options, hardware)
    stage = stage_of(options.clips, 1, row_tokens=options.row_tokens, rows_per_step=1)
    epoch = epoch_steps(course, stage, 0)
    stage = replace(stage, steps=len(epoch))
    examples = [one for step in epoch for micro in step for one in micro]
    gemm = measured_gemm(hardware)
    assert gemm is not None
    work = useful_flops(course, stage)

    encoder = cache(lambda: encoder_of(options, hardware))  # made in the round that is not counted
    sides = {
        "packed": lambda: packed_side(course, stage, examples),
        "trainer": lambda: trainer_side(course, stage, examples),
        "official": lambda: official_side(course, stage, examples, *encoder()),
    }
    found: dict[str, dict[str, Any]] = {}
    for name in options.sides.split(","):
        one = timed(sides[name], course.model.device, options.rounds)
        middle = sorted(one["seconds"])[len(one["seconds"]) // 2]
        found[name] = {**one, "samples_per_s": len(examples) / middle, "mfu": work / middle / gemm}
    result = {
        "benchmark": "gpu_train",
        "settings": vars(options),
        "samples": len(examples),
        "flops_per_sample": work / len(examples),
        "gemm_flops_per_s": gemm,
        "sides": found,
        "device": torch.cuda.get_device_name() if hardware.on_cuda else "cpu",
        "machine": machine(),
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(
        f"{len(examples)} samples, {work / len(examples) / 1e12:.2f} TFLOP each, "
        f"GEMM {gemm / 1e12:.1f} TFLOP/s"
    )
    for name, one in found.items():
        peak = "" if one["peak_bytes"] is None else f", peak {one['peak_bytes'] / 2**30:.1f} GiB"
        print(f"{name}: {one['samples_per_s']:.2f} samples/s, MFU {one['mfu']:.1%}{peak}")


if __name__ == "__main__":
    main()
