"""Views: the pieces of a clip an encoder can ask for. A view is a value, so it is its own key.

Encoders that ask for equal views share one decode and one crop. How a view is made is the business of
`emo.extractors.media`; what is done with it, the encoder's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.records import Array
from emo.spec import FeatureSpec

FrameChoice = Literal["first", "middle", "peak"]
FacePolicy = Literal["largest", "central", "active", "listener"]
Alignment = Literal["box", "openface"]


@dataclass(frozen=True, slots=True)
class AudioView:
    """The sound track, mono float32 (S,) in [-1, 1] at `rate` hertz."""

    rate: int = 16_000


@dataclass(frozen=True, slots=True)
class FacesView:
    """Square face crops, uint8 RGB (F, size, size, 3).

    `sampling` is `uniform:N` (N moments, the middles of N equal parts), `segments:KxM` (M fixed moments
    in each of K equal parts), `onset-apex-offset:N` (N moments, first of all where expressions begin, are
    largest and end) or `all`. `box` is `tracked` (one box a frame) or `median` (one box a clip).
    `policy` names the face to keep where there are several: the `largest`, the most `central`, the one
    whose mouth moves with the sound (`active`), or the largest of the others (`listener`). A clip that
    names a person overrules it. `margin` widens the box, as a share of its longer side. `detect` is at how
    many of the sampled moments the detector runs; boxes between are interpolated; 0 is all of them. Where
    everybody in the clip has to be followed (`active`, `listener`, `onset-apex-offset`, a person named),
    the file is read twice and `detect` decides nothing. `alignment` `openface` takes the faces that OpenFace
    cut out beforehand, from the clip's `faces_path`: of the rest only `sampling` and `size` count then.
    """

    sampling: str = "uniform:16"
    size: int = 224
    box: Literal["tracked", "median"] = "tracked"
    policy: FacePolicy = "largest"
    margin: float = 0.1
    detect: int = 0
    alignment: Alignment = "box"


@dataclass(frozen=True, slots=True)
class FrameView:
    """One whole frame, uint8 RGB (H, W, 3).

    `peak` is the frame with the largest summed AU intensity where the clip has an action-unit file, else
    the frame of the largest facial change; which of the two it was is recorded.
    """

    choice: FrameChoice = "middle"


@dataclass(frozen=True, slots=True)
class MomentView:
    """The whole frame nearest to `seconds` from the video's start, uint8 RGB (H, W, 3)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class LevelView:
    """How loud the sound is: root mean square, mono, float32 (n,), one for each `hop` seconds from a whole
    multiple of it on, which are its `times`. What is not finite counts as silence."""

    hop: float = 0.02


@dataclass(frozen=True, slots=True)
class ChangeView:
    """How far each picture differs from the one before it, 0 to 1, float32 (n,); 0 for the first."""


@dataclass(frozen=True, slots=True)
class PeopleView:
    """Everybody in the clip, from left to right: one face each, uint8 RGB (P, size, size, 3), with its time.

    `meta` says of each where, when and how often they are seen, and how their mouth follows the sound."""

    size: int = 128


@dataclass(frozen=True, slots=True)
class TextView:
    """What is said in the clip, by its manifest or subtitles: one string, (1,). Nothing is decoded for it."""


SoundView: TypeAlias = AudioView | LevelView
PictureView: TypeAlias = FacesView | FrameView | MomentView | ChangeView | PeopleView
MediaView: TypeAlias = SoundView | PictureView


@dataclass(frozen=True, slots=True)
class AugmentedView:
    """A view changed on purpose, to train or to test on; `augment` as `emo.extractors.augment` writes it."""

    of: MediaView
    augment: str


Plain: TypeAlias = MediaView | TextView
View: TypeAlias = Plain | AugmentedView


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewData:
    """A view that could be had: `array` as its view says, `times` in seconds (one a frame; (1,) for
    audio; none for text), `meta` plain JSON for the record, `flags` such as `silent` or `short`. `degraded`
    is the record's status where the media is damaged but readable, such as `degraded:truncated`.
    `media_seconds` is how long the clip is, where the file or the cut says so."""

    array: Array
    times: NDArray[np.float64]
    meta: Mapping[str, Json] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    degraded: str | None = None
    media_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewProblem:
    """A view that could not be had: the record's status and one line for people."""

    status: str
    reason: str


Views: TypeAlias = Mapping[View, ViewData]


class Encoder(Protocol):
    """Turns views of clips into arrays. Making one is cheap and loads no weights; the first `encode` does.

    A batch of n gives what n batches of 1 give. Arrays are float32 and named as in `spec.arrays`.
    """

    spec: FeatureSpec
    needs: frozenset[View]

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """One dict of arrays for each element: frames (T, D), tokens (N, D), utterance (D,)."""

    def times(self, views: Views) -> dict[str, Json]:
        """When the rows of the time-bound arrays of a clip are, in seconds, by array name.

        `{"t0": s, "dt": s}` where they are evenly spaced, else `{"times": [s, ...]}`.
        """
