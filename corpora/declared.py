"""Whose data clips are: the rights that stand beside a manifest, and those that the catalogue knows by name.

A manifest's rows name their data set; `<manifest>.rights.json` beside it holds all that its owner says.
Rows alone are enough for a data set of the catalogue. Opens no media and no cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from emo.clip import Clip
from emo.corpora.comparison import catalogue
from emo.corpora.manifest import manifest_in
from emo.errors import ConfigError
from emo.rights import DataRights, united
from emo.text_files import replace_text

SUFFIX = ".rights.json"


def known_rights() -> dict[str, DataRights]:
    """What the catalogue says of each data set, by key."""
    return {one.key: one.rights for one in catalogue()}


def load_rights(named: str | Path) -> DataRights:
    """The rights that a key of the catalogue or a JSON file says; ConfigError where it is neither."""
    known = known_rights()
    text = str(named)
    if text.lower() in known:
        return known[text.lower()]
    path = Path(named)
    if not path.is_file():
        raise ConfigError(
            f"{text!r} is no file and none of the data sets that emo knows ({', '.join(sorted(known))}). "
            'Write a JSON file such as {"name": "mine", "licence": "CC-BY-4.0", "may_share_features": true}.'
        )
    return DataRights.from_json(_json(path))


def rights_file(manifest: Path) -> Path:
    """Where the rights of the clips in `manifest` stand."""
    return manifest.with_name(manifest.name + SUFFIX)


def write_rights(manifest: Path, records: Iterable[DataRights]) -> None:
    """Write the rights of the clips in `manifest` beside it."""
    rows = [record.to_json() for record in united(records)]
    text = json.dumps({"schema_version": 1, "data": rows}, indent=1, ensure_ascii=False)
    replace_text(rights_file(manifest), text + "\n")


def declared_rights(place: Path | None, clips: Sequence[Clip]) -> tuple[DataRights, ...]:
    """Whose data `clips` of `place`, a manifest or its folder, are; none where neither says so.

    What stands beside the manifest goes before the catalogue. A data set that rows name and nobody describes
    is one whose rights are unknown. ConfigError where the file beside the manifest cannot be read.
    """
    return rights_of(place, (clip.dataset for clip in clips if clip.dataset))


def rights_of(place: Path | None, named: Iterable[str]) -> tuple[DataRights, ...]:
    """As `declared_rights`, of rows that name these data sets in any table."""
    beside = _beside(place)
    unsaid = set(named) - {record.name for record in beside}
    known = known_rights()
    return united(beside, (known.get(name, DataRights(name=name)) for name in unsaid))


def _beside(place: Path | None) -> list[DataRights]:
    file = None if place is None else rights_file(manifest_in(place))
    if file is None or not file.is_file():
        return []
    data = _json(file)
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise ConfigError(f"{file}: no list of rights under `data`. Remove it, or read the data set again.")
    return [DataRights.from_json(record) for record in data["data"]]


def _json(path: Path) -> object:
    try:
        found: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as rights: {error}") from error
    return found
