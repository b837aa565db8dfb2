"""The licences behind a cache or a trained model, and which of them asks most.

Links of the chain: the data sets of the clips, the weights that made the features, and the LLaMA under an
adapter. Reads what stands beside the thing; asks nobody, and gives no legal advice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.cache import open_cache
from emo.errors import ConfigError
from emo.heads import aligned, trained
from emo.llm import card
from emo.model_card import CARD
from emo.rights import UNDECLARED, UNKNOWN, DataRights, strictness
from emo.run_data import read_run_data

CARDS = (trained.CARD, aligned.CARD, card.CARD)
FRONT_MATTER = re.compile(r"\A---\n.*?^license: *(\S[^\n]*)$.*?^---$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """One licence: of what, its name, and where it is said."""

    what: str
    licence: str
    source: str = ""

    @property
    def strictness(self) -> int:
        """How much it asks: 5 unknown, 4 research or no commerce, 3 share alike, 2 and 1 less."""
        return strictness(self.licence)


def licence_chain(place: Path) -> list[Link]:
    """Every licence that holds for a cache or for a run, the strictest first.

    ConfigError where `place` is neither.
    """
    if (place / "zarr.json").is_file():
        cache = open_cache(place)
        weights = [
            Link(what=f"weights of {one.name}", licence=one.spec.licence.name, source=one.spec.licence.source)
            for one in cache.spaces()
        ]
        return _sorted([*_data(cache.data), *weights])
    held = [place / name for name in CARDS if (place / name).is_file()]
    if not held:
        raise ConfigError(f"{place} is neither a cache nor a trained model. Name a folder such as runs/head.")
    return _sorted([*_data(read_run_data(place).data), *_of_model(held[0])])


def _sorted(links: Sequence[Link]) -> list[Link]:
    return sorted(dict.fromkeys(links), key=lambda link: (-link.strictness, link.what))


def _data(data: Sequence[DataRights]) -> Iterator[Link]:
    for record in data or [UNDECLARED]:
        yield Link(what=f"data set {record.name}", licence=record.licence, source=record.eula_url)


def _of_model(path: Path) -> Iterator[Link]:
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, feature in told.get("features", {}).items():
        licence = feature["spec"]["licence"]
        yield Link(what=f"weights of {name}", licence=licence["name"], source=licence["source"])
    if base := told.get("base"):
        folder = path.parent / base
        yield Link(what=f"LLaMA {Path(base).name}", licence=_of_folder(folder), source=str(base))


def _of_folder(folder: Path) -> str:
    """The licence that the card of a model says; unknown where it has none here."""
    page = folder / CARD
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    found = FRONT_MATTER.search(text)
    return found.group(1).strip("\"' ") if found else UNKNOWN
