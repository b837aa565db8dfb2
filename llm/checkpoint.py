"""Checkpoints of the LLaMA stage: a folder that peft loads as an adapter, with projectors and a card.

`adapter_config.json` + `adapter_model.safetensors` are peft's own; `projectors.safetensors` holds projectors
and standardiser; `emo.json` says what they were trained on and the SHA-256 of each file. Nothing is ever
loaded half: a tensor that is missing, superfluous or of another shape is an error that names it, and so is a
file whose bytes have changed. Knows no training.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from torch import Tensor

from emo.canonical import Json
from emo.config.llm import LlmConfig
from emo.digests import sha256_file
from emo.errors import CheckpointError, ConfigError, StaleCache
from emo.heads.batches import Source
from emo.heads.projectors import projectors_for
from emo.heads.provenance import code_commit
from emo.heads.standardise import Standardiser
from emo.llm.base import Base, load_base
from emo.llm.build import assemble
from emo.llm.model import EmotionLlama
from emo.llm.official.origin import Origin
from emo.llm.recipe import config_from, config_to_json
from emo.llm.sharding import whole
from emo.llm.weight_files import read_tensors, refuse_misfit, verify_files, write_tensors
from emo.spec import FeatureSpec

if TYPE_CHECKING:
    from peft import PeftConfig

FORMAT = 2
CARD, PROJECTORS, ADAPTER = "emo.json", "projectors.safetensors", "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a checkpoint was trained on. `dims` is D by feature; `sources` are the recipes of the features;
    `base_digest` identifies the LLaMA under the adapter; `trained` tells of the stages gone through.

    `merged` says that the adapter is part of the LLaMA already. `origin` is there for converted checkpoints
    of others: their recipes are not known, so `sources` is empty and any features are taken; "" as
    `base_digest` means that their LLaMA is not known by its bytes. `files` is SHA-256 by file name.
    """

    config: LlmConfig
    dims: Mapping[str, int]
    sources: Mapping[str, Source]
    base: str
    base_digest: str
    seed: int = 0
    trained: Mapping[str, Json] = field(default_factory=dict)
    merged: bool = False
    origin: Origin | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None


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
    text = json.dumps(_card_to_json(sealed, folder), indent=1, ensure_ascii=False)
    part = folder / f"{CARD}.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.rename(folder / CARD)
    return sealed


def load_checkpoint(
    folder: Path,
    *,
    base: str | None = None,
    sources: Mapping[str, Source] | None = None,
    force: bool = False,
    dtype: str = "float32",
    device: str = "cpu",
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
        refuse_other_features(card, sources)
    loaded = load_base(base or card.base, dtype=dtype, device=device)
    known = card.base_digest or (loaded.digest if card.origin else "")
    if loaded.digest != known and not force:
        raise CheckpointError(
            f"{folder} was trained on a LLaMA with digest {card.base_digest[:16]}, {loaded.reference} has "
            f"{loaded.digest[:16]}. Give the one it was trained on with --base, or force it."
        )
    model = (
        _bare(loaded, card) if card.merged else assemble(loaded, card.dims, card.config, None, seed=card.seed)
    )
    load_weights(model, folder)
    return Checkpoint(model.eval(), card)


def _bare(base: Base, card: Card) -> EmotionLlama:
    """The model of a merged checkpoint: projectors around a LLaMA without adapters."""
    hidden = int(base.llama.get_input_embeddings().weight.shape[1])  # type: ignore[operator]
    projectors = projectors_for(card.config.slots, card.dims, hidden)
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


def refuse_other_features(card: Card, sources: Mapping[str, Source]) -> None:
    """StaleCache where a feature was made by another recipe than the model was trained on."""
    for name, trained in card.sources.items():
        given = sources.get(name)
        if given is None:
            continue  # absent at prediction: its slot is absent too
        if (given.spec.fingerprint, given.array) != (trained.spec.fingerprint, trained.array):
            raise StaleCache(
                f"{name}: the model was trained on {trained.spec.short} ({trained.array}), "
                f"these features are {given.spec.short} ({given.array}). "
                f"Different: {', '.join(_differences(trained, given))}. "
                "Extract with the same recipe, train again, or force it."
            )


def _differences(trained: Source, given: Source) -> list[str]:
    before, after = trained.spec.to_json(), given.spec.to_json()
    changed = [key for key in before if key not in ("preset", "licence") and before[key] != after[key]]
    return changed + (["array"] if trained.array != given.array else [])


def read_card(folder: Path) -> Card:
    """The card of a checkpoint; CheckpointError where the folder is none."""
    try:
        data = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder}: not a checkpoint of the LLaMA stage: {error}. `emo train-llm` makes one."
        ) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise CheckpointError(f"{folder / CARD}: not format {FORMAT}. Train with this release.")
    try:
        return _card_from_json(data, folder)
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{folder / CARD}: incomplete: {error!r}. Train again.") from error


def _card_to_json(card: Card, folder: Path) -> dict[str, object]:
    local = Path(card.base).is_dir()
    return {
        "format": FORMAT,
        "base": os.path.relpath(card.base, folder) if local else card.base,
        "base_is_local": local,
        "base_digest": card.base_digest,
        "config": config_to_json(card.config),
        "dims": dict(card.dims),
        "features": {
            name: {
                "fingerprint": source.spec.fingerprint,
                "array": source.array,
                "spec": source.spec.to_json(),
            }
            for name, source in card.sources.items()
        },
        "seed": card.seed,
        "trained": dict(card.trained),
        "merged": card.merged,
        "origin": None if card.origin is None else asdict(card.origin),
        "files": dict(card.files),
        "commit": card.commit or code_commit(),
    }


def _card_from_json(data: dict[str, Any], folder: Path) -> Card:
    return Card(
        config=config_from(data["config"], str(folder / CARD)),
        dims=data["dims"],
        sources={
            name: Source(FeatureSpec.from_json(entry["spec"]), entry["array"])
            for name, entry in data["features"].items()
        },
        base=os.path.normpath(folder / data["base"]) if data["base_is_local"] else data["base"],
        base_digest=data["base_digest"],
        seed=data["seed"],
        trained=data["trained"],
        merged=data["merged"],
        origin=None if data["origin"] is None else _origin_from_json(data["origin"]),
        files=data["files"],
        commit=data["commit"],
    )


def _origin_from_json(data: dict[str, Any]) -> Origin:
    return Origin(**{**data, "fresh": tuple(data["fresh"])})


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
