"""data.json: what a run was trained on, beside it: whose data, and who and what each clip was of.

What is trained on data inherits what its owner allows; and a test on other clips can only be checked against
what training saw if that is written down. Knows nothing of heads, adapters or features.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from emo.clip import Clip
from emo.errors import CheckpointError, ConfigError
from emo.rights import DataRights, united
from emo.run_clips import read_run_clips
from emo.text_files import replace_text

NAME = "data.json"


@dataclass(frozen=True, slots=True)
class SeenClip:
    """What tells one clip from another: id and data set, whose and of which recording it is, and the SHA-256
    of its media as 64 hex digits. Empty is not known."""

    clip_id: str
    dataset: str = ""
    split: str = ""
    speaker: str = ""
    group: str = ""
    sha256: str = ""

    @classmethod
    def of(cls, clip: Clip, sha256: str = "") -> SeenClip:
        """That of a clip of a manifest."""
        return cls(
            clip.clip_id,
            clip.dataset or "",
            clip.split or "",
            clip.speaker or "",
            clip.group or "",
            sha256,
        )


@dataclass(frozen=True, slots=True)
class RunData:
    """What a run was trained and validated on."""

    data: tuple[DataRights, ...] = ()
    clips: tuple[SeenClip, ...] = ()

    def joined(self, other: RunData) -> RunData:
        """Both, as where a run began with the weights of another."""
        return RunData(united(self.data, other.data), tuple(dict.fromkeys((*self.clips, *other.clips))))


def write_run_data(folder: Path, run: RunData) -> None:
    """Write data.json into `folder`; a kill leaves the file as it was or as it will be."""
    names = [field.name for field in fields(SeenClip)]
    payload = {
        "schema_version": 1,
        "data": [record.to_json() for record in run.data],
        "columns": names,
        "clips": [[getattr(clip, name) for name in names] for clip in run.clips],
    }
    replace_text(folder / NAME, json.dumps(payload, ensure_ascii=False) + "\n")


def read_run_data(folder: Path) -> RunData:
    """What the run in `folder`, or the run that it is a stage of, was trained on: ids alone where only
    clips.json tells, nothing where neither file is. CheckpointError where a file is damaged."""
    for place in (folder, folder.resolve().parent):
        if (place / NAME).is_file():
            return _read(place / NAME)
    seen = read_run_clips(folder)
    ids = dict.fromkeys(clip_id for split, held in seen.items() if split != "test" for clip_id in held)
    return RunData(clips=tuple(SeenClip(clip_id) for clip_id in ids))


def copy_run_data(folder: Path, out: Path) -> None:
    """Into `out`, whose weights were made of those in `folder`; nothing where `folder` has no data.json."""
    for place in (folder, folder.resolve().parent):
        if (place / NAME).is_file():
            shutil.copyfile(place / NAME, out / NAME)
            return


def _read(path: Path) -> RunData:
    try:
        held: Mapping[str, object] = json.loads(path.read_text(encoding="utf-8"))
        data = tuple(DataRights.from_json(record) for record in _list(held["data"]))
        names = [str(name) for name in _list(held["columns"])]
        rows = [dict(zip(names, map(str, _list(row)), strict=True)) for row in _list(held["clips"])]
        return RunData(data, tuple(SeenClip(**row) for row in rows))
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(
            f"{path}: cannot be read: {error!r:.200}. It tells what {path.parent} learnt from: copy it again "
            "from where the run was made, or train again."
        ) from error


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is no list")
    return value


def seen_clips(clips: Iterable[Clip], digests: Mapping[str, str]) -> tuple[SeenClip, ...]:
    """Those of `clips`, with the SHA-256 of their media by id where that is known."""
    return tuple(SeenClip.of(clip, digests.get(clip.clip_id, "")) for clip in clips)
