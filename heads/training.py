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
from torch.nn import functional

from emo.config.heads import HeadConfig
from emo.errors import ConfigError, NonFiniteLoss
from emo.evaluation.metrics import classification_scores
from emo.heads.batches import FeatureBatch, drop_modalities, sample_views
from emo.heads.models import make_head
from emo.heads.provenance import code_commit
from emo.heads.standardise import Standardiser
from emo.heads.trained import EpochMetrics, TrainedHead

logger = logging.getLogger(__name__)


def train_head(
    train: FeatureBatch,
    train_labels: Sequence[str],
    val: FeatureBatch,
    val_labels: Sequence[str],
    labels: Sequence[str],
    config: HeadConfig,
    *,
    augmented: Sequence[FeatureBatch] = (),
    on_epoch: Callable[[EpochMetrics], None] | None = None,
    device: str = "cpu",
) -> TrainedHead:
    """A head trained on `train`, of the epoch that `val` liked best.

    `augmented` are augmented versions of some features of the training clips; a step draws for each feature
    of each clip which version it sees. Nothing is ever validated on them. `labels` are the classes in the
    order of the logits. The global random state is left as it was. NonFiniteLoss before a step on NaN or
    Inf; ConfigError for labels outside `labels` or empty splits.
    """
    if not len(train) or not len(val):
        raise ConfigError(f"{len(train)} training and {len(val)} validation clips. Both splits need some.")
    standardiser = Standardiser.fit(train)
    train_set = _Split.of(standardiser(train), train_labels, labels, device)
    versions = [standardiser(_of(train, one)).to(device) for one in augmented]
    val_set = _Split.of(standardiser(val.only(train.names)), val_labels, labels, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = make_head(config.head, train.dims, len(labels), **config.options).to(device)
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
    targets: Tensor  # (B,)

    @classmethod
    def of(cls, batch: FeatureBatch, names: Sequence[str], labels: Sequence[str], device: str) -> _Split:
        if len(names) != len(batch):
            raise ConfigError(f"{len(batch)} clips but {len(names)} labels. Give one label a clip.")
        return cls(batch.to(device), list(names), label_indices(names, labels).to(device))


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
        self._class_weights = class_weights(train.targets, len(labels)) if config.class_balanced else None
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
            loss = self._loss(self._model(batch), self._train.targets[rows.to(self._train.targets.device)])
            self._step(loss, epoch)
            total += loss.item() * len(rows)
        return total / len(order)

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
        logits = self._model(self._val.batch)
        predicted = [self._labels[index] for index in logits.argmax(dim=1).tolist()]
        scores = classification_scores(self._val.names, predicted, self._labels)
        return EpochMetrics(
            epoch, train_loss, self._loss(logits, self._val.targets).item(), scores.weighted_f1
        )

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(
            logits, targets, weight=self._class_weights, label_smoothing=self._config.label_smoothing
        )

    def _keep_if_better(self, metrics: EpochMetrics) -> None:
        score = metrics.val_weighted_f1 if self._config.select == "weighted_f1" else -metrics.val_loss
        rank = (score, -metrics.val_loss)
        if self._best is None or rank > self._best:
            self._best, self.best_epoch = rank, metrics.epoch
            self._best_state = {key: value.clone() for key, value in self._model.state_dict().items()}


def label_indices(names: Sequence[str], labels: Sequence[str]) -> Tensor:
    """Indices (B,) of `names` in `labels`; ConfigError with every name that is not among them."""
    if unknown := sorted(set(names) - set(labels)):
        raise ConfigError(
            f"labels {', '.join(unknown)} are not among {', '.join(labels)}. Name another label set."
        )
    return torch.tensor([labels.index(name) for name in names], dtype=torch.long)


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Weights (K,) in inverse proportion to how often each class occurs, 1 on average over the clips.

    A class without clips has weight 0: nothing is known of it.
    """
    counts = torch.bincount(targets, minlength=classes).float()
    return torch.where(counts > 0, len(targets) / (counts.clamp(min=1) * (counts > 0).sum()), 0.0)


def decayed(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Groups of parameters for AdamW: decay on matrices, none on vectors."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
