"""Records made ready to be stored: checked against the spec, converted, or turned into a status.

What is no feature (NaN, Inf, overflow of float16, a row of zeros) becomes a status with a reason and is
never stored as values. Knows no files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache.geometry import Geometry
from emo.canonical import canonical_json
from emo.clip import normal_id
from emo.errors import ConfigError
from emo.records import OK, RETRACTED, Array, Record, why_unusable
from emo.spec import ArrayLayout, FeatureSpec

_STATUS = re.compile(rf"{OK}|{RETRACTED}|(degraded|missing|failed):\S+")
REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record as it will be stored; `blocks` are rows in the stored dtype, (rows, ...)."""

    clip_id: str
    status: str
    reason: str
    meta: str
    input_sha256: bytes
    blocks: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def prepare(record: Record, spec: FeatureSpec, geometries: Mapping[str, Geometry]) -> Prepared:
    """The record, ready to be stored; ConfigError where it does not fit the spec.

    Values that are no features give `failed:empty`, `failed:nonfinite` or `failed:zero_rows`; more rows
    than a shard holds, `failed:too_long`.
    """
    _check(record)
    one_line = " ".join(record.reason.split())[:REASON_CHARACTERS]
    status, reason = record.status, one_line.encode(errors="replace").decode()
    blocks = {}
    for name, values in record.arrays.items():
        if name not in spec.arrays:
            raise ConfigError(f"clip {record.clip_id!r}: {spec.encoder} has no array {name!r} in its spec")
        blocks[name] = block = _block(record.clip_id, name, values, spec.arrays[name], geometries[name])
        if problem := _problem(name, block, geometries[name]):
            status, reason = problem
            blocks = {}
            break
    try:
        meta = canonical_json(dict(record.meta)).decode()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"clip {record.clip_id!r}: its meta is no plain JSON ({error})") from error
    return Prepared(normal_id(record.clip_id), status, reason, meta, bytes(record.input_sha256), blocks)


def _check(record: Record) -> None:
    if not _STATUS.fullmatch(record.status):
        raise ConfigError(
            f"clip {record.clip_id!r}: {record.status!r} is no status. Use ok, retracted, degraded:<why>, "
            "missing:<why> or failed:<why>."
        )
    if len(record.input_sha256) != 32:
        raise ConfigError(
            f"clip {record.clip_id!r}: the input digest has {len(record.input_sha256)} bytes, not 32"
        )
    if record.status == OK and not record.arrays:
        raise ConfigError(f"clip {record.clip_id!r}: the record is ok but holds no arrays")
    if record.arrays and record.status != OK and not record.status.startswith("degraded:"):
        raise ConfigError(f"clip {record.clip_id!r}: a record of status {record.status} cannot hold arrays")
    try:
        record.clip_id.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"clip id {record.clip_id!r} is not valid Unicode. Rename the clip.") from None


def _block(clip_id: str, name: str, values: Array, layout: ArrayLayout, geometry: Geometry) -> NDArray[Any]:
    values = np.asarray(values)
    fits = {
        "frames": values.ndim == 2 and values.shape[1:] == (layout.dim,),
        "tokens": values.shape == (layout.tokens, layout.dim),
        "utterance": values.shape == (layout.dim,),
    }[layout.kind]
    if not fits or values.dtype.kind not in "fiu":
        shape = {
            "frames": f"(T, {layout.dim})",
            "tokens": f"({layout.tokens}, {layout.dim})",
            "utterance": f"({layout.dim},)",
        }[layout.kind]
        raise ConfigError(
            f"clip {clip_id!r}: {name} is {values.dtype} {values.shape}; the spec says {layout.dtype} {shape}"
        )
    return geometry.narrowed(values if layout.kind == "frames" else values[None])


def _problem(name: str, block: NDArray[Any], geometry: Geometry) -> tuple[str, str] | None:
    if len(block) > geometry.shard_rows:
        return (
            "failed:too_long",
            f"{name} has {len(block)} rows; this space holds {geometry.shard_rows} a record",
        )
    if block.size and _sound(block, geometry):
        return None
    values = geometry.widened(block)
    status = why_unusable(values)
    if status is None:
        return None
    return status, f"{name} of shape {values.shape} as {geometry.dtype}{_where(status, values)}"


def _sound(block: NDArray[Any], geometry: Geometry) -> bool:
    """Whether every value is finite and every row has one that is not zero, in one pass over the bits.

    Without its sign bit a float of IEEE 754 orders as the integer of its bits, Inf and NaN last. Twenty
    times as fast as `why_unusable`, which has the last word where this says no.
    """
    if geometry.scaled:
        return False  # its values are behind a scale: `why_unusable` looks at them
    bits = block.view(f"<u{block.itemsize}")
    infinity = np.float32(np.inf).view(np.uint32) >> np.uint32(16)
    if not geometry.bfloat16:
        infinity = block.dtype.type(np.inf).view(bits.dtype)
    magnitude = bits & bits.dtype.type(np.iinfo(bits.dtype).max >> 1)
    largest = magnitude.reshape(-1, block.shape[-1]).max(axis=1)
    return bool(largest.min() > 0 and largest.max() < infinity)


def _where(status: str, values: Array) -> str:
    if status == "failed:nonfinite":
        first = np.argwhere(~np.isfinite(values))[0].tolist()
        return f": {values[tuple(first)]} at {first}"
    if status == "failed:zero_rows":
        zero = ~values.reshape(-1, values.shape[-1]).any(axis=1)
        return f": {int(zero.sum())} rows of zeros, the first is {int(zero.argmax())}"
    return ""
