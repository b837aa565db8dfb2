"""The first look at foreign arrays: every one is read once, before anything is stored.

Gives the layout that most of them have, and a digest of each. Knows no file format and no cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from emo.cache.exchange.foreign import Foreign, Given, Refused, array_digest
from emo.canonical import sha256_json
from emo.errors import ConfigError
from emo.records import NO_INPUT
from emo.spec import ArrayKind, ArrayLayout

Key: TypeAlias = tuple[str, str]  # clip id and array


@dataclass(frozen=True, slots=True)
class Fact:
    """Shape, dtype, digest of one array, and whether it is zeros only."""

    shape: tuple[int, ...]
    dtype: str
    digest: str
    zero: bool


@dataclass(slots=True)
class FirstLook:
    """What was found: layouts by array, facts by clip and array, and why the others are refused."""

    layouts: dict[str, ArrayLayout] = field(default_factory=dict)
    facts: dict[Key, Fact] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)

    def digest(self, items: Iterable[Foreign]) -> bytes:
        """The input digest of one clip's arrays; that of the unreadable where one of them is refused."""
        keys = [(item.clip_id, item.array) for item in items]
        if any(key in self.refused for key in keys):
            return NO_INPUT
        return bytes.fromhex(sha256_json({array: self.facts[clip, array].digest for clip, array in keys}))


def first_look(items: Sequence[Foreign]) -> FirstLook:
    """Read every array once. ConfigError where one is there twice or none can be read."""
    if not items:
        raise ConfigError("there are no features to import. Name the folder or the file that holds them.")
    (twice, count), *_ = Counter((item.clip_id, item.array) for item in items).most_common(1)
    if count > 1:
        raise ConfigError(f"{twice[1]} of clip {twice[0]!r} is there {count} times. Keep one of them.")
    look = FirstLook()
    for item in items:
        key = item.clip_id, item.array
        try:
            look.facts[key] = _fact(item.look())
        except Refused as error:
            look.refused[key] = str(error)
    for array, kind in {item.array: item.kind for item in items}.items():
        _settle(look, array, kind)
    if not look.layouts:
        first = next(iter(look.refused.values()))
        raise ConfigError(f"none of {len(items)} features can be read. The first: {first}")
    return look


def _fact(given: Given) -> Fact:
    values = given.values
    return Fact(values.shape, given.dtype, array_digest(values), not values.any())


def _settle(look: FirstLook, array: str, kind: ArrayKind) -> None:
    """Take the shape that most clips have as the layout of `array`; refuse the others."""
    found = {key: fact for key, fact in look.facts.items() if key[1] == array}
    if not found:
        return
    fixed = {key: fact.shape[1:] if kind == "frames" else fact.shape for key, fact in found.items()}
    data = [key for key, fact in found.items() if not fact.zero] or list(found)
    most = Counter(fixed[key] for key in data).most_common(1)[0][0]
    for key in found:
        if fixed[key] != most:
            look.refused[key] = f"the shape {found[key].shape} is not that of most clips, {most}"
            del look.facts[key]
    look.layouts[array] = ArrayLayout(
        kind=kind,
        dim=most[-1],
        tokens=most[0] if kind == "tokens" else 1,
        dtype=_dtype({found[key].dtype for key in data if fixed[key] == most}),
    )


def _dtype(names: set[str]) -> str:
    """The narrowest stored dtype that holds all of these without loss."""
    if len(names) == 1:
        return names.pop()
    return np.result_type(*("float32" if name == "bfloat16" else name for name in names)).name
