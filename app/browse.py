"""A look into a cache: which clips it has and how they fared, which are alike, and all of them on a plane.

Reads, and changes nothing. Knows no web library.

Axes: N clips, D feature dim.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from emo.app.refusals import Refused
from emo.cache import FeatureCache, Space
from emo.clip import Clip
from emo.evaluation.maps import groups_of, map_figure
from emo.evaluation.projection import LEAST_CLIPS, on_a_plane
from emo.pipeline.clip_rows import clip_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Colour = Literal["label", "speaker", "split"]
MOST_LISTED = 2000  # clips of a table and of a map
NEIGHBOURS = 8


class Browser:
    """The spaces of `cache`, and `clips` with the labels and media that a manifest gives them."""

    def __init__(self, cache: FeatureCache, clips: Sequence[Clip] = ()) -> None:
        self._spaces = {_title(space): space for space in cache.spaces()}
        self._clips = {clip.clip_id: clip for clip in clips}
        stored = {clip_id for space in self._spaces.values() for clip_id in space}
        self.ids = sorted(stored | set(self._clips))[:MOST_LISTED]
        self.all = len(stored | set(self._clips))
        self._rows: dict[str, tuple[list[str], NDArray[np.float64]]] = {}
        self._lock = threading.Lock()

    @property
    def spaces(self) -> list[str]:
        """Titles of the spaces."""
        return list(self._spaces)

    @property
    def columns(self) -> list[str]:
        """What a row of `table` says."""
        return ["clip", "label", "split", *self.spaces]

    def table(self) -> list[list[str]]:
        """A row a clip: its id, its label and split, and its status in each space."""
        infos = [space.infos() for space in self._spaces.values()]
        rows = []
        for clip_id in self.ids:
            clip = self._clips.get(clip_id)
            statuses = [info[clip_id].status if clip_id in info else "-" for info in infos]
            rows.append([clip_id, (clip and clip.label) or "", (clip and clip.split) or "", *statuses])
        return rows

    def clip(self, clip_id: str) -> Clip | None:
        """The clip of that id in the manifest."""
        return self._clips.get(clip_id)

    def neighbours(self, title: str, clip_id: str) -> list[tuple[str, str, float]]:
        """The clips most like `clip_id` in a space: id, label, and the cosine of their standardised features.

        Refused where the clip has no feature there.
        """
        ids, rows = self._standardised(title)
        if clip_id not in ids:
            raise Refused(422, "no_feature", "This clip has no feature in this space.")
        lengths = np.linalg.norm(rows, axis=1)
        place = ids.index(clip_id)
        likeness = rows @ rows[place] / np.maximum(lengths * lengths[place], 1e-12)
        order = [int(one) for one in np.argsort(-likeness, kind="stable") if one != place][:NEIGHBOURS]
        return [(ids[one], self._label(ids[one]), float(likeness[one])) for one in order]

    def map(self, title: str, colour: Colour = "label") -> Figure:
        """The space on a plane by its principal components, coloured. Refused where it has too few clips."""
        ids, rows = self._standardised(title)
        if len(ids) < LEAST_CLIPS or not np.ptp(rows, axis=0).any():
            raise Refused(422, "no_map", f"A map needs {LEAST_CLIPS} clips that differ in this space.")
        named = [getattr(self._clips.get(clip_id), colour, None) for clip_id in ids]
        return map_figure(on_a_plane(rows), groups_of(named), f"{title}, {len(ids)} clips by {colour}")

    def _label(self, clip_id: str) -> str:
        clip = self._clips.get(clip_id)
        return (clip.label if clip is not None else None) or ""

    def _standardised(self, title: str) -> tuple[list[str], NDArray[np.float64]]:
        """Ids and z-scored rows (N, D) of a space, read once."""
        if title not in self._spaces:
            raise Refused(404, "no_space", "There is no such space in this cache.")
        with self._lock:
            if title not in self._rows:
                space = self._spaces[title]
                ids = [clip_id for clip_id in self.ids if clip_id in space]
                arrays = space.spec.arrays
                rows = clip_rows(space, ids, "utterance" if "utterance" in arrays else next(iter(arrays)))
                spread = rows.std(axis=0) if len(rows) else np.ones(rows.shape[1])
                centred = rows - rows.mean(axis=0) if len(rows) else rows
                self._rows[title] = ids, centred / np.maximum(spread, 1e-9)
            return self._rows[title]


def _title(space: Space) -> str:
    preset = f"@{space.spec.preset}" if space.spec.preset else ""
    return f"{space.spec.encoder}{preset}/{space.spec.short[:6]}"
