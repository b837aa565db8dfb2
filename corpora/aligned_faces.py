"""OpenFace's aligned faces in a folder beside the clips, as MERBench and the MER challenges lay them out.

Opens no file of faces: what it holds shows when features are extracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emo.clip import Clip
from emo.errors import ConfigError


def with_aligned_faces(clips: Sequence[Clip], folder: Path) -> list[Clip]:
    """The clips, each with the faces of its media file: `NAME.npy` or `NAME/NAME.npy` in `folder`.

    What a manifest names stays; a clip without such a file stays without. ConfigError where no clip has one.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder. Name the one with the aligned faces, NAME.npy each.")
    found = [clip if clip.faces_path else replace(clip, faces_path=_of(clip, folder)) for clip in clips]
    if found and not any(clip.faces_path for clip in found):
        raise ConfigError(f"{folder} has no {found[0].path.stem}.npy, nor that of any other clip.")
    return found


def _of(clip: Clip, folder: Path) -> Path | None:
    name = clip.path.stem
    places = (folder / f"{name}.npy", folder / name / f"{name}.npy")
    return next((place for place in places if place.exists()), None)
