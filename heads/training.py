"""Training of a head on cached features: seconds on a CPU, the same every time for one seed.

Every choice (epoch, early stop) is made on the validation clips; test clips are not even a parameter.
Knows neither manifests nor caches. Progress leaves through a callback.

Axes: B batch, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emo.config.heads import HeadConfig, Selection
from emo.errors import ConfigError, NonFiniteLoss
from emo.evaluation.mer2023 import VALENCE_WEIGHT
from emo.evaluation.metrics import classification_scores
from emo.heads.adversarial import virtual_adversarial_loss
from emo.heads.batches import FeatureBatch, drop_modalities, sample_views
from emo.heads.models import LossyHead, check_head, make_head
from emo.heads.objective import Objective, Targets, class_weights, squared_error
from emo.heads.provenance import code_commit
from emo.heads.ratings import NO_RATINGS, Ratings
from emo.heads.standardise import Standardiser
from emo.heads.trained import EpochMetrics, TrainedHead, output_count

logger = logging.getLogger(__name__)


def train_head(
    train: FeatureBatch,
    train_labels: Sequence[str],
    val: FeatureBatch,
    val_labels: Sequence[str],
    labels: Sequence[str],
    config: HeadConfig,
    *,
    ratings: Ratings = NO_RATINGS,
    augmented: Sequence[FeatureBatch] = (),
    on_epoch: Callable[[EpochMetrics], None] | None = None,
    device: str = "cpu",
) -> TrainedHead:
    """A head trained on `train`, of the epoch that `val` liked best.

    `ratings` has the valence and the votes of clips, where `config` trains on them.
    `augmented` are augmented versions of some features of the training clips; a step draws for each feature
    of each clip which version it sees. Nothing is ever validated on them. `labels` are the classes in the
    order of the logits. The global random state is left as it was. NonFiniteLoss before a step on NaN or
    Inf; ConfigError for labels outside `labels`, empty splits, ratings that nobody gave, or a head that does
    not fit.
    """
    if not len(train) or not len(val):
        raise ConfigError(f"{len(train)} training and {len(val)} validation clips. Both splits need some.")
    standardiser = Standardiser.fit(train)
    train_set = _Split.of(standardiser(train), train_labels, labels, ratings, config, device)
    versions = [standardiser(_of(train, one)).to(device) for one in augmented]
    val_batch = standardiser(val.only(train.names))
    val_set = _Split.of(val_batch, val_labels, labels, ratings, config, device)
    outputs = output_count(labels, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = make_head(config.head, train.dims, outputs, **config.options).to(device)
        check_head(model, config.head, train_set.batch.take(range(min(2, len(train)))), outputs)
        run = _Run(model, train_set, val_set, tuple(labels), config, versions)
        run.fit(on_epoch)
    return TrainedHead(
        model=model.cpu().eval(),
        labels=tuple(labels),
        dims=train.dims,
        standardiser=standardiser,
        sources=dict(train.sources),
        config=config,
        history=tuple(run.history),
        best_epoch=run.best_epoch,
        commit=code_commit(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    batch: FeatureBatch
    names: list[str]
    targets: Targets

    @classmethod
    def of(
        cls,
        batch: FeatureBatch,
        names: Sequence[str],
        labels: Sequence[str],
        ratings: Ratings,
        config: HeadConfig,
        device: str,
    ) -> _Split:
        if len(names) != len(batch):
            raise ConfigError(f"{len(batch)} clips but {len(names)} labels. Give one label a clip.")
        targets = Targets.of(batch.clip_ids, names, labels, ratings, config)
        return cls(batch.to(device), list(names), targets.to(device))


def _of(train: FeatureBatch, augmented: FeatureBatch) -> FeatureBatch:
    """What of `augmented` is a version of a feature of `train`; ConfigError where it is of other clips."""
    if augmented.clip_ids != train.clip_ids:
        raise ConfigError(
            "augmented features are of other clips than the plain ones. Give the same, in order."
        )
    return augmented.only([name for name in augmented.names if name in train.values])


class _Run:
    """One training run: the optimiser, what each epoch gave, and the best state so far."""

    def __init__(
        self,
        model: nn.Module,
        train: _Split,
        val: _Split,
        labels: tuple[str, ...],
        config: HeadConfig,
        augmented: Sequence[FeatureBatch] = (),
    ) -> None:
        self.history: list[EpochMetrics] = []
        self.best_epoch = 0
        self._model, self._train, self._val, self._labels, self._config = model, train, val, labels, config
        self._augmented = augmented
        self._generator = torch.Generator().manual_seed(config.seed)
        weights = class_weights(train.targets.classes, len(labels)) if config.class_balanced else None
        self._loss = Objective(len(labels), weights, config.label_smoothing, config.valence)
        self._best: tuple[float, float] | None = None
        self._best_state: dict[str, Tensor] = {}
        self._optimiser = torch.optim.AdamW(decayed(model, config.weight_decay), lr=config.learning_rate)

    def fit(self, on_epoch: Callable[[EpochMetrics], None] | None) -> None:
        for epoch in range(1, self._config.epochs + 1):
            metrics = self._validate(epoch, self._train_epoch(epoch))
            self.history.append(metrics)
            logger.debug("head epoch %s", metrics)
            if on_epoch is not None:
                on_epoch(metrics)
            self._keep_if_better(metrics)
            if epoch - self.best_epoch >= self._config.patience:
                break
        self._model.load_state_dict(self._best_state)

    def _train_epoch(self, epoch: int) -> float:
        self._model.train()
        total = 0.0
        order = torch.randperm(len(self._train.batch), generator=self._generator)
        for rows in torch.split(order, self._config.batch_size):
            batch = self._train.batch.take(rows)
            if self._augmented:
                versions = [one.take(rows) for one in self._augmented]
                batch = sample_views(batch, versions, self._generator)
            batch = drop_modalities(batch, self._config.modality_dropout, self._generator)
            loss = self._of(batch, self._train.targets.take(rows))
            self._step(loss, epoch)
            total += loss.item() * len(rows)
        return total / len(order)

    def _of(self, batch: FeatureBatch, targets: Targets) -> Tensor:
        """The training loss: the objective, what the head adds, and the virtual adversarial loss."""
        if isinstance(self._model, LossyHead):
            outputs, own = self._model.logits_and_loss(batch)
            loss = self._loss(outputs, targets) + own
        else:
            loss = self._loss(self._model(batch), targets)
        if self._config.vat > 0:
            loss = loss + self._config.vat * virtual_adversarial_loss(
                self._model, batch, len(self._labels), self._config.vat_radius, self._generator
            )
        return loss

    def _step(self, loss: Tensor, epoch: int) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._config.clip_norm)
        if not torch.isfinite(norm):
            raise NonFiniteLoss(
                f"epoch {epoch}: loss {loss.item():.4g}, gradient norm {norm.item():.4g}; no step was taken. "
                f"Lower learning_rate ({self._config.learning_rate:g}), or run `emo cache verify`."
            )
        self._optimiser.step()

    @torch.no_grad()
    def _validate(self, epoch: int, train_loss: float) -> EpochMetrics:
        self._model.eval()
        outputs, targets = self._model(self._val.batch), self._val.targets
        chosen = outputs[:, : len(self._labels)].argmax(dim=1).tolist()
        predicted = [self._labels[index] for index in chosen]
        scores = classification_scores(self._val.names, predicted, self._labels)
        error = None if targets.valence is None else squared_error(outputs[:, -1], targets.valence).item()
        return EpochMetrics(epoch, train_loss, self._loss(outputs, targets).item(), scores.weighted_f1, error)

    def _keep_if_better(self, metrics: EpochMetrics) -> None:
        rank = (validation_score(metrics, self._config.select), -metrics.val_loss)
        if self._best is None or rank > self._best:
            self._best, self.best_epoch = rank, metrics.epoch
            self._best_state = {key: value.clone() for key, value in self._model.state_dict().items()}


def validation_score(metrics: EpochMetrics, select: Selection) -> float:
    """What `select` says of an epoch, more is better; ConfigError for combined where there is no valence."""
    if select == "loss":
        return -metrics.val_loss
    if select == "weighted_f1":
        return metrics.val_weighted_f1
    if metrics.val_mse is None:
        raise ConfigError("select combined needs a valence. Train with --valence, or select by loss.")
    return metrics.val_weighted_f1 - VALENCE_WEIGHT * metrics.val_mse


def decayed(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Groups of parameters for AdamW: decay on matrices, none on vectors."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
