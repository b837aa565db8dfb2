"""Official tensors to a checkpoint of ours. Reads no pickle: it is handed tensors by name.

What is expected is taken from a LLaMA of the base's shape on the meta device, so that nothing is half there
and nothing is left over. What the file does not say (recipe of the features, bytes of its LLaMA) the card
says is not known. Source of the figures: Emotion-LLaMA at commit 4ee28d2, train_configs, models and
minigpt4/datasets/datasets/first_face.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor

from emo.config.llm import SLOTS, LlmConfig, LoraSettings, StageConfig
from emo.errors import CheckpointError, ConfigError
from emo.heads.projectors import MERGED_PATCHES, projectors_for, slot_source
from emo.llm.base import directory_digest
from emo.llm.card import Card
from emo.llm.checkpoint import AdapterFiles, write_checkpoint
from emo.llm.model import with_lora
from emo.llm.official.keys import OfficialWeights, put_together, take_apart
from emo.llm.official.origin import Origin
from emo.llm.weight_files import refuse_misfit

if TYPE_CHECKING:
    from transformers import PretrainedConfig

BASE = "meta-llama/Llama-2-7b-chat-hf"
# The slots that a file of each kind fills.
KINDS: Mapping[str, tuple[str, ...]] = {"emotion-llama": SLOTS, "minigpt-v2": ("eva_patches",)}
# The labels in the order in which the official question names them, which the weights have learnt.
ASKED = ("happy", "sad", "neutral", "angry", "worried", "surprise", "fear", "contempt", "doubt")
DIMS: Mapping[str, int] = {"mae": 1024, "videomae": 1024, "hubert": 1024, "eva": 1408}
RANK = 64
RANKS_PER_ALPHA = 4  # officially alpha 16 for rank 64


class Fitted(NamedTuple):
    """An official state dict that is whole: its card, its adapter, and projectors as `<slot>.weight|bias`."""

    card: Card
    adapter: AdapterFiles
    projectors: Mapping[str, Tensor]


def convert(
    state: Mapping[str, Tensor], origin: Origin, out: Path, *, base: str = "", alpha: int | None = None
) -> Card:
    """Write the checkpoint folder `out` from a state dict of `origin.kind`; its card. Raises as `fit`."""
    fitted = fit(state, origin, base=base, alpha=alpha)
    projectors = {f"projectors.{_inner(name)}": value for name, value in fitted.projectors.items()}
    return write_checkpoint(out, fitted.card, projectors, fitted.adapter)


def fit(state: Mapping[str, Tensor], origin: Origin, *, base: str = "", alpha: int | None = None) -> Fitted:
    """The parts of a state dict, found whole for a LLaMA of the base's shape.

    `base` is the LLaMA-2-chat that it goes with, a directory or a hub id; without one the card names the
    official one. The rank is read from the tensors; `alpha` is by default a quarter of it, as officially.
    CheckpointError names every tensor that is missing, superfluous or of another shape.
    """
    parts = _trained_parts(state, origin.file)
    rank = next((len(value) for name, value in parts.lora.items() if ".lora_A." in name), RANK)
    config = LlmConfig(
        aims_at=f"nothing: {origin.file} holds no recipe",
        labels=ASKED,
        template="official-eval",
        slots=KINDS[origin.kind],
        lora=LoraSettings(rank=rank, alpha=alpha or max(1, rank // RANKS_PER_ALPHA)),
        official_text=True,
        stages={"official": StageConfig(tasks={"emotion": 1.0}, fixed_instruction=True)},
    )
    dims = _dims(parts, config.slots)
    card = Card(
        config=config,
        dims=dims,
        sources={},
        base=base or BASE,
        base_digest=directory_digest(Path(base)) if base and Path(base).is_dir() else "",
        origin=origin,
    )
    return Fitted(card, _fitting_adapter(parts, config, dims, base, origin.file), parts.projectors)


def fresh_slots(kind: str) -> tuple[str, ...]:
    """The slots of Emotion-LLaMA that a file of this kind has no projector for."""
    return tuple(slot for slot in SLOTS if slot not in KINDS[kind])


def _trained_parts(state: Mapping[str, Tensor], file: str) -> OfficialWeights:
    """What was trained; CheckpointError for tensors that a folder of ours has no place for."""
    parts = take_apart(state)
    if parts.base:
        raise CheckpointError(
            f"{file} holds {len(parts.base)} tensors of the LLaMA itself: {', '.join(sorted(parts.base))}. "
            "Only the trained parts are converted; save those alone."
        )
    for name, value in state.items():
        key = name.removeprefix("module.")
        start = {"ln_vision.weight": 1.0, "ln_vision.bias": 0.0}.get(key)
        if start is not None and not bool((value == start).all()):
            raise CheckpointError(
                f"{file}: {name} is trained, but the EVA features here are made with an untrained one "
                "(weight 1, bias 0). They would not fit."
            )
    return parts


def _dims(parts: OfficialWeights, slots: tuple[str, ...]) -> dict[str, int]:
    """D by feature as the projectors have it; the official one where a projector is missing."""
    dims = {}
    for slot in slots:
        name, _ = slot_source(slot)
        weight = parts.projectors.get(f"{slot}.weight")
        merged = MERGED_PATCHES if slot == "eva_patches" else 1
        dims[name] = DIMS[name] if weight is None else weight.shape[-1] // merged
    return dims


def _fitting_adapter(
    parts: OfficialWeights, config: LlmConfig, dims: Mapping[str, int], base: str, file: str
) -> AdapterFiles:
    """The adapter for a LLaMA of the base's shape; CheckpointError, in official names, where parts misfit."""
    from peft import get_peft_model_state_dict
    from transformers import AutoModelForCausalLM

    shape = _shape(base)
    with torch.device("meta"):
        adapted = cast(Any, with_lora(AutoModelForCausalLM.from_config(shape), config.lora))
        projectors = projectors_for(config.slots, dims, shape.hidden_size)
    lora = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    plain = {_outer(name): value for name, value in projectors.state_dict().items()}
    refuse_misfit(put_together(lora, plain), put_together(parts.lora, parts.projectors), Path(file))
    return AdapterFiles(adapted.peft_config["default"], parts.lora)


def _shape(base: str) -> PretrainedConfig:
    """The base's config; that of LLaMA-2-7B where none is named."""
    from transformers import AutoConfig, LlamaConfig

    if not base:
        return LlamaConfig(
            vocab_size=32000,
            hidden_size=4096,
            intermediate_size=11008,
            num_hidden_layers=32,
            num_attention_heads=32,
            num_key_value_heads=32,
        )
    try:
        return cast(
            "PretrainedConfig", AutoConfig.from_pretrained(base, local_files_only=Path(base).is_dir())
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{base}: no LLaMA to fit to: {error}. Give --base, or leave it out.") from error


def _inner(name: str) -> str:
    """`mae.weight` to our module's `mae.linear.weight`."""
    slot, _, leaf = name.rpartition(".")
    return f"{slot}.linear.{leaf}"


def _outer(name: str) -> str:
    """`mae.linear.weight` to `mae.weight`."""
    return name.replace(".linear.", ".")
