"""TrainedHead: a head with what it takes to use it right: labels, standardiser, the recipes of its features.

On disk a folder with `head.safetensors` (weights and standardiser) and `head.json` (everything else).
Knows nothing of training, clips or files of features.

Axes: B batch, K classes.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from emo.config.heads import HeadConfig
from emo.errors import CheckpointError, ConfigError
from emo.heads.batches import FeatureBatch, Source
from emo.heads.fitting import refuse_other_features
from emo.heads.models import HEADS, make_head
from emo.heads.standardise import Standardiser
from emo.spec import FeatureSpec

FORMAT = 1
WEIGHTS, CARD = "head.safetensors", "head.json"


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One epoch of training: mean loss over the training clips, loss and weighted F1 on validation.

    `val_mse` is the squared error of the valence, where that is trained.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_weighted_f1: float
    val_mse: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainedHead:
    """A trained classifier. `sources` are the recipes of the features it was trained on, by name."""

    model: nn.Module
    labels: tuple[str, ...]
    dims: Mapping[str, int]
    standardiser: Standardiser
    sources: Mapping[str, Source]
    config: HeadConfig
    history: tuple[EpochMetrics, ...] = ()
    best_epoch: int = 0
    commit: str | None = None

    @property
    def kept(self) -> EpochMetrics:
        """The epoch whose weights these are."""
        return self.history[self.best_epoch - 1]

    def logits(self, batch: FeatureBatch, *, force: bool = False) -> Tensor:
        """(B, K) on the CPU. StaleCache where the features were made by another recipe, unless `force`."""
        return self._outputs(batch, force=force)[:, : len(self.labels)]

    def valences(self, batch: FeatureBatch, *, force: bool = False) -> list[float]:
        """Valence of each clip; ConfigError where the head was trained without. StaleCache as `logits`."""
        if not self.config.valence > 0:
            raise ConfigError("the head was trained without a valence. Train it with --valence.")
        return self._outputs(batch, force=force)[:, -1].tolist()

    @torch.no_grad()
    def _outputs(self, batch: FeatureBatch, *, force: bool) -> Tensor:
        """(B, K), or (B, K + 1) with the valence last."""
        known = batch.only(tuple(self.dims))
        if not force:
            refuse_other_features(self.sources, known.sources, whole=True)
        device = next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))
        self.model.eval()
        outputs: Tensor = self.model(self.standardiser(known.to(device)))
        return outputs.float().cpu()

    def probabilities(self, batch: FeatureBatch, *, force: bool = False) -> Tensor:
        """(B, K), rows sum to 1. StaleCache as `logits`."""
        return self.logits(batch, force=force).softmax(dim=1)

    def predict(self, batch: FeatureBatch, *, force: bool = False) -> list[str]:
        """The likeliest label of each clip. StaleCache as `logits`."""
        return [self.labels[index] for index in self.logits(batch, force=force).argmax(dim=1).tolist()]

    def save(self, folder: Path) -> None:
        """Write the head into `folder`, which is made where it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        tensors |= {f"standardiser.{key}": value for key, value in self.standardiser.tensors().items()}
        save_file({key: value.cpu().contiguous() for key, value in tensors.items()}, folder / WEIGHTS)
        text = json.dumps(self._card(), indent=1, ensure_ascii=False)
        (folder / CARD).write_text(text + "\n", encoding="utf-8")

    def _card(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "labels": list(self.labels),
            "dims": dict(self.dims),
            "features": {
                name: {
                    "fingerprint": source.spec.fingerprint,
                    "array": source.array,
                    "spec": source.spec.to_json(),
                }
                for name, source in self.sources.items()
            },
            "config": asdict(self.config),
            "best_epoch": self.best_epoch,
            "history": [asdict(metrics) for metrics in self.history],
            "commit": self.commit,
        }

    @classmethod
    def load(cls, folder: Path, *, head: str | None = None) -> TrainedHead:
        """The head that `save` wrote.

        A head that is code of yours is imported only where you name the same `module:Class` in `head`: a file
        does not decide what is imported. CheckpointError where something is missing or does not fit, or
        where `head` is another than the folder holds.
        """
        card, tensors = _read(folder)
        try:
            config = HeadConfig(**card["config"])
            labels, dims = tuple(card["labels"]), dict(card["dims"])
            sources = {
                name: Source(FeatureSpec.from_json(entry["spec"]), entry["array"])
                for name, entry in card["features"].items()
            }
            history = tuple(EpochMetrics(**metrics) for metrics in card["history"])
            best_epoch, commit = card["best_epoch"], card["commit"]
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{folder / CARD}: incomplete: {error!r}. Train the head again.") from error
        _check_consent(folder, config.head, head)
        model = make_head(config.head, dims, output_count(labels, config), **config.options)
        try:
            model.load_state_dict(_under("model.", tensors), strict=True)
        except RuntimeError as error:
            raise CheckpointError(
                f"{folder / WEIGHTS}: does not fit the head {config.head!r}: {error}"
            ) from error
        return cls(
            model=model.eval(),
            labels=labels,
            dims=dims,
            standardiser=Standardiser.from_tensors(_under("standardiser.", tensors)),
            sources=sources,
            config=config,
            history=history,
            best_epoch=best_epoch,
            commit=commit,
        )


def _check_consent(folder: Path, stored: str, named: str | None) -> None:
    """CheckpointError unless the stored head is one of emo's own, or the very one that the user named."""
    if named is not None and named != stored:
        raise CheckpointError(
            f"{folder}: holds the head {stored!r}, not {named!r}. Leave out --head"
            + ("." if stored in HEADS else ", or name that one if its code is yours.")
        )
    if stored not in HEADS and named is None:
        raise CheckpointError(
            f"{folder}: its head is code of somebody's own, {stored!r}, which is not imported because a file "
            f"says so. If you know that code, name it: --head {shlex.quote(stored)}, or in Python "
            f"head={stored!r}."
        )


def output_count(labels: Sequence[str], config: HeadConfig) -> int:
    """Outputs of a head: one a label, and one more where it gives a valence."""
    return len(labels) + (config.valence > 0)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: not a trained head: {error}. `emo train-head --out {folder}` makes one."
        ) from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise CheckpointError(f"{folder / CARD}: not format {FORMAT}. Train the head with this release.")
    return card, tensors


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
