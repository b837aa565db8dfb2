"""Alignment: projectors held against vectors of words, and the loss that pulls the two together.

A clip's vector is the mean over its slots of what their projectors make; what words mean is a vector that is
given. Knows no words, no LLaMA and no files.

Axes: B batch, S slots, H size of the word vectors, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.batches import FeatureBatch
from emo.heads.prefusion import ConvAttention, steps_of
from emo.heads.projectors import Projector, slot_source

FUSION = "fusion"
UNKNOWN = -100  # the target of a clip whose label is not known, as cross_entropy has it
SHARPEST = 100.0  # what cosines are multiplied by at most, as in CLIP (arXiv:2103.00020)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What is known of B clips in words: `labels` (B,) are places in the label set or UNKNOWN, `captions`
    (B, H) vectors that mean something where `captioned` (B,), `texts` (B,) numbers of equal captions."""

    labels: Tensor
    captions: Tensor
    captioned: Tensor
    texts: Tensor

    def take(self, rows: Tensor) -> Told:
        """Those of the clips at `rows`."""
        return Told(self.labels[rows], self.captions[rows], self.captioned[rows], self.texts[rows])


class Alignment(nn.Module):
    """Projectors by slot, perhaps the pre-fusion as one slot more, and how sharply cosines are read."""

    def __init__(self, projectors: nn.ModuleDict, fusion: ConvAttention | None, temperature: float) -> None:
        super().__init__()
        self.projectors = projectors
        self.fusion = fusion
        self.log_scale = nn.Parameter(torch.tensor(-log(temperature)))

    def condense(self, batch: FeatureBatch) -> FeatureBatch:
        """What is read of a batch by feature name, by slot: no more than a mean of tokens needs."""
        values, masks = {}, {}
        for slot, projector in self._slots.items():
            name, _ = slot_source(slot)
            values[slot], masks[slot] = projector.condense(batch.present(name)), batch.masks[name]
        if self.fusion is not None:
            for name in self.fusion.encoders:
                value = batch.present(name)
                if slot_source(f"{name}_class") == (name, "tokens"):
                    value = value[:, 0]  # v2 repeats the class token of EVA
                values[f"{FUSION}.{name}"] = value if value.dim() == 2 else steps_of(value, self.fusion.steps)
                masks[f"{FUSION}.{name}"] = batch.masks[name]
        return FeatureBatch(batch.clip_ids, values, masks)

    def slot_vectors(self, condensed: FeatureBatch) -> tuple[Tensor, Tensor]:
        """The mean token of each slot (B, S, H), and which clips have the slot (B, S)."""
        vectors = [projector.mean(condensed.values[slot]) for slot, projector in self._slots.items()]
        masks = [condensed.masks[slot] for slot in self._slots]
        if self.fusion is not None:
            parts = _named(condensed, f"{FUSION}.")
            vectors.append(self.fusion(parts).mean(dim=1))
            masks.append(torch.stack(list(parts.masks.values())).any(dim=0))
        return torch.stack(vectors, dim=1), torch.stack(masks, dim=1)

    def forward(self, condensed: FeatureBatch) -> Tensor:
        """The clips' vectors (B, H): zeros where a clip has no slot."""
        return _over_slots(*self.slot_vectors(condensed))

    def scores(self, vectors: Tensor, words: Tensor) -> Tensor:
        """Cosines of vectors (..., H) with words (K, H), sharpened: (..., K)."""
        sharp = self.log_scale.exp().clamp(max=SHARPEST)
        return sharp * functional.normalize(vectors, dim=-1) @ functional.normalize(words, dim=-1).T

    def loss(self, condensed: FeatureBatch, told: Told, labels: Tensor, captions: float) -> Tensor:
        """Cross-entropy over the label set (K, H), and InfoNCE among the captions of the batch with weight
        `captions`; each the mean over every slot alone and all of them together, so that no slot leans on
        another. 0 where nothing is told."""
        vectors, there = self.slot_vectors(condensed)
        views = [(_over_slots(vectors, there), there.any(dim=1))]
        views += [(vectors[:, slot], there[:, slot]) for slot in range(vectors.shape[1])]
        losses = [self._loss(view, mask, told, labels, captions) for view, mask in views]
        return torch.stack(losses).mean()

    def _loss(self, vectors: Tensor, mask: Tensor, told: Told, labels: Tensor, captions: float) -> Tensor:
        known = mask & (told.labels != UNKNOWN)
        total = vectors.sum() * 0.0
        if known.any():
            total = total + functional.cross_entropy(self.scores(vectors[known], labels), told.labels[known])
        written = mask & told.captioned
        if captions and written.sum() > 1:
            scores = self.scores(vectors[written], told.captions[written])
            total = total + captions * contrast(scores, told.texts[written])
        return total

    @torch.no_grad()
    def rescale(self, condensed: FeatureBatch, spread: float) -> None:
        """Give the slots' vectors of these clips the root mean square `spread`, by one factor on every
        projector: cosines, and the share of each slot in a clip's vector, stay as they are."""
        vectors, there = self.slot_vectors(condensed)
        found = float(vectors[there].square().mean().sqrt())
        ends = [projector.out for projector in self._slots.values()]
        for end in (*ends, *([self.fusion.out] if self.fusion is not None else [])):
            end.weight.mul_(spread / found)
            end.bias.mul_(spread / found)

    @property
    def _slots(self) -> Mapping[str, Projector]:
        return cast(Mapping[str, Projector], dict(self.projectors.items()))


def contrast(scores: Tensor, texts: Tensor) -> Tensor:
    """InfoNCE both ways over scores (B, B) of clips with captions; clips of one text (B,) are one another's
    match too. van den Oord et al. 2018, arXiv:1807.03748; both ways as in CLIP."""
    match = (texts[:, None] == texts[None]).float()
    match = match / match.sum(dim=1, keepdim=True)
    ways = [functional.cross_entropy(scores, match), functional.cross_entropy(scores.T, match)]
    return torch.stack(ways).mean()


def _over_slots(vectors: Tensor, mask: Tensor) -> Tensor:
    """The mean over the slots that are there, (B, S, H) to (B, H)."""
    weights = mask.unsqueeze(-1).to(vectors.dtype)
    return (vectors * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def _named(batch: FeatureBatch, prefix: str) -> FeatureBatch:
    """What in `batch` has names with this prefix, without it."""
    names = [name for name in batch.names if name.startswith(prefix)]
    return FeatureBatch(
        batch.clip_ids,
        {name.removeprefix(prefix): batch.values[name] for name in names},
        {name.removeprefix(prefix): batch.masks[name] for name in names},
    )
