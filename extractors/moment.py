"""The frame of a given moment: what is wanted of a clip when something else has chosen where to look.

Knows no files and no rule of choice.
"""

from __future__ import annotations

import numpy as np

from emo.extractors.decode import PictureSink
from emo.extractors.pictures import NearestPictures
from emo.extractors.visual import Scene
from emo.views import MomentView, ViewData


class FrameOfMoment:
    """One whole frame in the making."""

    def __init__(self, view: MomentView, scene: Scene) -> None:
        assert scene.media.video is not None
        shift, _ = scene.media.stream_span(scene.media.video)
        self._moment = shift + view.seconds
        self._nearest = NearestPictures([self._moment])
        self.sink: PictureSink = self._nearest

    def view(self, degraded: str | None) -> ViewData:
        """(H, W, 3) and the time of the frame that was nearest."""
        picture = self._nearest.at(self._moment)
        return ViewData(array=picture.rgb(), times=np.array([picture.time]), degraded=degraded)
