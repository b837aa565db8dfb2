"""Checkpoints of the LLaMA stage: a folder that peft loads as an adapter, with projectors and a card.

`adapter_config.json` + `adapter_model.safetensors` are peft's own; `projectors.safetensors` holds projectors
and standardiser; `emo.json` says what they were trained on and the SHA-256 of each file. Nothing is ever
loaded half: a tensor that is missing, superfluous or of another shape is an error that names it, and so is a
file whose bytes have changed. Knows no training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from torch import Tensor

from emo.config.hardware import WHOLE_BITS
from emo.digests import sha256_file
from emo.errors import CheckpointError
from emo.heads.batches import Source
from emo.heads.fitting import refuse_other_features
from emo.heads.projectors import projectors_for
from emo.heads.standardise import Standardiser
from emo.llm.base import Base, load_base
from emo.llm.build import assemble
from emo.llm.card import CARD, Card, read_card, refuse_other_base, write_card
from emo.llm.model import EmotionLlama
from emo.llm.sharding import whole
from emo.llm.weight_files import read_tensors, refuse_misfit, verify_files, write_tensors

if TYPE_CHECKING:
    from peft import PeftConfig

PROJECTORS, ADAPTER = "projectors.safetensors", "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"


class Checkpoint(NamedTuple):
    """A loaded model, ready to answer, with its card."""

    model: EmotionLlama
    card: Card


class AdapterFiles(NamedTuple):
    """peft's own part of a checkpoint: the settings and the tensors under the names of an adapter file."""

    config: PeftConfig
    tensors: Mapping[str, Tensor]


def save_checkpoint(model: EmotionLlama, card: Card, folder: Path, *, writes: bool = True) -> None:
    """Write what was trained into `folder`; a merged `card` says that there is no adapter any more.

    Where adapters are sharded over ranks, every rank calls this and only the one that `writes` does so.
    """
    tensors = {f"projectors.{name}": value for name, value in model.projectors.state_dict().items()}
    if model.standardiser is not None:
        tensors |= {f"standardiser.{name}": value for name, value in model.standardiser.tensors().items()}
    adapter = None
    if not card.merged:
        adapter = AdapterFiles(cast(Any, model.llama).peft_config["default"], _adapter_of(model))
    if writes:
        write_checkpoint(folder, card, tensors, adapter)


def write_checkpoint(
    folder: Path, card: Card, projectors: Mapping[str, Tensor], adapter: AdapterFiles | None
) -> Card:
    """Write the files of a checkpoint; the card as written, with the SHA-256 of each.

    `projectors` are the tensors of the projectors' file by full name. The old card goes first and the new
    one comes last: a folder with a card is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    names = [PROJECTORS]
    write_tensors(projectors, folder / PROJECTORS)
    if adapter is not None:
        adapter.config.base_model_name_or_path = card.base
        adapter.config.save_pretrained(str(folder))
        write_tensors(adapter.tensors, folder / ADAPTER)
        names += [ADAPTER, ADAPTER_CONFIG]
    sealed = replace(card, files={name: sha256_file(folder / name) for name in names})
    write_card(sealed, folder)
    return sealed


def load_checkpoint(
    folder: Path,
    *,
    base: str | None = None,
    sources: Mapping[str, Source] | None = None,
    force: bool = False,
    dtype: str = "float32",
    device: str = "cpu",
    bits: int = WHOLE_BITS,
) -> Checkpoint:
    """The model that `save_checkpoint` wrote, in evaluation mode.

    `base` says where the LLaMA is now, if it moved; `sources` are the recipes of the features that will be
    used. StaleCache where they differ from those trained on and CheckpointError where the LLaMA is another
    one, both unless `force`; CheckpointError always where tensors do not fit or a file has changed.
    """
    card = read_card(folder)
    if card.origin is not None and card.origin.fresh:
        raise CheckpointError(
            f"{folder}: converted from {card.origin.file}, which has no projectors for "
            f"{', '.join(card.origin.fresh)}: it cannot answer. Train it: emo train-llm --init-from {folder}"
        )
    if sources is not None and not force:
        refuse_other_features(card.sources, sources)
    loaded = load_base(base or card.base, dtype=dtype, device=device, bits=bits)
    if not force:
        refuse_other_base(card, folder, loaded)
    model = (
        _bare(loaded, card) if card.merged else assemble(loaded, card.dims, card.config, None, seed=card.seed)
    )
    load_weights(model, folder)
    return Checkpoint(model.eval(), card)


def _bare(base: Base, card: Card) -> EmotionLlama:
    """The model of a merged checkpoint: projectors around a LLaMA without adapters."""
    hidden = int(base.llama.get_input_embeddings().weight.shape[1])  # type: ignore[operator]
    projectors = projectors_for(card.config.slots, card.dims, hidden, card.config.projectors)
    model = EmotionLlama(base.llama, base.tokenizer, projectors)
    model.projectors.to(model.device)
    return model


def load_weights(model: EmotionLlama, folder: Path) -> tuple[str, ...]:
    """Put the trained weights of a checkpoint, and its standardiser, into a model of the same parts.

    Returns the slots of the model that the checkpoint, by its own card, brings no projector for: they stay
    as they are. CheckpointError names every tensor that does not fit and every file that has changed, and
    says where the model scales its adapters or features otherwise.
    """
    card = read_card(folder)
    verify_files(folder, card.files)
    lacking = card.origin.fresh if card.origin else ()
    tensors = read_tensors(folder / PROJECTORS)
    projectors, figures = _under("projectors.", tensors), _under("standardiser.", tensors)
    brought = {
        name: value
        for name, value in model.projectors.state_dict().items()
        if name.partition(".")[0] not in lacking
    }
    refuse_misfit(brought, projectors, folder / PROJECTORS)
    if model.standardiser is not None and not figures:
        raise CheckpointError(f"{folder} takes features as they are. Set standardise: false in the recipe.")
    _load_adapter(model, card, folder)
    model.projectors.load_state_dict(projectors, strict=not lacking)
    model.standardiser = Standardiser.from_tensors(figures) if figures else None
    return tuple(slot for slot in model.projectors if slot in lacking)


def _load_adapter(model: EmotionLlama, card: Card, folder: Path) -> None:
    from peft import set_peft_model_state_dict

    adapted, trained = cast(Any, model.llama), card.config.lora
    if card.merged and hasattr(adapted, "peft_config"):
        raise CheckpointError(f"{folder} is merged: it has no adapter to go on from. Take the unmerged one.")
    if card.merged:
        return
    tensors = read_tensors(folder / ADAPTER)
    refuse_misfit(_adapter_of(model), tensors, folder / ADAPTER)
    own = adapted.peft_config["default"]
    if own.lora_alpha != trained.alpha:
        raise CheckpointError(
            f"{folder} was trained with lora.alpha {trained.alpha}, the recipe says {own.lora_alpha}: the "
            f"same weights would count for more or less. Set lora.alpha: {trained.alpha}."
        )
    set_peft_model_state_dict(adapted, tensors)


def _adapter_of(model: EmotionLlama) -> dict[str, Tensor]:
    from peft import get_peft_model_state_dict

    tensors = get_peft_model_state_dict(cast(Any, model.llama), save_embedding_layers=False)
    return {name: whole(value) for name, value in tensors.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
