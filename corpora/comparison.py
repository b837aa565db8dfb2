"""Data sets beside each other: size, labels, kinds of description, language, licence, each with its source.

The facts are data, `catalogue.yaml`, what owners allow among them; one's own manifest gets a row by being
counted. Opens no media.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from emo.config.strict import checked, parse, unknown_keys
from emo.corpora.manifest import clips_in
from emo.rights import DataRights

HEADERS = ("data set", "clips", "labels", "descriptions", "language", "licence")
CATALOGUE = "catalogue.yaml"
LABELS_SHOWN = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSet:
    """A data set as its owners and papers describe it; `clips` 0 is as many as one likes.

    `key` is its name in commands and manifests. What it allows is None where nobody said; `licence_source` is
    where we read of the licence, or what we read that names none.
    """

    key: str
    name: str
    clips: int
    labels: str
    descriptions: str
    language: str
    licence: str
    source: str
    licence_source: str = ""
    eula_url: str = ""
    may_share_features: bool | None = None
    may_send_to_cloud: bool | None = None
    citation: str = ""

    @property
    def rights(self) -> DataRights:
        """What its owners allow, as caches and runs made of it carry it."""
        return DataRights(
            name=self.key,
            licence=self.licence,
            eula_url=self.eula_url,
            may_share_features=self.may_share_features,
            may_send_to_cloud=self.may_send_to_cloud,
            citation=self.citation,
        )

    def cells(self) -> tuple[str, ...]:
        """Cells under HEADERS."""
        size = f"{self.clips:,}" if self.clips else "any"
        return (self.name, size, self.labels, self.descriptions, self.language, self.licence)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Catalogue:
    datasets: tuple[DataSet, ...]


@cache
def catalogue() -> tuple[DataSet, ...]:
    """The data sets that emo knows of, in the order of the file."""
    text = (files("emo.corpora") / CATALOGUE).read_text(encoding="utf-8")
    data = parse(text, CATALOGUE)
    mistakes = [
        mistake for row in data.get("datasets", []) for mistake in unknown_keys(row, DataSet, CATALOGUE)
    ]
    return checked(_Catalogue, data, CATALOGUE, mistakes).datasets


def counted(name: str, place: Path) -> DataSet:
    """The row of one's own clips at `place`; errors as `clips_in`.

    Language and licence are not in a manifest, so they are not told.
    """
    clips, _ = clips_in(place)
    labels = Counter(clip.label for clip in clips if clip.label)
    shown = ", ".join(label for label, _ in labels.most_common(LABELS_SHOWN))
    more = f" and {len(labels) - LABELS_SHOWN} more" if len(labels) > LABELS_SHOWN else ""
    speakers = len({clip.speaker for clip in clips if clip.speaker})
    return DataSet(
        key=name,
        name=name,
        clips=len(clips),
        labels=f"{len(labels)}: {shown}{more}" if labels else "none",
        descriptions="words" if any(clip.text for clip in clips) else "none",
        language="-",
        licence="-",
        source=f"{place}; {speakers} speakers, {sum(labels.values())} clips with a label",
    )


def chosen(sets: Sequence[DataSet], wanted: Sequence[str]) -> list[DataSet]:
    """Those of `sets` whose name has one of `wanted` in it, in any case; all where nothing is wanted."""
    return [one for one in sets if not wanted or any(part.lower() in one.name.lower() for part in wanted)]
