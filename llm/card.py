"""The card of a checkpoint, `emo.json`: what it was trained on, and whether something else fits it.

Knows recipes, digests and where things came from; no tensors and no training.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.canonical import Json
from emo.config.llm import LlmConfig
from emo.errors import CheckpointError, ConfigError
from emo.heads.batches import Source
from emo.heads.provenance import code_commit
from emo.llm.official.origin import Origin
from emo.llm.recipe import config_from, config_to_json
from emo.spec import FeatureSpec
from emo.text_files import replace_text

if TYPE_CHECKING:
    from emo.llm.base import Base

FORMAT = 2
CARD = "emo.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a checkpoint was trained on. `dims` is D by feature; `sources` are the recipes of the features;
    `base_digest` identifies the LLaMA under the adapter; `trained` tells of the stages gone through.

    `merged` says that the adapter is part of the LLaMA already. `origin` is there for converted checkpoints
    of others: their recipes are not known, so `sources` is empty and any features are taken; "" as
    `base_digest` means that their LLaMA is not known by its bytes. `start` is the origin of the converted
    weights that training began with, at once or by way of another run. `files` is SHA-256 by file name.
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
    start: Origin | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None


def refuse_other_base(card: Card, folder: Path, base: Base) -> None:
    """CheckpointError where `base` is not the LLaMA that the checkpoint in `folder` goes with.

    Converted weights whose LLaMA is not known by its bytes go with any.
    """
    known = card.base_digest or (base.digest if card.origin else "")
    if base.digest != known:
        raise CheckpointError(
            f"{folder} was trained on a LLaMA with digest {card.base_digest[:16]}, {base.reference} has "
            f"{base.digest[:16]}. Give the one it was trained on with --base, or force it."
        )


def write_card(card: Card, folder: Path) -> None:
    """Write the card of the checkpoint in `folder`: there as a whole or not at all."""
    text = json.dumps(_card_to_json(card, folder), indent=1, ensure_ascii=False)
    replace_text(folder / CARD, text + "\n")


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
        "start": None if card.start is None else asdict(card.start),
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
        origin=_origin_from_json(data["origin"]),
        start=_origin_from_json(data.get("start")),
        files=data["files"],
        commit=data["commit"],
    )


def _origin_from_json(data: dict[str, Any] | None) -> Origin | None:
    return None if data is None else Origin(**{**data, "fresh": tuple(data["fresh"])})
