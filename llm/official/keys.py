"""Names of the tensors of an official checkpoint, and where each belongs here.

Reads no file and builds no model. Source: Emotion-LLaMA at commit 4ee28d2, minigpt4/models/minigpt_v2.py
and runners/runner_base.py; peft 0.2.0 writes `lora_A.weight`, later ones `lora_A.default.weight`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from emo.errors import CheckpointError

PROJECTORS: Mapping[str, str] = {
    "llama_proj": "eva_patches",
    "feats_llama_proj1": "mae",
    "feats_llama_proj2": "videomae",
    "feats_llama_proj3": "hubert",
    "cls_tk_llama_proj": "eva_class",
}
# A head that the official code builds, saves and never uses; buffers; the frozen encoder.
DROPPED = ("attention.", "visual_encoder.", "ln_vision.")
WRAPPER = "llama_model."
LLAMA = f"{WRAPPER}base_model.model."


@dataclass(frozen=True, slots=True)
class OfficialWeights:
    """A checkpoint taken apart: `lora` with the names of a peft adapter file, `projectors` as
    `<slot>.weight|bias`, `base` with the names of the plain LLaMA (empty in trained-parts-only files)."""

    lora: dict[str, Tensor] = field(default_factory=dict)
    projectors: dict[str, Tensor] = field(default_factory=dict)
    base: dict[str, Tensor] = field(default_factory=dict)


def take_apart(state: Mapping[str, Tensor]) -> OfficialWeights:
    """Sort an official state dict; CheckpointError lists every tensor that has no place, or the same place
    as another."""
    parts = OfficialWeights()
    unknown = []
    for key, value in state.items():
        name = key.removeprefix("module.")
        head, _, leaf = name.rpartition(".")
        if name.startswith(DROPPED) or name.endswith("rotary_emb.inv_freq"):
            continue
        if head in PROJECTORS:
            place, own = parts.projectors, f"{PROJECTORS[head]}.{leaf}"
        elif name.startswith(LLAMA) and ".lora_" in name:
            place, own = parts.lora, name.removeprefix(WRAPPER).replace(".default.", ".")
        elif name.startswith(LLAMA):
            place, own = parts.base, name.removeprefix(LLAMA).replace("lm_head.0.", "lm_head.")
        else:
            unknown.append(key)
            continue
        if own in place:
            unknown.append(f"{key} (a second {own})")
        place[own] = value
    if unknown:
        raise CheckpointError(
            f"{len(unknown)} tensors of the checkpoint belong nowhere: {', '.join(sorted(unknown))}. "
            "Is it an Emotion-LLaMA checkpoint?"
        )
    return parts


def put_together(lora: Mapping[str, Tensor], projectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The trained parts under the names the official code gives them, as peft 0.2.0 spells them.

    The names given are those of OfficialWeights.
    """
    official = {slot: name for name, slot in PROJECTORS.items()}
    named = {f"{WRAPPER}{name}": value for name, value in lora.items()}
    for name, value in projectors.items():
        slot, _, leaf = name.rpartition(".")
        named[f"{official[slot]}.{leaf}"] = value
    return named
