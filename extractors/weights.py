"""Where weights lie on this machine and what their digests are. Cheap and torch-free.

Every preset but `tiny` is a folder in the layout its own library writes: `config.json`, safetensors and,
for audio, `preprocessor_config.json`. Fetches nothing: `emo weights get` does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from emo.canonical import Json
from emo.digests import StatCache
from emo.errors import CheckpointError, ConfigError
from emo.extractors import tiny
from emo.extractors.names import hub_name
from emo.extractors.random_weights import random_digest
from emo.extractors.sources import Source
from emo.spec import Licence

CARD = "emo-weights.json"  # what `emo weights get` and `convert` say about the folder's origin
CONFIGS = {"config.json": "config", "preprocessor_config.json": "preprocessor"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Weights that are on this machine: their folder (None for tiny), configs, digests by role.

    `preset` is what specs are labelled with: a substitute never carries the name of what it stands for, and
    random weights say so.
    """

    folder: Path | None
    config: Mapping[str, Json]
    digests: Mapping[str, str]
    licence: Licence
    preset: str
    preprocessor: Mapping[str, Json] = field(default_factory=dict)


def cache_home() -> Path:
    """The user's cache folder of emo: $XDG_CACHE_HOME/emo or ~/.cache/emo."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "emo"


def weights_folder(encoder: str, preset: str) -> Path:
    """Where `emo weights get` puts a preset: under $EMO_WEIGHTS, or `weights` in the cache folder."""
    base = os.environ.get("EMO_WEIGHTS")
    return (Path(base) if base else cache_home() / "weights") / encoder / preset


def find_weights(
    encoder: str, preset: str, source: Source, folder: str | os.PathLike[str] | None = None
) -> Weights:
    """The weights of a preset, or those in `folder` where one is given.

    Raises CheckpointError, with the command that fetches them, where they are not there.
    """
    if source.random is not None and folder is None:
        return Weights(
            folder=None,
            config=source.random,
            digests={"model": random_digest(encoder, source.random)},
            licence=source.licence,
            preset=f"{preset}-random",
        )
    if preset == "tiny" and folder is None:
        shipped = tiny.entry(encoder)
        config = shipped["config"]
        assert isinstance(config, dict)
        return Weights(
            folder=None,
            config=config,
            digests={"model": str(shipped["sha256"])},
            licence=source.licence,
            preset=preset,
        )
    where = Path(folder) if folder is not None else weights_folder(encoder, preset)
    if not (where / "config.json").exists():
        raise CheckpointError(_missing(encoder, preset, source, where))
    card = read_json(where / CARD)
    return Weights(
        folder=where,
        config=read_json(where / "config.json"),
        preprocessor=read_json(where / "preprocessor_config.json"),
        digests=_digests(where, source.also),
        licence=_licence(card) or source.licence,
        preset=f"{preset}-substitute" if card.get("substitute") else preset,
    )


def choose(encoder: str, presets: Mapping[str, object], preset: str) -> None:
    """ConfigError, with the known names, where `preset` is not one of `presets`."""
    if preset not in presets:
        raise ConfigError(f"{encoder} has no preset {preset!r}. It has: {', '.join(presets)}.")


def _missing(encoder: str, preset: str, source: Source, where: Path) -> str:
    name = hub_name(encoder)
    command = f"Run: emo weights get --encoder {name} --preset {preset}"
    why = "" if source.public else f" {source.note}"
    return f"No weights of {name} preset {preset} in {where}.{why} {command}"


def read_json(path: Path) -> dict[str, Json]:
    """The object in a JSON file, empty where there is no file; CheckpointError where it is no such object."""
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(
            f"{path} is no JSON ({error}). Fetch or convert these weights again."
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object. Fetch or convert these weights again.")
    return value


def _licence(card: Mapping[str, Json]) -> Licence | None:
    told = card.get("licence")
    if not isinstance(told, dict):
        return None
    return Licence(name=str(told.get("name", "unknown")), source=str(told.get("source", "")))


def _digests(folder: Path, also: Sequence[str]) -> dict[str, str]:
    models = sorted(folder.glob("*.safetensors"))
    if not models:
        raise CheckpointError(
            f"{folder} holds no safetensors. Convert what is there with `emo weights convert` first."
        )
    found = {path.stem: _digest(path) for path in models}
    for name, role in CONFIGS.items():
        if (folder / name).exists():
            found[role] = _digest(folder / name)
    for name in also:
        if not (folder / name).exists():
            raise CheckpointError(f"{folder} has no {name}. Fetch these weights again.")
        found[Path(name).stem] = _digest(folder / name)
    return found


def _digest(path: Path) -> str:
    """SHA-256 of the bytes; a hub snapshot links large files to blobs that are named by it."""
    blob = path.resolve().name
    if path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob):
        return blob
    return _stat_cache(_memory()).sha256(path)


@cache
def _stat_cache(store: Path) -> StatCache:
    return StatCache(store)


def rehash_weights() -> None:
    """Forget every remembered digest: weights are read again when they are next asked for."""
    _memory().unlink(missing_ok=True)
    _stat_cache.cache_clear()


def _memory() -> Path:
    return cache_home() / "weight-digests.jsonl"
