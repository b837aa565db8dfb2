"""Clips made by code, shared by the tests of the extractors."""

import numpy as np
import pytest

from emo.clip import Clip
from emo.testing import drawn_face, tone, write_clip
from emo.views import ViewData


@pytest.fixture(scope="session")
def face_pictures():
    """Two seconds of a face that drifts to the right and opens its mouth wide from 1.2 to 1.4 s."""
    return [
        drawn_face(160, 120, centre=(0.45 + 0.1 * index / 50, 0.5), mouth=1.0 if 30 <= index < 35 else 0.1)
        for index in range(50)
    ]


@pytest.fixture(scope="session")
def clips(tmp_path_factory, face_pictures):
    """Media files by name: `face.mp4`, `face.mkv`, `front.mp4` (header first), `sound.wav`, ..."""
    folder = tmp_path_factory.mktemp("clips")
    blank = [np.full((120, 160, 3), 90, np.uint8)] * 10
    files = {
        "face.mp4": (face_pictures, tone(2.0), {}),
        "face.mkv": (face_pictures, tone(2.0), {}),
        "front.mp4": (face_pictures, tone(2.0), {"options": {"movflags": "faststart"}}),
        "mute.mp4": (face_pictures[:20], None, {}),
        "sound.wav": (None, tone(1.0), {}),
        "silent.mp4": (face_pictures[:3], np.zeros(4000, np.float32), {}),
        "blank.mp4": (blank, tone(0.4), {}),
    }
    return {
        name: write_clip(folder / name, pictures, sound, **options)
        for name, (pictures, sound, options) in files.items()
    }


@pytest.fixture
def clip_of():
    """A Clip of a path."""
    return lambda path, **fields: Clip(clip_id=path.name, path=path, **fields)


@pytest.fixture
def good():
    """The ViewData of a reading, or a failure that names the problem."""

    def check(outcome):
        assert isinstance(outcome, ViewData), outcome
        return outcome

    return check
