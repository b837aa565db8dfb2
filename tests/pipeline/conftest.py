"""Clips made by code, and a folder of them with every kind of trouble."""

import numpy as np
import pytest

from emo.testing import drawn_face, tone, write_clip


@pytest.fixture
def folder(tmp_path):
    """Three sound clips: `a`, `b`, and `mute` without a sound track."""
    clips = tmp_path / "clips"
    clips.mkdir()
    face = drawn_face(160, 120)
    for name, hertz in (("a", 220.0), ("b", 330.0)):
        write_clip(clips / f"{name}.mp4", [face] * 13, tone(0.5, hertz=hertz))
    write_clip(clips / "mute.mp4", [np.roll(face, 2, axis=1)] * 13, None)
    return clips
