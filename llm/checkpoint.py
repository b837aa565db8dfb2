"""Checkpoints of the LLaMA stage: a folder that peft loads as an adapter, with projectors and a card.

`adapter_config.json` + `adapter_model.safetensors` are peft's own; `projectors.safetensors` holds projectors
and standardiser; `emo.json` says what they were trained on. Nothing is ever loaded half: a tensor that is
missing, superfluous or of another shape is an error that names it. Knows no training.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from emo.canonical import Json
from emo.config.llm import LlmConfig
from emo.errors import CheckpointError, ConfigError, StaleCache
from emo.heads.batches import Source
from emo.heads.provenance import code_commit
from emo.heads.standardise import Standardiser
from emo.llm.base import load_base
from emo.llm.build import assemble
from emo.llm.model import EmotionLlama
from emo.llm.recipe import config_from, config_to_json
from emo.spec import FeatureSpec

FORMAT = 1
CARD, PROJECTORS, ADAPTER = "emo.json", "projectors.safetensors", "adapter_model.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a checkpoint was trained on. `dims` is D by feature; `sources` are the recipes of the features;
    `base_digest` identifies the LLaMA under the adapter; `trained` tells of the stages gone through."""

    config: LlmConfig
    dims: Mapping[str, int]
    sources: Mapping[str, Source]
    base: str
    base_digest: str
    seed: int = 0
    trained: Mapping[str, Json] = field(default_factory=dict)
    commit: str | None = None


class Checkpoint(NamedTuple):
    """A loaded model, ready to answer, with its card."""

    model: EmotionLlama
    card: Card


def save_checkpoint(model: EmotionLlama, card: Card, folder: Path) -> None:
    """Write what was trained into `folder`. The card goes first and comes back last: a folder with a card
    is complete."""
    from peft import get_peft_model_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    adapted = cast(Any, model.llama)
    adapted.peft_config["default"].base_model_name_or_path = card.base
    adapted.peft_config["default"].save_pretrained(str(folder))
    _write(get_peft_model_state_dict(adapted, save_embedding_layers=False), folder / ADAPTER)
    tensors = {f"projectors.{name}": value for name, value in model.projectors.state_dict().items()}
    if model.standardiser is not None:
        tensors |= {f"standardiser.{name}": value for name, value in model.standardiser.tensors().items()}
    _write(tensors, folder / PROJECTORS)
    text = json.dumps(_card_to_json(card, folder), indent=1, ensure_ascii=False)
    part = folder / f"{CARD}.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.rename(folder / CARD)


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
    one, both unless `force`; CheckpointError always where tensors do not fit.
    """
    card = read_card(folder)
    if sources is not None and not force:
        refuse_other_features(card, sources)
    loaded = load_base(base or card.base, dtype=dtype, device=device)
    if loaded.digest != card.base_digest and not force:
        raise CheckpointError(
            f"{folder} was trained on a LLaMA with digest {card.base_digest[:16]}, {loaded.reference} has "
            f"{loaded.digest[:16]}. Give the one it was trained on with --base, or force it."
        )
    model = assemble(loaded, card.dims, card.config, None, seed=card.seed)
    load_weights(model, folder)
    return Checkpoint(model.eval(), card)


def load_weights(model: EmotionLlama, folder: Path) -> None:
    """Put the trained weights of a checkpoint, and its standardiser, into a model of the same parts.

    CheckpointError names every tensor that does not fit.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    adapter, tensors = _read(folder / ADAPTER), _read(folder / PROJECTORS)
    projectors, figures = _under("projectors.", tensors), _under("standardiser.", tensors)
    expected = get_peft_model_state_dict(cast(Any, model.llama), save_embedding_layers=False)
    _refuse_misfit(expected, adapter, folder / ADAPTER)
    _refuse_misfit(model.projectors.state_dict(), projectors, folder / PROJECTORS)
    set_peft_model_state_dict(cast(Any, model.llama), dict(adapter))
    model.projectors.load_state_dict(projectors, strict=True)
    model.standardiser = Standardiser.from_tensors(figures) if figures else None


def _refuse_misfit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], file: Path) -> None:
    """CheckpointError that names every tensor missing, superfluous or of another shape."""
    faults = [f"{name} is missing" for name in expected if name not in given]
    faults += [f"{name} belongs nowhere" for name in given if name not in expected]
    faults += [
        f"{name} is {tuple(given[name].shape)}, not {tuple(value.shape)}"
        for name, value in expected.items()
        if name in given and given[name].shape != value.shape
    ]
    if faults:
        raise CheckpointError(f"{file}: {'; '.join(faults)}. Train again, or give the whole checkpoint.")


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
        commit=data["commit"],
    )


def _write(tensors: Mapping[str, Tensor], file: Path) -> None:
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, file)


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}. Train again.") from error


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
