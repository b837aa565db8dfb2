"""Which features are worth having: each alone on validation clips.

MER2024's attention_topn takes its best features from a ranking of unimodal results; here the ranking is made
on the clips at hand. Test clips are not even a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emo.config.heads import HeadConfig
from emo.heads.batches import FeatureBatch
from emo.heads.training import train_head

RANKED = "attention-topn"  # the head of the table that keeps `HeadConfig.top` features


def best_alone(
    train: FeatureBatch,
    train_labels: Sequence[str],
    val: FeatureBatch,
    val_labels: Sequence[str],
    labels: Sequence[str],
    config: HeadConfig,
) -> tuple[str, ...]:
    """The `config.top` features whose unimodal MLP has the best weighted F1 on `val`, in their order."""
    alone = replace(config, head="mlp", options={}, vat=0.0, valence=0.0, soft_labels=False, select="loss")
    scores = {}
    for name in train.names:
        trained = train_head(train.only([name]), train_labels, val.only([name]), val_labels, labels, alone)
        kept = trained.kept
        scores[name] = (kept.val_weighted_f1, -kept.val_loss)
    best = sorted(train.names, key=scores.__getitem__, reverse=True)[: config.top]
    return tuple(name for name in train.names if name in best)
