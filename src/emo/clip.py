"""Clip and Example: what every room means by a clip of a person and by a question about it.

Knows nothing of manifests, readers, features or files' contents.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from emo.errors import ConfigError

Seconds: TypeAlias = float
TRAINING: tuple[str | None, ...] = (None, "", "train")  # what `split` says of clips that are trained on
VALIDATION: tuple[str | None, ...] = ("val", "dev", "valid", "validation")
Region = Literal["left-half", "right-half"]
REGIONS: tuple[Region, ...] = get_args(Region)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One clip of one person. `clip_id` is data and never becomes a path.

    `start` and `end` cut the media file, in seconds from its first timestamp; None is the file's own.
    `dataset` is the key of the data set in `emo corpus list`. `group` is the dialogue, recording or session
    that the clip was cut from: clips of one group belong on one side of a split.
    `au_path` is an OpenFace-style action-unit CSV, where there is one. `person` is whose face counts where
    there are several: 1 is the leftmost; None leaves it to the view's policy. `faces_path` is a file of the
    faces that OpenFace found and aligned in the media file, uint8 BGR (F, 112, 112, 3). `region` is the part
    of every picture, as it is seen, that the clip is of; None is the whole. IEMOCAP films two speakers side
    by side.

    >>> from pathlib import Path
    >>> emo.Clip(clip_id="anna-1", path=Path("anna.mp4"), start=2.0, end=4.5, label="happy").end
    4.5

    Raises ConfigError for an id that is empty or has control characters, and for an unknown region.
    """

    clip_id: str
    path: Path
    start: Seconds | None = None
    end: Seconds | None = None
    text: str = ""
    label: str | None = None
    speaker: str | None = None
    split: str | None = None
    dataset: str | None = None
    group: str | None = None
    au_path: Path | None = None
    person: int | None = None
    faces_path: Path | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        normal = normal_id(self.clip_id)
        if normal is not self.clip_id:
            object.__setattr__(self, "clip_id", normal)
        if self.region is not None and self.region not in REGIONS:
            raise ConfigError(f"region is {self.region!r}, not {' or '.join(REGIONS)}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One question about a clip and, in training, its answer. `task` names an instruction pool.

    >>> emo.Example(clip_id="anna-1", task="emotion", instruction="What does she show?", answer="joy").answer
    'joy'
    """

    clip_id: str
    task: str
    instruction: str
    answer: str = ""
    text: str = ""


def normal_id(clip_id: str) -> str:
    """`clip_id` in Unicode NFC; ConfigError where it is empty or has control characters."""
    if clip_id.isascii() and clip_id.isprintable() and clip_id:  # NFC already, and quickly seen to be
        return clip_id
    normal = unicodedata.normalize("NFC", clip_id)
    control = not normal.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in normal)
    if not normal or control:
        raise ConfigError(f"clip id {clip_id!r} is empty or has control characters. Rename the clip.")
    return normal
