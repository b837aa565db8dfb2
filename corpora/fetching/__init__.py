"""Data sets that anybody may have, from their official hosts onto this machine.

Reaches no host but those of the table; what arrives is checked against digests before it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.corpora.fetching import crema_d, ravdess
from emo.corpora.fetching.downloads import Fetcher, Part
from emo.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """How a data set is fetched: its `parts`, the first of which is fetched where none is named, the files
    that `listed` gives for them, and what `settled` makes of one. `digests` says where those are from."""

    parts: Mapping[str, str]
    listed: Callable[[Fetcher, Path, Sequence[str]], list[Part]]
    settled: Callable[[Path, Part], None]
    digests: str


SOURCES: Mapping[str, Source] = {
    "ravdess": Source(
        parts=ravdess.PARTS, listed=ravdess.listed, settled=ravdess.settled, digests=ravdess.DIGESTS
    ),
    "crema-d": Source(
        parts=crema_d.PARTS, listed=crema_d.listed, settled=crema_d.settled, digests=crema_d.DIGESTS
    ),
}


def source(name: str) -> Source:
    """How the data set of that name is fetched; ConfigError where it is not to be had so."""
    if name not in SOURCES:
        raise ConfigError(
            f"{name!r} is not fetched by emo: its owner gives it on request, or nobody said that all may. "
            f"emo corpus list {name} says where it is to be had. Fetched are {', '.join(SOURCES)}."
        )
    return SOURCES[name]


def chosen_parts(name: str, given: Sequence[str]) -> list[str]:
    """The parts to fetch; ConfigError for one that there is not."""
    known = source(name).parts
    if unknown := [part for part in given if part not in known]:
        raise ConfigError(f"--part {unknown[0]}: {name} has {', '.join(known)}.")
    return list(given) or [next(iter(known))]


def fetched(fetcher: Fetcher, name: str, out: Path, parts: Sequence[Part]) -> Iterator[Part]:
    """Fetch what is not there of `parts` into `out`; yields each when it is there and checked."""
    settled = source(name).settled
    for part in fetcher.all(parts, out):
        settled(out, part)
        yield part
