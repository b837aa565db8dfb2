"""AlignedProjectors: trained projectors with what it takes to use them right, and the label scorer they are.

On disk a folder with `projectors.safetensors` (projectors, standardiser, vectors of the labels) and
`projectors.json` (everything else, with the SHA-256 of the tensors). A label set that was never trained on
is scored as well: somebody who knows the receiver's words gives their vectors. Knows no words, no LLaMA and
no clips.

Axes: B batch, K labels, H hidden size of the receiver.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from emo.canonical import Json
from emo.config.projector import ProjectorConfig
from emo.digests import sha256_file
from emo.errors import CheckpointError, ConfigError
from emo.heads.alignment import Alignment
from emo.heads.batches import FeatureBatch, Source
from emo.heads.fitting import refuse_other_features
from emo.heads.prefusion import ConvAttention
from emo.heads.projectors import projectors_for
from emo.heads.standardise import Standardiser
from emo.heads.trained import EpochMetrics
from emo.spec import FeatureSpec
from emo.text_files import replace_text

FORMAT = 1
TENSORS, CARD = "projectors.safetensors", "projectors.json"
WORDS, CENTRE = "words", "centre"


@dataclass(frozen=True, kw_only=True, slots=True)
class Receiver:
    """Whose word vectors the projectors were trained on: where it was, what identifies it, and its H."""

    reference: str
    digest: str
    hidden: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AlignedProjectors:
    """Projectors aligned with word vectors.

    `words` (K, H) are the mean word vectors of `labels`, and `centre` (H,) is what is taken off them before
    a cosine. `sources` are the recipes of the features.
    """

    model: Alignment
    slots: tuple[str, ...]
    labels: tuple[str, ...]
    words: Tensor
    centre: Tensor
    dims: Mapping[str, int]
    sources: Mapping[str, Source]
    standardiser: Standardiser | None
    receiver: Receiver
    config: ProjectorConfig
    history: tuple[EpochMetrics, ...] = ()
    best_epoch: int = 0
    commit: str | None = None

    @torch.no_grad()
    def vectors(self, batch: FeatureBatch, *, force: bool = False) -> Tensor:
        """Vectors of the clips among the words, (B, H). StaleCache where the features are of another recipe,
        unless `force`."""
        known = batch.only(tuple(self.dims))
        if not force:
            refuse_other_features(self.sources, known.sources, whole=True)
        found: Tensor = self.model.eval()(self.condensed(known))
        return found

    def condensed(self, batch: FeatureBatch) -> FeatureBatch:
        """What is read of a batch: z-scores where they were in training, by slot."""
        ready = batch if self.standardiser is None else self.standardiser(batch)
        return self.model.condense(ready)

    @torch.no_grad()
    def logits(self, batch: FeatureBatch, *, force: bool = False) -> Tensor:
        """(B, K); equal for all labels where a clip has no feature. StaleCache as `vectors`."""
        return self.model.scores(self.vectors(batch, force=force), self.words - self.centre)

    def relabelled(self, labels: Sequence[str], words: Tensor) -> AlignedProjectors:
        """The same projectors before another label set, whose mean word vectors are `words` (K, H)."""
        if words.shape != (len(labels), self.receiver.hidden):
            raise ConfigError(
                f"{len(labels)} labels need vectors of {self.receiver.hidden} numbers, not "
                f"{tuple(words.shape)}."
            )
        return replace(self, labels=tuple(labels), words=words)

    def save(self, folder: Path) -> None:
        """Write the run into `folder`, which is made where it is not there. The card goes first and comes
        last: a folder with a card is complete."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD).unlink(missing_ok=True)
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        tensors |= {WORDS: self.words, CENTRE: self.centre}
        if self.standardiser is not None:
            tensors |= {f"standardiser.{key}": value for key, value in self.standardiser.tensors().items()}
        save_file({key: value.detach().contiguous() for key, value in tensors.items()}, folder / TENSORS)
        text = json.dumps(self._card(folder), indent=1, ensure_ascii=False)
        replace_text(folder / CARD, text + "\n")

    def _card(self, folder: Path) -> dict[str, Json]:
        local = Path(self.receiver.reference).is_dir()
        where = os.path.relpath(self.receiver.reference, folder) if local else self.receiver.reference
        features: dict[str, Json] = {
            name: {
                "fingerprint": source.spec.fingerprint,
                "array": source.array,
                "spec": source.spec.to_json(),
            }
            for name, source in self.sources.items()
        }
        return {
            "format": FORMAT,
            "slots": list(self.slots),
            "labels": list(self.labels),
            "dims": dict(self.dims),
            "features": features,
            "base": where,
            "base_is_local": local,
            "base_digest": self.receiver.digest,
            "hidden": self.receiver.hidden,
            "config": asdict(self.config) | {"kinds": dict(self.config.kinds)},
            "best_epoch": self.best_epoch,
            "history": [asdict(metrics) for metrics in self.history],
            "commit": self.commit,
            "files": {TENSORS: sha256_file(folder / TENSORS)},
        }

    @classmethod
    def load(cls, folder: Path) -> AlignedProjectors:
        """What `save` wrote; CheckpointError where something is missing, changed or does not fit."""
        card, tensors = _read(folder)
        try:
            local = card["base_is_local"]
            config = ProjectorConfig(**card["config"])
            made = cls(
                model=alignment(card["slots"], card["dims"], card["hidden"], config),
                slots=tuple(card["slots"]),
                labels=tuple(card["labels"]),
                words=tensors[WORDS],
                centre=tensors[CENTRE],
                dims=dict(card["dims"]),
                sources={
                    name: Source(FeatureSpec.from_json(entry["spec"]), entry["array"])
                    for name, entry in card["features"].items()
                },
                standardiser=_standardiser(tensors),
                receiver=Receiver(
                    reference=os.path.normpath(folder / card["base"]) if local else card["base"],
                    digest=card["base_digest"],
                    hidden=card["hidden"],
                ),
                config=config,
                history=tuple(EpochMetrics(**metrics) for metrics in card["history"]),
                best_epoch=card["best_epoch"],
                commit=card["commit"],
            )
            made.model.load_state_dict(_under("model.", tensors), strict=True)
        except (KeyError, TypeError, AttributeError, RuntimeError, ConfigError) as error:
            raise CheckpointError(f"{folder}: not whole: {error}. Train the projectors again.") from error
        made.model.eval()
        return made


def alignment(
    slots: Sequence[str], dims: Mapping[str, int], hidden: int, config: ProjectorConfig
) -> Alignment:
    """A fresh Alignment for the slots whose feature is in `dims`, with the global random state as it is."""
    projectors = projectors_for(slots, dims, hidden, config.kinds)
    fusion = ConvAttention(dims, hidden) if config.fusion else None
    return Alignment(projectors, fusion, config.temperature)


def _standardiser(tensors: Mapping[str, Tensor]) -> Standardiser | None:
    found = _under("standardiser.", tensors)
    return Standardiser.from_tensors(found) if found else None


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        known = card["format"] == FORMAT and card["files"][TENSORS] == sha256_file(folder / TENSORS)
        tensors = load_file(folder / TENSORS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: no trained projectors: {error!r}. `emo train-head projector --out {folder}` makes "
            "them."
        ) from error
    if not known:
        raise CheckpointError(
            f"{folder}: of another format than {FORMAT}, or {TENSORS} has changed since it was written. "
            "Copy it again, or train the projectors again."
        )
    return card, tensors


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
