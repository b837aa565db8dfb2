"""What a model of this shape costs on this hardware, by formula: bytes and floating-point operations.

Derived from what PyTorch saves for the backward pass of a transformers LLaMA with peft adapters; the tests
compare both formulas with what a small model really does. Knows no clips and measures nothing.

Axes in the formulas: H hidden, I inner width of the MLP, Q and K widths of queries and keys, r rank, V words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from emo.config.hardware import WHOLE_BITS, HardwareConfig
from emo.config.llm import LoraSettings
from emo.llm.model import LORA_MARK, EmotionLlama
from emo.llm.packing.ending import trim_last_layer

FLOAT = 4  # bytes of fp32: adapters, projectors, norms inside a layer
TRAINED = 16  # bytes a trained parameter takes: weight, gradient and two moments of AdamW, all fp32
NF4_BITS = 4.127  # 4 bits and the quantised scale of every 64 weights, arXiv 2305.14314 section 3
WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
FROZEN, ADAPTED = 4, 6  # FLOPs a weight and token: forward 2, to the input 2, to the weight itself 2
AGAIN = 2  # one more forward pass, where activations are made twice
GATHERED = 2  # sliced layers that are whole at one time: the one at work and the next


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a LLaMA-family model that its costs follow from."""

    layers: int
    hidden: int
    inner: int
    queries: int
    keys: int
    words: int
    heads: int
    targets: Mapping[str, tuple[int, int]]  # adapted modules of a layer: (in, out)
    rank: int
    dropout: bool
    trimmed: bool

    @property
    def layer_weights(self) -> int:
        """Weights of the linear layers of one decoder layer."""
        attention = self.hidden * (2 * self.queries + 2 * self.keys)
        return attention + 3 * self.hidden * self.inner

    @property
    def adapter_weights(self) -> int:
        """Adapter weights of one decoder layer."""
        return sum(self.rank * (inputs + outputs) for inputs, outputs in self.targets.values())


def shape_of(model: EmotionLlama, lora: LoraSettings) -> Shape:
    """Read off a model; it may be on the meta device."""
    config = cast(Any, model.causal).config
    heads = int(config.num_attention_heads)
    head_dim = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    layer = cast(Any, model.causal).base_model.layers[0]
    linear = {name.rpartition(".")[2]: part for name, part in layer.named_modules()}
    return Shape(
        layers=int(config.num_hidden_layers),
        hidden=int(config.hidden_size),
        inner=int(config.intermediate_size),
        queries=heads * head_dim,
        keys=int(config.num_key_value_heads) * head_dim,
        words=int(config.vocab_size),
        heads=heads,
        targets={name: _sizes(linear[name]) for name in lora.targets},
        rank=lora.rank,
        dropout=lora.dropout > 0,
        trimmed=trim_last_layer(model.causal),
    )


def _sizes(linear: nn.Module) -> tuple[int, int]:
    part = cast(Any, linear)
    return int(part.in_features), int(part.out_features)


def activation_bytes(shape: Shape, hardware: HardwareConfig) -> float:
    """Bytes saved for the backward pass, a token of the row."""
    width = WIDTH[hardware.dtype]
    layer, entering = layer_bytes(shape, hardware), width * shape.hidden
    last = last_layer_bytes(shape, hardware) if shape.trimmed else layer
    if hardware.checkpointing:
        return (shape.layers - 1) * entering + max(layer, last) + (last if shape.trimmed else entering)
    return entering + (shape.layers - 1) * layer + last


def layer_bytes(shape: Shape, hardware: HardwareConfig) -> float:
    """Bytes that one decoder layer saves, a token.

    Two norms keep their input in fp32 and the root of its mean square; adapters see `_adapters`; attention
    keeps queries, keys, values, output and a log-sum a head; the MLP its gate, SiLU of the gate, and up. A
    frozen linear layer keeps nothing.
    """
    width = WIDTH[hardware.dtype]
    norms = 2 * FLOAT * (shape.hidden + 1)
    attention = width * (2 * shape.queries + 2 * _keys(shape, hardware)) + FLOAT * shape.heads
    adapters = _adapters(shape, set(shape.targets), hardware)
    return norms + adapters + attention + 3 * width * shape.inner


def last_layer_bytes(shape: Shape, hardware: HardwareConfig) -> float:
    """As `layer_bytes` for a last layer in which only keys and values are made for every token."""
    keys = 2 * WIDTH[hardware.dtype] * _keys(shape, hardware)
    return FLOAT * (shape.hidden + 1) + _adapters(shape, {"k_proj", "v_proj"}, hardware) + keys


def _keys(shape: Shape, hardware: HardwareConfig) -> int:
    """Width of the keys as attention keeps them: on a CPU they are repeated for every head of queries."""
    return shape.keys if hardware.on_cuda else shape.queries


def _adapters(shape: Shape, names: set[str], hardware: HardwareConfig) -> float:
    """An adapter keeps its fp32 input after dropout, the dropout's mask, and the r numbers between its two
    matrices. The mask is a byte an element on CUDA and a float on a CPU."""
    mask = (1 if hardware.on_cuda else FLOAT) if shape.dropout else 0
    inputs = [size for name, (size, _) in shape.targets.items() if name in names]
    return sum((FLOAT + mask) * size + FLOAT * shape.rank for size in inputs)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one rank. `workspace` is what comes and goes within a layer."""

    weights: float
    trained: float
    activations: float
    logits: float
    workspace: float

    @property
    def total(self) -> float:
        """All of it; PyTorch's allocator and the driver come on top, about 1 GiB on CUDA."""
        return self.weights + self.trained + self.activations + self.logits + self.workspace


def memory(
    model: EmotionLlama, shape: Shape, hardware: HardwareConfig, *, row_tokens: int, answer_tokens: int
) -> Memory:
    """What a rank needs for rows of `row_tokens` with at most `answer_tokens` supervised ones."""
    width = WIDTH[hardware.dtype]
    slices = hardware.gpus if hardware.strategy == "fsdp2" else 1
    frozen = sum(value.numel() for name, value in model.llama.named_parameters() if LORA_MARK not in name)
    in_layers = shape.layers * shape.layer_weights
    layers = in_layers * _weight_bytes(hardware)
    gathered = GATHERED * layers / shape.layers if slices > 1 else 0.0
    counts = model.counts()
    return Memory(
        weights=(frozen - in_layers) * width + layers / slices + gathered,
        trained=TRAINED * (counts.lora / slices + counts.projectors),
        activations=activation_bytes(shape, hardware) * row_tokens,
        logits=answer_tokens * shape.words * (width + 3 * FLOAT),  # as made, in fp32, softmax, gradient
        workspace=row_tokens * 4 * width * shape.inner,
    )


def _weight_bytes(hardware: HardwareConfig) -> float:
    if hardware.bits == WHOLE_BITS:
        return WIDTH[hardware.dtype]
    return NF4_BITS / 8 if hardware.bits == 4 else 1.0


def flops(
    shape: Shape, *, tokens: int, answer_tokens: int, squares: int, slot_flops: float, checkpointing: bool
) -> float:
    """Forward and backward of `tokens` in rows, of which `answer_tokens` are supervised.

    `squares` is the sum of squared segment lengths, for attention; `slot_flops` what the projectors take.
    """
    again = AGAIN if checkpointing else 0
    frozen, adapted = FROZEN + again, ADAPTED + again
    whole = shape.layers - 1 if shape.trimmed else shape.layers
    per_token = whole * (frozen * shape.layer_weights + adapted * shape.adapter_weights)
    total: float = tokens * per_token
    if shape.trimmed:
        keys = 2 * shape.hidden * shape.keys
        total += tokens * frozen * keys + answer_tokens * frozen * (shape.layer_weights - keys)
        total += tokens * adapted * shape.adapter_weights / 2
    attention = (3 + again / 2) * 2 * squares * shape.queries * whole  # causal: half of the square
    head = FROZEN * answer_tokens * shape.hidden * shape.words
    return total + attention + head + slot_flops
