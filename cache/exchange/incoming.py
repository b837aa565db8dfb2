"""The one way in for arrays of other tools: their space, their status, and what is stored already.

A foreign tree does not say which weights made it. Its space is named by what is declared (tool, folder,
variant) and by a digest of the first import, so two trees never share a fingerprint. A tree that grew is
the same one while every clip that it shares with the space has equal values; a tree that shares no clip with
it is the same one only where the caller says so (`append`). Knows no file format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from emo.cache.exchange.first_look import FirstLook, first_look
from emo.cache.exchange.foreign import Foreign
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.canonical import Json, sha256_json
from emo.errors import ConfigError
from emo.records import NO_INPUT, RETRACTED, Record
from emo.spec import ArrayLayout, FeatureSpec

RECIPE_VERSION = 1
ALL_ZERO = "missing:all_zero"
REFUSED = "failed:refused"
NOT_KNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Origin:
    """What is declared of a foreign tree, all of it part of the fingerprint."""

    tool: str
    folder: str
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """One clip after an import: its space, its status, and whether this import stored it."""

    space: str
    clip_id: str
    status: str
    stored: bool


def take_in(
    cache: FeatureCache, encoder: str, origin: Origin, items: Sequence[Foreign], *, append: bool = False
) -> Iterator[Taken]:
    """Store what the cache lacks of foreign arrays; yields every clip with its status.

    Zeros mean "none" in the tools that write such trees: the clip becomes `missing:all_zero`. One that is
    refused, or of another shape than most, becomes `failed:refused`. A clip that was forgotten stays so. With
    `append` the arrays go to the one space that is declared alike.

    Raises ConfigError where nothing can be read, a clip is there twice, or a space to be appended to has
    other values of a clip.
    """
    look = first_look(items)
    by_clip: dict[str, dict[str, Foreign]] = {}
    for item in items:
        by_clip.setdefault(item.clip_id, {})[item.array] = item
    digests = {clip_id: look.digest(arrays.values()) for clip_id, arrays in by_clip.items()}
    spec = _spec(cache, encoder, origin, look.layouts, digests, append=append)
    if spec not in cache:
        cache.unite(())  # a foreign tree does not say what data it is of
    space = cache.create(spec)
    with space.writer() as writer:
        for clip_id, arrays in by_clip.items():
            held = space.info(clip_id)
            if held is not None and (held.status == RETRACTED or held.input_sha256 == digests[clip_id]):
                yield Taken(space.name, clip_id, held.status, stored=False)
            elif held is not None and digests[clip_id] == NO_INPUT:  # what was read before is better
                yield Taken(space.name, clip_id, REFUSED, stored=False)
            else:
                kept = writer.put(_record(clip_id, arrays, look, digests[clip_id]))
                yield Taken(space.name, clip_id, kept.status, stored=True)


def _record(clip_id: str, arrays: Mapping[str, Foreign], look: FirstLook, digest: bytes) -> Record:
    for array in arrays:
        why = look.refused.get((clip_id, array))
        if why is not None:
            return Record(clip_id=clip_id, status=REFUSED, reason=why)
    zeros = [array for array in arrays if look.facts[clip_id, array].zero]
    if zeros:
        reason = f"{zeros[0]} is zeros only"
        return Record(clip_id=clip_id, status=ALL_ZERO, reason=reason, input_sha256=digest)
    given = {array: item.look() for array, item in arrays.items()}
    meta = {array: dict(one.notes) for array, one in given.items() if one.notes}
    values = {array: one.values for array, one in given.items()}
    return Record(clip_id=clip_id, arrays=values, input_sha256=digest, meta=cast(dict[str, Json], meta))


def _spec(
    cache: FeatureCache,
    encoder: str,
    origin: Origin,
    layouts: Mapping[str, ArrayLayout],
    digests: Mapping[str, bytes],
    *,
    append: bool,
) -> FeatureSpec:
    """The spec of the space that these clips belong to: one that is there, or a new one."""
    alike = [space for space in cache.spaces() if _declares(space.spec, encoder, origin)]
    for space in alike:
        shared, differing = _compare(space, digests)
        if shared and not differing and dict(space.spec.arrays) == dict(layouts):
            return space.spec
    if append:
        return _to_append_to(alike, encoder, layouts, digests)
    first = sha256_json({clip_id: digest.hex() for clip_id, digest in digests.items()})
    imported = cast(dict[str, Json], asdict(origin)) | {"first_import": first}
    return FeatureSpec(
        encoder=encoder,
        weights={},
        recipe={"imported": imported},
        recipe_version=RECIPE_VERSION,
        arrays=layouts,
        precision=NOT_KNOWN,
        preset="imported",
    )


def _to_append_to(
    alike: Sequence[Space], encoder: str, layouts: Mapping[str, ArrayLayout], digests: Mapping[str, bytes]
) -> FeatureSpec:
    if len(alike) != 1:
        listed = ", ".join(space.name for space in alike) or "none"
        raise ConfigError(
            f"there must be one space of {encoder} that was imported as this is; there is {listed}. "
            "Leave out --append to make a new one."
        )
    space = alike[0]
    _, differing = _compare(space, digests)
    if differing:
        raise ConfigError(
            f"{len(differing)} clips have other values in {space.name}, the first is {differing[0]!r}: "
            "this is another extraction. Leave out --append to store it beside."
        )
    if dict(space.spec.arrays) != dict(layouts):
        raise ConfigError(
            f"{space.name} stores {dict(space.spec.arrays)}, but these features are {dict(layouts)}."
        )
    return space.spec


def _declares(spec: FeatureSpec, encoder: str, origin: Origin) -> bool:
    imported = spec.recipe.get("imported")
    return (
        spec.encoder == encoder
        and isinstance(imported, dict)
        and {key: value for key, value in imported.items() if key != "first_import"} == asdict(origin)
    )


def _compare(space: Space, digests: Mapping[str, bytes]) -> tuple[list[str], list[str]]:
    """The clips that the space shares with an import, and those among them that have other values."""
    infos = space.infos()
    known = [
        clip_id
        for clip_id, digest in digests.items()
        if clip_id in infos
        and infos[clip_id].status != RETRACTED
        and NO_INPUT not in (digest, infos[clip_id].input_sha256)
    ]
    return known, [clip_id for clip_id in known if infos[clip_id].input_sha256 != digests[clip_id]]


def folder_name(path: Path) -> str:
    """The name of a folder as it is declared, whatever way it was reached."""
    return path.resolve().name
