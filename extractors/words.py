"""What is said in a clip, as a view. It is in the manifest, so no file is opened for it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from emo.clip import Clip
from emo.views import TextView, View, ViewData, ViewProblem


def read_texts(clip: Clip, views: Collection[View]) -> dict[View, ViewData | ViewProblem]:
    """The text views among `views`, or missing:no_text."""
    return {view: _text(clip) for view in views if isinstance(view, TextView)}


def _text(clip: Clip) -> ViewData | ViewProblem:
    if not clip.text.strip():
        return ViewProblem(status="missing:no_text", reason="the manifest does not say what is said")
    return ViewData(array=np.array([clip.text]), times=np.zeros(0), meta={"characters": len(clip.text)})
