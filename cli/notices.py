"""THIRD_PARTY_NOTICES.md: licences of the packages that emo needs and of the weights that its presets name.

`make notices` writes it from the metadata of what is installed. Ships nothing of those packages; knows no
network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path

from emo.cli.reference import encoders_table

PAGE = Path("THIRD_PARTY_NOTICES.md")
DISTRIBUTION = "emo-toolkit"
LONGEST = 60  # some packages put their whole licence into the field
HEAD = """\
# Third-party notices

emo is MIT-licensed and contains no code of the packages below: `pip` installs them, each under its own
licence, as its metadata states it (written by `make notices`; the files that come with a package are what
holds). Weights are fetched on request from where their authors publish them, and their licences hold for
features made with them: `emo doctor --licences RUN|CACHE` prints the chain. `extractors/tiny` was trained by
emo on drawn people and is MIT.

## Packages

| package | needed for | licence |
|---|---|---|
"""
WEIGHTS = "\n## Weights that presets name\n\n"


def notices() -> str:
    """The page in Markdown."""
    rows = [f"| {name} | {extra or 'emo'} | {licence_of(name)} |" for name, extra in _required()]
    return HEAD + "\n".join(rows) + "\n" + WEIGHTS + encoders_table()


def licence_of(name: str) -> str:
    """The licence of an installed package as its metadata says it."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return "not installed where this was written; see its page"
    for field in ("License-Expression", "License"):
        text = " ".join(told.get_all(field) or [])
        if text and text != "UNKNOWN" and len(text) <= LONGEST:
            return " ".join(text.split())
    classifiers = [line for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    names = dict.fromkeys(line.rpartition(" :: ")[2] for line in classifiers)
    return ", ".join(names) or "see its LICENSE file"


def _required() -> Iterator[tuple[str, str]]:
    """Each required package once, with the extras that ask for it; those of development are left out."""
    wanted: dict[str, list[str]] = {}
    for line in requires(DISTRIBUTION) or []:
        name, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"](.*?)['\"]", marker)
        if extra is None or extra.group(1) != "dev":
            bare = re.split(r"[<>=!~ \[]", name, maxsplit=1)[0]
            wanted.setdefault(bare, []).append(f"extra `{extra.group(1)}`" if extra else "")
    for name in sorted(wanted, key=str.lower):
        yield name, "" if "" in wanted[name] else ", ".join(wanted[name])


if __name__ == "__main__":
    PAGE.write_text(notices(), encoding="utf-8")
