"""DataRights: what the owner of a data set allows to be done with features of its clips.

A statement by whoever extracts, kept with the features; emo checks no contract. What nobody declared is not
allowed. Knows no data set by name, no caches and no stores.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import cast

from emo.canonical import Json
from emo.errors import ConfigError, RightsError

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRights:
    """What holds for the clips of one data set. None is "nobody said": it counts as no."""

    name: str
    licence: str = UNKNOWN
    eula_url: str = ""
    may_share_features: bool | None = None
    may_send_to_cloud: bool | None = None
    citation: str = ""
    keep_until: str = ""
    """The last day, as 2027-01-31, on which features may be kept; empty where nobody set one."""

    def to_json(self) -> dict[str, Json]:
        """Plain JSON; `from_json` is its inverse. `keep_until` is there where it is set."""
        told = cast(dict[str, Json], asdict(self))
        return told if self.keep_until else {key: told[key] for key in told if key != "keep_until"}

    def expired(self, today: date) -> bool:
        """Whether the day until which features may be kept is over."""
        return bool(self.keep_until) and date.fromisoformat(self.keep_until) < today

    @classmethod
    def from_json(cls, data: object) -> DataRights:
        """The record in plain JSON; ConfigError names every key that does not fit."""
        if not isinstance(data, Mapping):
            raise ConfigError("rights are an object with name, licence, may_share_features and so on")
        kinds = {"may_share_features": (bool, type(None)), "may_send_to_cloud": (bool, type(None))}
        known = {field.name: kinds.get(field.name, (str,)) for field in fields(cls)}
        mistakes = [
            f"rights: {key!r} is unknown; known are {', '.join(known)}" for key in data.keys() - known
        ]
        for key, kind in known.items():
            if key in data and not isinstance(data[key], kind):
                mistakes.append(f"rights: {key} is {data[key]!r}, which is not of its type")
        if isinstance(until := data.get("keep_until", ""), str) and until and not _is_day(until):
            mistakes.append(f"rights: keep_until is {until!r}, which is no day such as 2027-01-31")
        if not data.get("name"):
            mistakes.append("rights: name is missing")
        if mistakes:
            raise ConfigError(*sorted(mistakes))
        return cls(**data)

    @property
    def sentence(self) -> str:
        """One line for people."""
        told = self.may_share_features
        shared = "nobody said whether features may be shared: ask the owner"
        if told is not None:
            shared = f"features may {'be shared' if told else 'not be shared'}"
        eula = f", {self.eula_url}" if self.eula_url else ""
        until = f"; to be forgotten after {self.keep_until}" if self.keep_until else ""
        return f"{self.name}: licence {self.licence}{eula}; {shared}{until}"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


UNDECLARED = DataRights(name="undeclared")


def united(*lists: Iterable[DataRights]) -> tuple[DataRights, ...]:
    """Every statement once, by name; two that differ both stay."""
    every = {record: None for one in lists for record in one}
    return tuple(sorted(every, key=lambda record: (record.name, str(record))))


def check_sharing(data: Sequence[DataRights], *, consent: bool) -> None:
    """RightsError where features of some data set may not be shared, or nobody said that they may."""
    refused = [record for record in data or [UNDECLARED] if not record.may_share_features]
    if refused and not consent:
        listed = "\n  ".join(record.sentence for record in refused)
        raise RightsError(
            f"these features may not be sent away as far as this cache knows:\n  {listed}\n"
            "If you have the right to, say so with --i-have-rights. What data the clips are of is declared "
            "with `emo cache rights --declare NAME|FILE`."
        )


_STRICTNESS = (  # a licence is as strict as the first line that fits it
    (5, re.compile(r"unknown|^$", re.I)),
    (4, re.compile(r"eula|proprietary|research|non-?commercial|\bnc\b", re.I)),
    (3, re.compile(r"\bsa\b|gpl|odbl|share-?alike|\bnd\b", re.I)),
    (2, re.compile(r"\bby\b|apache|mit|bsd|llama", re.I)),
    (1, re.compile(r"cc0|public|unlicen[cs]e", re.I)),
)


def strictness(licence: str) -> int:
    """How much a licence asks, for ordering: unknown 5, no commerce or EULA 4, alike 3, all others less."""
    return next((rank for rank, fits in _STRICTNESS if fits.search(licence)), 5)


def strictest(licences: Iterable[str]) -> str:
    """The licence that asks most; `unknown` where there is none."""
    return max(sorted(set(licences)), key=strictness, default=UNKNOWN)
