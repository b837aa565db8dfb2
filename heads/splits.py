"""Train, validation and test clips of a labelled set; a missing validation split is cut by speaker.

Test clips are never touched to make a choice. Knows clips and their fields, nothing of manifests.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from emo.clip import TRAINING, VALIDATION, Clip
from emo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Splits:
    """Labelled clips by role. `held_out` says that `val` was cut from the training speakers by seed."""

    train: tuple[Clip, ...]
    val: tuple[Clip, ...]
    test: tuple[Clip, ...]
    held_out: bool = False

    @property
    def shared_speakers(self) -> frozenset[str]:
        """Speakers that are in train or val and in test too: the score then is not one of new people."""
        seen = {clip.speaker for clip in (*self.train, *self.val)}
        return frozenset(clip.speaker for clip in self.test if clip.speaker and clip.speaker in seen)


def split_clips(clips: Sequence[Clip], *, val_share: float, seed: int) -> Splits:
    """Labelled clips by their `split`: train (or none given), val (also dev, valid), anything else test.

    Without a validation split about `val_share` of the training speakers are held out, classes balanced as
    well as speakers allow; a clip without a speaker counts as a speaker of its own. ConfigError where there
    are no training clips or too few speakers to hold any out.
    """
    train = [clip for clip in clips if clip.label and clip.split in TRAINING]
    val = [clip for clip in clips if clip.label and clip.split in VALIDATION]
    known = {clip.clip_id for clip in (*train, *val)}
    test = tuple(clip for clip in clips if clip.label and clip.clip_id not in known)
    if not train:
        labelled = sum(bool(clip.label) for clip in clips)
        lacking = "a label and split `train`" if labelled else "a label: the column is called `label`"
        raise ConfigError(f"none of {len(clips)} clips has {lacking}. Add them to the manifest.")
    if val:
        return Splits(tuple(train), tuple(val), test)
    kept, held = _hold_out(train, val_share, seed)
    return Splits(tuple(kept), tuple(held), test, held_out=True)


def _hold_out(clips: list[Clip], share: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    speakers = [speaker_of(clip) for clip in clips]
    folds = min(max(2, round(1 / share)), len(set(speakers)))
    if folds < 2:
        raise ConfigError(
            f"all {len(clips)} training clips are of one speaker, so none can be held out for validation. "
            f"Mark some clips with split `val`."
        )
    return next(cut(clips, speakers, folds, seed))


def speaker_of(clip: Clip) -> str:
    """Who speaks; a clip without a speaker counts as a speaker of its own."""
    return clip.speaker or f"clip {clip.clip_id}"


def cut(
    clips: Sequence[Clip], units: Sequence[str], folds: int, seed: int
) -> Iterator[tuple[list[Clip], list[Clip]]]:
    """The clips kept and held out in each of `folds` cuts; those of one unit stay together.

    Classes are balanced as well as units allow.
    """
    labels = np.array([clip.label for clip in clips])
    cutter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # a class of few clips cannot be in every fold; that is for the scores to show
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        rows = list(cutter.split(clips, labels, np.array(units)))
    for kept, held in rows:
        yield [clips[row] for row in kept], [clips[row] for row in held]
