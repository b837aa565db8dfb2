"""RAVDESS from Zenodo record 1188976: one archive of sounds, or an archive of films an actor.

Zenodo publishes MD5 digests, so those are what is checked; that of the speech archive is pinned here too.
Archives are unpacked into `Actor_XX/` and removed. Names in an archive are never paths: only files called as
RAVDESS calls them are taken, into the folder that their name says.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emo.corpora.datasets.ravdess import NAME
from emo.corpora.fetching.downloads import Fetcher, Part
from emo.errors import ConfigError, ServiceDown
from emo.text_files import replace_text

HOST, RECORD = "zenodo.org", "1188976"
DIGESTS = "MD5, as Zenodo publishes them"
PARTS = {
    "audio-speech": r"Audio_Speech_Actors_01-24\.zip",
    "video-speech": r"Video_Speech_Actor_\d\d\.zip",
    "audio-song": r"Audio_Song_Actors_01-24\.zip",
    "video-song": r"Video_Song_Actor_\d\d\.zip",
}
PINNED = {"Audio_Speech_Actors_01-24.zip": (208_468_073, "md5:bc696df654c87fed845eb13823edef8a")}
UNPACKED = "fetched.json"  # archives that were unpacked and removed, by digest
MOST_MEMBER = 256 << 20  # bytes of one film, unpacked
ROOM = 2.2  # bytes on the disk for a byte of archive: it, and what comes out of it


def listed(fetcher: Fetcher, folder: Path, parts: Sequence[str]) -> list[Part]:
    """The archives of these parts that are not unpacked in `folder` yet, as Zenodo lists them."""
    record = f"{fetcher.address(HOST)}/api/records/{RECORD}"
    try:
        files = {
            str(each["key"]): (int(each["size"]), str(each["checksum"]))
            for each in json.loads(fetcher.small(record))["files"]
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceDown(f"{record} answered what is no list of files: {error!r:.200}.") from error
    for name, pinned in PINNED.items():
        if name in files and files[name] != pinned:
            raise ConfigError(f"{record}: {name} is {files[name]} there, and was {pinned}. It was changed.")
    wanted = [name for name in sorted(files) if any(re.fullmatch(PARTS[part], name) for part in parts)]
    if not wanted:
        raise ConfigError(f"{record} has no archive of {', '.join(parts)}.")
    there = _unpacked(folder)
    return [
        Part(
            url=f"{record}/files/{name}/content",
            path=name,
            size=files[name][0],
            digest=files[name][1],
            room=int(ROOM * files[name][0]),
        )
        for name in wanted
        if there.get(name) != files[name][1]
    ]


def settled(folder: Path, part: Part) -> None:
    """Unpack an archive into `folder` and remove it. ConfigError where it is none or a member too large."""
    archive = folder / part.path
    try:
        with zipfile.ZipFile(archive) as held:
            for member in held.infolist():
                _take(held, member, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ConfigError(f"{archive} cannot be unpacked: {error}.") from error
    done = {**_unpacked(folder), part.path: part.digest}
    replace_text(folder / UNPACKED, json.dumps({"schema_version": 1, "unpacked": done}, indent=1) + "\n")
    archive.unlink()


def _take(held: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    name = Path(member.filename).name
    stem, _, suffix = name.partition(".")
    if member.is_dir() or not NAME.fullmatch(stem) or suffix not in ("wav", "mp4"):
        return
    if member.file_size > MOST_MEMBER:
        raise ConfigError(f"{held.filename}: {member.filename} claims {member.file_size} bytes.")
    target = folder / f"Actor_{stem[-2:]}" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{name}.part")
    partial.write_bytes(held.read(member))
    partial.replace(target)


def _unpacked(folder: Path) -> dict[str, str]:
    """Digests of the archives that were unpacked here, by name."""
    try:
        held: Any = json.loads((folder / UNPACKED).read_text(encoding="utf-8"))["unpacked"]
        return {str(name): str(digest) for name, digest in held.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}
