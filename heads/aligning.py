"""Training of an Alignment: AdamW, seeded order, the epoch that validation likes best.

Trains on condensed features and vectors of words that it is given. Knows no words, no LLaMA and no files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite

import torch
from torch import Tensor, nn

from emo.config.projector import ProjectorConfig
from emo.errors import ConfigError, NonFiniteLoss
from emo.evaluation.metrics import classification_scores
from emo.heads.alignment import UNKNOWN, Alignment, Told
from emo.heads.batches import FeatureBatch, drop_modalities
from emo.heads.trained import EpochMetrics
from emo.heads.training import decayed


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """How a training went: its epochs, and the one whose weights the model has now."""

    history: tuple[EpochMetrics, ...]
    best_epoch: int


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """Condensed features of B clips, and what is told of the same clips."""

    batch: FeatureBatch
    told: Told

    def take(self, rows: Tensor) -> Clips:
        """The clips at `rows`."""
        return Clips(self.batch.take(rows), self.told.take(rows))


def align(
    model: Alignment,
    train: Clips,
    val: Clips,
    words: Tensor,
    labels: Sequence[str],
    config: ProjectorConfig,
    *,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> Aligned:
    """Train `model` in place; it ends with the weights of the epoch whose validation loss is lowest.

    `words` (K, H) are the vectors of `labels`. The same arguments give the same weights; the global random
    state is left as it was. ConfigError where a split is empty or nothing is told of one; NonFiniteLoss
    before a step on NaN or Inf.
    """
    for name, clips in (("training", train), ("validation", val)):
        if not len(clips.batch) or not ((clips.told.labels != UNKNOWN) | clips.told.captioned).any():
            raise ConfigError(
                f"{len(clips.batch)} {name} clips, none of them with one of the labels {', '.join(labels)} "
                "or a caption. There is nothing to align with."
            )
    run = _Run(model, train, val, words, tuple(labels), config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        run.fit(on_epoch)
    return Aligned(tuple(run.history), run.best_epoch)


class _Run:
    """One training: the optimiser, what each epoch gave, the best weights so far."""

    def __init__(
        self,
        model: Alignment,
        train: Clips,
        val: Clips,
        words: Tensor,
        labels: tuple[str, ...],
        config: ProjectorConfig,
    ) -> None:
        self.history: list[EpochMetrics] = []
        self.best_epoch = 0
        self._model, self._train, self._val = model, train, val
        self._words, self._labels, self._config = words, labels, config
        self._generator = torch.Generator().manual_seed(config.seed)
        self._best, self._state = inf, dict[str, Tensor]()
        self._optimiser = torch.optim.AdamW(decayed(model, config.weight_decay), lr=config.learning_rate)

    def fit(self, on_epoch: Callable[[EpochMetrics], None] | None) -> None:
        for epoch in range(1, self._config.epochs + 1):
            metrics = self._validate(epoch, self._train_epoch(epoch))
            self.history.append(metrics)
            if on_epoch is not None:
                on_epoch(metrics)
            if metrics.val_loss < self._best or not self._state:
                self._best, self.best_epoch = metrics.val_loss, epoch
                self._state = {key: value.clone() for key, value in self._model.state_dict().items()}
            if epoch - self.best_epoch >= self._config.patience:
                break
        self._model.load_state_dict(self._state)
        self._model.eval()

    def _train_epoch(self, epoch: int) -> float:
        self._model.train()
        total = 0.0
        order = torch.randperm(len(self._train.batch), generator=self._generator)
        for rows in torch.split(order, self._config.batch_size):
            part = self._train.take(rows)
            batch = drop_modalities(part.batch, self._config.modality_dropout, self._generator)
            loss = self._loss(Clips(batch, part.told))
            self._step(loss, epoch)
            total += loss.item() * len(rows)
        return total / len(order)

    def _step(self, loss: Tensor, epoch: int) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._config.clip_norm)
        if not isfinite(float(norm)):
            raise NonFiniteLoss(
                f"epoch {epoch}: loss {float(loss):.4g}, gradient norm {float(norm):.4g}; no step was taken. "
                "Look at the features with: emo cache verify"
            )
        self._optimiser.step()

    @torch.no_grad()
    def _validate(self, epoch: int, train_loss: float) -> EpochMetrics:
        """Loss in batches of the training's size, as InfoNCE depends on it; F1 of the known labels."""
        self._model.eval()
        total, predicted, truth = 0.0, list[str](), list[str]()
        for rows in torch.split(torch.arange(len(self._val.batch)), self._config.batch_size):
            part = self._val.take(rows)
            total += float(self._loss(part)) * len(rows)
            known = part.told.labels != UNKNOWN
            best = self._model.scores(self._model(part.batch), self._words).argmax(dim=1)
            predicted += [self._labels[place] for place in best[known].tolist()]
            truth += [self._labels[place] for place in part.told.labels[known].tolist()]
        score = classification_scores(truth, predicted, self._labels).weighted_f1 if truth else 0.0
        return EpochMetrics(epoch, train_loss, total / len(self._val.batch), score)

    def _loss(self, clips: Clips) -> Tensor:
        return self._model.loss(clips.batch, clips.told, self._words, self._config.captions)
