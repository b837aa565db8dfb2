"""The vocabulary of the emotion-wheel metric: its files, checked by SHA-256 and fetched on request.

emo ships none of these files. They are in the public repository github.com/zeroQiaoba/MERTools (Apache-2.0
code licence; the data are for research). A version of the metric is exactly these bytes: other ones are
refused, as their scores could not be compared. Knows files, never scores.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from emo.errors import ConfigError, MissingDependency
from emo.safety.sheets import known_sheet

SERVER = "https://raw.githubusercontent.com/zeroQiaoba/MERTools"
LARGEST = 4 << 20  # bytes; the largest file has 110 kB
TIMEOUT_S = 60.0
WHEELS = 5

_SHARED = {
    "synonym.xlsx": "23f81f9ab1d2418aaf96775304fb5dc52c62bb5d5ef652a97471d045fc9d2e29",
    "wheel1.xlsx": "e70485d354b82a7491ff24648273182a5f4f13f92c76e6b3e4f9033f5e6afcc1",
    "wheel2.xlsx": "acc001e076a8e60440361f58dd8c05ed900c4890c84bb7d8d1df93708a7d9c87",
    "wheel3.xlsx": "d62f30bf88c17c55876634cd088eacaef98278fc25457474364439872f9dbf83",
    "wheel4.xlsx": "660260561b7fe15550f3679a01e7c783608ce3403d4c28db0a88520f68d83aea",
    "wheel5.xlsx": "2dd4595b2cf8e7628ca06a416a8e38ac831614b244f23d1ae613dc34007649f1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """Where the files of one version are, at a commit, and their SHA-256 by name."""

    commit: str
    folder: str
    digests: Mapping[str, str]


VERSIONS: Mapping[str, Vocabulary] = {
    "ew-2025": Vocabulary(
        commit="89120b780ab18b28349f0e37dcc12b8cc253cb02",
        folder="MER2025/MER2025_Track23/emotion_wheel",
        digests={
            "format.csv": "ba6de7d61db8e129d1d7ef8a2aae22a9e93a2c2e3e683e6f2735d04455f016f2",
            **_SHARED,
        },
    ),
    "ew-2026": Vocabulary(
        commit="89120b780ab18b28349f0e37dcc12b8cc253cb02",
        folder="MER2026/MER2026_Track2/emotion_wheel",
        digests={
            "format.csv": "82234299875465ecf6c196ace42ffbe745baaeea72b5e39de955af36929982a4",
            **_SHARED,
        },
    ),
}


def version_named(name: str) -> Vocabulary:
    """The vocabulary called `name`; ConfigError where there is none."""
    if name not in VERSIONS:
        raise ConfigError(f"no emotion-wheel version {name!r}. Known: {', '.join(VERSIONS)}.")
    return VERSIONS[name]


def wheel_home(version: str) -> Path:
    """Where a fetched vocabulary is kept: below $XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "emo" / "emotion-wheel" / version


def find_vocabulary(version: str, folder: Path | None = None) -> Path:
    """The folder with the files of `version`: `folder`, one below it, or what was fetched before.

    Every file is checked. MissingDependency, with the command that fetches them, where they are nowhere;
    ConfigError where `folder` lacks one or a file is of another version.
    """
    vocabulary = version_named(version)
    if folder is None:
        home = wheel_home(version)
        if not all((home / name).is_file() for name in vocabulary.digests):
            raise MissingDependency(
                f"the vocabulary of {version} is not part of emo. Name its folder with --wheel-data DIR, or "
                "add --fetch-wheel: seven files, 0.3 MB, from github.com/zeroQiaoba/MERTools, for research."
            )
        folder = home
    places = (folder, folder / version.removeprefix("ew-"), folder / version)
    held = next((place for place in places if (place / "format.csv").is_file()), None)
    if held is None:
        raise ConfigError(f"{folder}: no format.csv here, nor in {places[1].name}/ or {places[2].name}/.")
    if mistakes := _mistakes(held, version, vocabulary):
        raise ConfigError(*mistakes)
    return held


def fetch_vocabulary(version: str, folder: Path, read: Callable[[str], bytes] | None = None) -> Path:
    """Bring the files of `version` into `folder` from their repository, each checked before it is kept.

    `read` gives the bytes at an address, by default over HTTPS. ConfigError where the server cannot be
    reached or gives other bytes; files that are right already are not fetched again.
    """
    vocabulary = version_named(version)
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in vocabulary.digests.items():
        place = folder / name
        if place.is_file() and _sha256(place.read_bytes()) == digest:
            continue
        address = f"{SERVER}/{vocabulary.commit}/{vocabulary.folder}/{name}"
        data = (read or _download)(address)
        if _sha256(data) != digest:
            raise ConfigError(
                f"{address}: {len(data)} bytes that are not those of {version}. Nothing is kept."
            )
        partial = place.with_name(name + ".partial")
        partial.write_bytes(data)
        partial.replace(place)
    return folder


def read_forms(folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Base words with their forms, lower case, in the file's order."""
    text = (folder / "format.csv").read_text(encoding="utf-8-sig")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [
        (row["name"].strip().lower(), tuple(_words(row["format"]))) for row in rows if row["name"].strip()
    ]


def read_synonyms(folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Words of the wheels with the synonyms that one of the eight runs gave them, run by run."""
    rows = known_sheet(folder / "synonym.xlsx")
    pairs = range(0, len(rows[0]), 2)
    return [
        (row[left].strip().lower(), tuple(_words(row[left + 1])))
        for left in pairs
        for row in rows[1:]
        if row[left].strip()
    ]


def read_wheel(folder: Path, wheel: int) -> list[tuple[str, str, str]]:
    """Rows (level 1, level 2, level 3) of wheel 1 to 5, lower case; blanks repeat the cell above."""
    filled: list[tuple[str, str, str]] = []
    above = ("", "", "")
    for row in known_sheet(folder / f"wheel{wheel}.xlsx")[1:]:
        cells = [cell.strip().lower() for cell in row[:3]]
        above = (cells[0] or above[0], cells[1] or above[1], cells[2] or above[2])
        filled.append(above)
    return filled


def _mistakes(folder: Path, version: str, vocabulary: Vocabulary) -> list[str]:
    found = []
    for name, digest in vocabulary.digests.items():
        place = folder / name
        if not place.is_file():
            found.append(f"{place} is missing; {version} needs it.")
        elif (got := _sha256(place.read_bytes())) != digest:
            other = next((each for each, v in VERSIONS.items() if v.digests[name] == got), None)
            what = f"is that of {other}" if other else f"has SHA-256 {got[:12]}, not {digest[:12]}"
            found.append(f"{place} {what}: not {version}. Scores would not be comparable.")
    return found


def _words(cell: str) -> list[str]:
    return [word for piece in cell.split(",") if (word := piece.strip().lower())]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:  # noqa: S310 - SERVER is https
            data: bytes = answer.read(LARGEST)
            return data
    except (OSError, HTTPException) as error:
        raise ConfigError(
            f"{address} could not be fetched: {error}. Try again, or use --wheel-data."
        ) from error
