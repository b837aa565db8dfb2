"""Loaded: labelled clips of a run with their splits and features, read once for any number of heads.

Knows clips and feature spaces, nothing of manifests, media or encoders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from emo.clip import Clip
from emo.config.heads import ARRAYS, FRAMES, HeadConfig
from emo.heads.batches import FeatureBatch
from emo.heads.loader import FeatureSpace, load_features
from emo.heads.models import Reads, head_reads
from emo.heads.splits import Splits, split_clips


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Splits with the batches of train, val and what is scored: test, or val where there are no test clips.

    `versions` are augmented versions of features of the training clips; `augmented` names their views.
    """

    splits: Splits
    train: FeatureBatch
    val: FeatureBatch
    scored: FeatureBatch
    versions: tuple[FeatureBatch, ...] = ()
    augmented: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def scored_split(self) -> str:
        """The split that the score is of."""
        return "test" if self.splits.test else "val"

    @property
    def scored_clips(self) -> tuple[Clip, ...]:
        """The clips that the score is of."""
        return self.splits.test or self.splits.val

    def only(self, names: Sequence[str]) -> Loaded:
        """The same clips with some of their features, and no augmented versions of the others."""
        return replace(
            self,
            train=self.train.only(names),
            val=self.val.only(names),
            scored=self.scored.only(names),
            versions=tuple(one.only([name for name in one.names if name in names]) for one in self.versions),
        )


def load(
    clips: Sequence[Clip],
    spaces: Mapping[str, FeatureSpace],
    config: HeadConfig,
    augmented: Mapping[str, Sequence[FeatureSpace]] = MappingProxyType({}),
) -> Loaded:
    """What a head of `config` reads. Raises what `split_clips` and `load_features` raise."""
    return load_splits(
        split_clips(clips, val_share=config.val_share, seed=config.seed), spaces, config, augmented
    )


def load_splits(
    splits: Splits,
    spaces: Mapping[str, FeatureSpace],
    config: HeadConfig,
    augmented: Mapping[str, Sequence[FeatureSpace]] = MappingProxyType({}),
) -> Loaded:
    """As `load`, with the splits given."""
    arrays = arrays_for(spaces, config.arrays, head_reads(config.head))
    train, val, scored = (
        load_features(spaces, [clip.clip_id for clip in part], arrays)
        for part in (splits.train, splits.val, splits.test or splits.val)
    )
    versions = [
        load_features({name: space}, train.clip_ids, arrays, missing_ok=True)
        for name, more in augmented.items()
        for space in more
    ]
    named = {name: tuple(space.spec.preset for space in more) for name, more in augmented.items()}
    return Loaded(splits, train, val, scored, tuple(versions), named)


def arrays_for(
    spaces: Mapping[str, FeatureSpace], arrays: Mapping[str, str], reads: Reads = "utterance"
) -> dict[str, str]:
    """What is read of each feature: what `arrays` says by its name or its encoder's, else what is usual."""
    return {
        name: arrays.get(name) or arrays.get(space.spec.encoder) or _usual(space, reads)
        for name, space in spaces.items()
    }


def _usual(space: FeatureSpace, reads: Reads) -> str:
    stored = FRAMES.partition(":")[0]
    if reads == "frames" and stored in space.spec.arrays:
        return FRAMES
    return ARRAYS.get(space.spec.encoder, "utterance")
