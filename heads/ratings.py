"""Ratings: what annotators said of clips beside the label: a valence, and their votes.

Knows clip ids and labels' names, nothing of manifests.

Axes: B clips, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from emo.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratings:
    """By clip id: `valence`, a number, and `votes`, how many annotators chose each label."""

    valence: Mapping[str, float] = field(default_factory=dict)
    votes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def valences(self, clip_ids: Sequence[str]) -> Tensor:
        """(B,), NaN where nobody gave one; ConfigError where nobody gave any."""
        known = [self.valence.get(clip_id, torch.nan) for clip_id in clip_ids]
        if all(value != value for value in known):
            raise ConfigError(
                f"none of {len(known)} clips has a valence. Add a column `valence` to the manifest, "
                "or leave valence out."
            )
        return torch.tensor(known, dtype=torch.float32)

    def shares(self, clip_ids: Sequence[str], names: Sequence[str], labels: Sequence[str]) -> Tensor:
        """Shares of the votes (B, K), rows sum to 1; votes for labels outside `labels` do not count.

        A clip without votes has all of them on its label. ConfigError where no clip has votes, or one has a
        negative number of them.
        """
        if not any(clip_id in self.votes for clip_id in clip_ids):
            raise ConfigError(
                f"none of {len(clip_ids)} clips has votes. Add a column `votes` such as "
                '{"happy": 7, "neutral": 3} to the manifest, or train on labels alone.'
            )
        rows = torch.zeros(len(clip_ids), len(labels))
        for row, (clip_id, name) in enumerate(zip(clip_ids, names, strict=True)):
            votes = self.votes.get(clip_id, {})
            if wrong := {label: count for label, count in votes.items() if not count >= 0}:
                raise ConfigError(f"clip {clip_id!r} has votes {wrong}. Give numbers of 0 or more.")
            counted = [float(votes.get(label, 0)) for label in labels]
            total = sum(counted)
            if total > 0:
                rows[row] = torch.tensor(counted) / total
            else:
                rows[row, labels.index(name)] = 1
        return rows


NO_RATINGS = Ratings()
