"""CREMA-D from its GitHub repository at a pinned commit: 7,442 films or sounds, kept there by Git LFS.

The repository holds, for each file, a pointer with its SHA-256 and size. The pointers are fetched first; all
of them together have a digest that is pinned here, so a file counts only if it is the one of that commit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emo.corpora.fetching.downloads import SEVERAL, Fetcher, Part
from emo.errors import ConfigError

RAW, MEDIA = "raw.githubusercontent.com", "media.githubusercontent.com"
REPOSITORY, COMMIT = "CheyneyComputerScience/CREMA-D", "1658cd342dff90010aa843eaeebd53610a08b1dc"
DIGESTS = f"SHA-256, pinned at commit {COMMIT[:7]} of github.com/{REPOSITORY}"
PARTS = {"audio": "AudioWAV/{}.wav", "video": "VideoFlash/{}.flv"}
# SHA-256 of the lines `oid size path` of all files of a part, sorted by path.
LISTS = {
    "audio": "d32bdfe4cf8ce0507f3e30cede482ee1c95d59c05b3baf7be32cdbda4d91fb26",
    "video": "315e0a0614083ca3475205cb9151e8aa607cbe74886b039f8039ab3a8f1de446",
}
NAMES, PEOPLE = "SentenceFilenames.csv", "VideoDemographics.csv"
TABLES = {
    NAMES: (170_087, "d88cb50e84bbc30b2e159cdfc25e1cf87777ad97c7c41d6ab8f75d3383b8f740"),
    PEOPLE: (4_033, "e33ddc8b60bedf98541735801127cbb67098b5957271adbdd5dea8a44294eec3"),
}
POINTER = re.compile(r"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
ROW = re.compile(r'\d+,"(\w+)"')


def listed(fetcher: Fetcher, folder: Path, parts: Sequence[str]) -> list[Part]:
    """The two tables and every file of these parts. ConfigError where pointers are not of the commit."""
    tables = [
        Part(url=_raw(fetcher, name), path=name, size=size, digest=f"sha256:{digest}")
        for name, (size, digest) in TABLES.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        fetcher.one(table, folder)
    names = sorted(ROW.findall((folder / NAMES).read_text(encoding="utf-8")))
    found = list(tables)
    for part in parts:
        paths = [PARTS[part].format(name) for name in names]
        for line in _lines(fetcher, folder, part, paths):
            oid, size, path = line.split(" ")
            url = f"{fetcher.address(MEDIA)}/media/{REPOSITORY}/{COMMIT}/{path}"
            found.append(Part(url=url, path=path, size=int(size), digest=f"sha256:{oid}"))
    return found


def settled(folder: Path, part: Part) -> None:
    """Nothing is packed."""


def _lines(fetcher: Fetcher, folder: Path, part: str, paths: Sequence[str]) -> list[str]:
    """`oid size path` of every file, from the list of an earlier run or from the pointers."""
    kept = folder / f".{part}.list"
    text = kept.read_text(encoding="utf-8") if kept.is_file() else ""
    if not _is_list(text, part):
        with ThreadPoolExecutor(SEVERAL) as pool:
            text = "".join(pool.map(lambda path: _line(fetcher, path), paths))
        if not _is_list(text, part):
            raise ConfigError(f"the pointers of {REPOSITORY} at {COMMIT[:7]} are not those that emo knows.")
        kept.write_text(text, encoding="utf-8")
    return text.splitlines()


def _line(fetcher: Fetcher, path: str) -> str:
    url = _raw(fetcher, path)
    pointer = POINTER.fullmatch(fetcher.small(url, 1024).decode("latin1"))
    if pointer is None:
        raise ConfigError(f"{url} is no pointer of Git LFS.")
    return f"{pointer[1]} {pointer[2]} {path}\n"


def _is_list(text: str, part: str) -> bool:
    return hashlib.sha256(text.encode()).hexdigest() == LISTS[part]


def _raw(fetcher: Fetcher, path: str) -> str:
    return f"{fetcher.address(RAW)}/{REPOSITORY}/{COMMIT}/{path}"
