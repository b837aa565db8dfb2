"""clips.json: the ids of the clips that a run was trained on, beside the run, and the search for them.

A clip that has to be forgotten lives on in what was trained on it; this file is how such runs are found.
Knows nothing of heads, adapters or features.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from emo.errors import CheckpointError
from emo.text_files import replace_text

NAME = "clips.json"


def write_run_clips(folder: Path, clips: Mapping[str, Sequence[str]]) -> None:
    """Write the clip ids of a run by split; a kill leaves the file as it was or as it will be."""
    payload = {"schema_version": 1, "clips": {split: list(ids) for split, ids in clips.items()}}
    replace_text(folder / NAME, json.dumps(payload, ensure_ascii=False) + "\n")


def read_run_clips(folder: Path) -> dict[str, list[str]]:
    """The clip ids by split of the run in `folder`, or of the run that it is a stage of; none where neither
    has the file. CheckpointError where the file is damaged."""
    for place in (folder, folder.resolve().parent):
        if (place / NAME).is_file():
            return _read(place / NAME)
    return {}


def runs_with(folder: Path, clip_ids: Collection[str]) -> Iterator[tuple[Path, list[str]]]:
    """The runs below `folder` that saw any of these clips, whatever the split, and which.

    CheckpointError where a file is damaged: which clips that run saw is not known.
    """
    wanted = set(clip_ids)
    for path in sorted(folder.rglob(NAME)):
        seen = wanted & {clip_id for ids in _read(path).values() for clip_id in ids}
        if seen:
            yield path.parent, sorted(seen)


def _read(path: Path) -> dict[str, list[str]]:
    try:
        clips = json.loads(path.read_text(encoding="utf-8"))["clips"]
        return {str(split): [str(clip_id) for clip_id in ids] for split, ids in clips.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read: {error!r}. It names the clips that {path.parent} was trained on: "
            "copy it again from where the run was made, or train again."
        ) from error
