"""The leak guard: what of a test was in training, by media, id, recording, speaker, and data set.

A score on clips that training saw is no score of new clips. Which data sets overlap is data, `overlaps.yaml`,
with sources. Takes what is known of clips; opens no media, no cache and no model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias, get_args

from emo.config.strict import checked, parse
from emo.errors import ConfigError
from emo.run_data import SeenClip

Kind: TypeAlias = Literal["media", "id", "dataset", "group", "speaker"]
Trait: TypeAlias = Callable[[SeenClip], str]
KINDS: tuple[Kind, ...] = get_args(Kind)
ALL = "all"
TABLE = "overlaps.yaml"
EXAMPLES = 3  # clips named in a line
SAID: Mapping[Kind, str] = {
    "media": "have the media of training clips",
    "id": "are training clips by their id",
    "dataset": "are of data that training data contains",
    "group": "are of recordings, dialogues or sessions that training clips are of",
    "speaker": "are of speakers that training clips are of",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Namespace:
    """Data sets that call the same clip by the same name; the pattern `id` finds it in an id."""

    name: str
    datasets: tuple[str, ...]
    id: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Training on `train` sees clips of `test`: all of those splits, or some of the same pool."""

    train: str
    test: str
    test_splits: tuple[str, ...]
    extent: Literal["all", "pool"]
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlaps:
    """The table of data sets that contain each other."""

    namespaces: tuple[Namespace, ...]
    overlaps: tuple[Overlap, ...]


@dataclass(frozen=True, slots=True)
class Leaks:
    """Test clips that training saw: by kind, test clip to what it is in training; of `tested` clips."""

    tested: int
    found: Mapping[Kind, Mapping[str, str]]
    sources: tuple[str, ...] = ()

    def clips(self, *kinds: Kind) -> set[str]:
        """Ids of test clips with a leak of these kinds; of any where none is named."""
        return {clip_id for kind in kinds or KINDS for clip_id in self.found.get(kind, {})}

    def lines(self) -> Iterator[str]:
        """One line a kind, with examples, and where overlaps of data sets are told."""
        for kind, held in self.found.items():
            few = ", ".join(f"{test} = {train}" for test, train in list(held.items())[:EXAMPLES])
            more = ", ..." if len(held) > EXAMPLES else ""
            yield f"leak ({kind}): {len(held)} of {self.tested} test clips {SAID[kind]}: {few}{more}"
        for source in self.sources:
            yield f"  {source}"

    def to_json(self) -> dict[str, object]:
        """Counts by kind."""
        return {"tested": self.tested, "kinds": {kind: len(held) for kind, held in self.found.items()}}


@cache
def overlaps() -> Overlaps:
    """The table that comes with emo."""
    text = (files("emo.evaluation") / TABLE).read_text(encoding="utf-8")
    return checked(Overlaps, parse(text, TABLE), TABLE, [])


def find_leaks(train: Sequence[SeenClip], test: Sequence[SeenClip], table: Overlaps | None = None) -> Leaks:
    """What of `test` is in `train`. A test clip counts in each kind that holds for it.

    Ids, groups and speakers are those of one data set: the same name in two named data sets is a coincidence,
    unless these call clips by one set of names. A data set that is not named may be any.
    """
    table = table or overlaps()
    names = _Names(table)
    found: dict[Kind, dict[str, str]] = {
        "media": _shared(train, test, lambda clip: clip.sha256),
        "id": names.same_ids(train, test),
    }
    found["dataset"], sources = _contained(train, test, table, names, found["id"])
    found["group"] = _shared_in_dataset(train, test, lambda clip: clip.group)
    found["speaker"] = _shared_in_dataset(train, test, lambda clip: clip.speaker)
    return Leaks(len(test), {kind: found[kind] for kind in KINDS if found[kind]}, sources)


def refuse_leaks(leaks: Leaks, allowed: str) -> None:
    """ConfigError where there are leaks of kinds not `allowed`, which is a list with commas, or `all`."""
    kinds = [part.strip() for part in allowed.split(",") if part.strip()]
    if unknown := [kind for kind in kinds if kind not in (*KINDS, ALL)]:
        raise ConfigError(f"--allow-leak {unknown[0]}: known are {', '.join((*KINDS, ALL))}.")
    refused = [] if ALL in kinds else [kind for kind in leaks.found if kind not in kinds]
    if refused:
        raise ConfigError(
            *leaks.lines(),
            "The score would not be one of unseen clips. Give these clips another split, or go on with "
            f"--allow-leak {','.join(refused)}",
        )


class _Names:
    """Names of clips that hold across data sets."""

    def __init__(self, table: Overlaps) -> None:
        self._spaces = [(space, re.compile(space.id)) for space in table.namespaces]

    def of(self, clip: SeenClip) -> tuple[str, str]:
        """Namespace and name of a clip; the data set and the id where it is in none."""
        for space, pattern in self._spaces:
            if clip.dataset in ("", *space.datasets) and (name := pattern.search(clip.clip_id)):
                return f"namespace {space.name}", name[0]
        return clip.dataset, clip.clip_id

    def tells(self, clip: SeenClip) -> bool:
        """Whether the clip's id is a name across data sets."""
        return self.of(clip)[0] != clip.dataset

    def same_ids(self, train: Sequence[SeenClip], test: Sequence[SeenClip]) -> dict[str, str]:
        """Test clips that are training clips by their id, each with its name there."""
        named = {self.of(clip): clip for clip in train}
        anywhere = {clip.clip_id: clip for clip in train}
        unnamed = {clip.clip_id: clip for clip in train if not clip.dataset}
        found = {}
        for clip in test:
            same = named.get(self.of(clip)) or (unnamed if clip.dataset else anywhere).get(clip.clip_id)
            if same is not None and not _other_media(clip, same):
                found[clip.clip_id] = same.clip_id
        return found


def _other_media(one: SeenClip, other: SeenClip) -> bool:
    """Whether two clips of equal id differ: other media, and no data set that gave both the id."""
    unnamed = not (one.dataset and other.dataset)
    return unnamed and bool(one.sha256 and other.sha256) and one.sha256 != other.sha256


def _contained(
    train: Sequence[SeenClip],
    test: Sequence[SeenClip],
    table: Overlaps,
    names: _Names,
    same: Mapping[str, str],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Test clips of data sets that training data contains, where ids cannot tell which; and the sources."""
    trained = {clip.dataset for clip in train}
    untold = {clip.dataset for clip in train if not names.tells(clip)}
    found: dict[str, str] = {}
    sources: dict[str, None] = {}
    for row in table.overlaps:
        if row.train not in trained:
            continue
        asked = [
            clip for clip in test if clip.dataset == row.test and clip.split in (*row.test_splits, "test", "")
        ]
        if any(clip.clip_id in same for clip in asked):
            sources[row.source] = None
        for clip in asked:
            if clip.clip_id not in same and (row.train in untold or not names.tells(clip)):
                may = "maybe " if row.extent == "pool" else ""
                found[clip.clip_id] = f"{may}in {row.train}"
                sources[row.source] = None
    return found, tuple(sources)


def _shared(train: Iterable[SeenClip], test: Iterable[SeenClip], of: Trait) -> dict[str, str]:
    known = {of(clip): clip.clip_id for clip in train if of(clip)}
    return {clip.clip_id: known[of(clip)] for clip in test if of(clip) in known}


def _shared_in_dataset(train: Sequence[SeenClip], test: Sequence[SeenClip], of: Trait) -> dict[str, str]:
    """As `_shared`, but what two named data sets call alike is not the same."""
    found: dict[str, str] = {}
    anywhere = {of(clip) for clip in train if of(clip)}
    inside = {(clip.dataset, of(clip)) for clip in train if of(clip)}
    for clip in test:
        trait = of(clip)
        unnamed = not clip.dataset and trait in anywhere
        if trait and (unnamed or (clip.dataset, trait) in inside or ("", trait) in inside):
            found[clip.clip_id] = trait
    return found
