"""MERR-style JSON beside clips, read into the texts that the LLaMA stage trains on.

Knows the official file names and keys (Emotion-LLaMA, MERR/README.md); judges no text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from emo.canonical import Json
from emo.clip import Clip
from emo.errors import ConfigError
from emo.llm.examples import ClipTexts, texts_from_merr

COARSE, FINE = "MERR_coarse_grained.json", "MERR_fine_grained.json"


def read_texts(folder: Path, clips: Sequence[Clip]) -> list[ClipTexts]:
    """Texts of `clips` from the coarse and fine JSON in `folder`, whichever are there.

    A clip in neither keeps its label and words. ConfigError where a file is not JSON of the MERR shape.
    """
    return texts_from_merr(clips, entries(folder / COARSE), entries(folder / FINE))


def entries(path: Path) -> dict[str, dict[str, Json]]:
    """The entries of a MERR file by clip id, none where there is no file; ConfigError as `read_texts`."""
    if not path.exists():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}.") from error
    if not isinstance(data, dict) or not all(isinstance(entry, dict) for entry in data.values()):
        raise ConfigError(f"{path}: not an object of clip id -> entry, as MERR files are.")
    return cast(dict[str, dict[str, Json]], data)
