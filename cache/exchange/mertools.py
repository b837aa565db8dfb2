"""Import of MERTools feature trees: `<encoder>-UTT|-FRA` or `<encoder>_UTT|_FRA`, a .npy file a clip.

UTT is (D,) or (1, D); FRA is (T, D), or (D,) for one frame, or a folder of .npy files, one a frame. Empty
clips are files of zeros. One name stands for different features in different years: the last layer of HuBERT
in MER2023, the sum of its last four since MERBench, and nothing on disk tells them apart. Source:
https://github.com/zeroQiaoba/MERTools, MER2023 and MERBench, feature_extraction. Knows no other format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from emo.cache.exchange.arrays import npy_given
from emo.cache.exchange.foreign import Foreign, Given, Refused, claimed_bytes
from emo.cache.exchange.incoming import Origin, Taken, take_in
from emo.cache.exchange.npy import read_npy
from emo.cache.store import FeatureCache
from emo.errors import ConfigError
from emo.spec import ArrayKind

TOOL = "MERTools"
Variant = Literal["", "mer2023", "merbench"]

_FOLDER = re.compile(r"(?P<encoder>.+)[-_](?P<level>UTT|FRA)")
_SPEECH = re.compile(r"hubert|wav2vec|wavlm|data2vec-audio", re.IGNORECASE)
_KIND: dict[str, ArrayKind] = {"UTT": "utterance", "FRA": "frames"}


def import_mertools(
    cache: FeatureCache, root: Path, *, variant: Variant = "", name: str = "", append: bool = False
) -> Iterator[Taken]:
    """Store one feature folder, or all those in `root`. UTT and FRA of one encoder become one space.

    `name` replaces the encoder's name, where there is one encoder. ConfigError where there is no such
    folder, or where features of a HuBERT-like encoder come without their `variant`. See `take_in`.
    """
    folders = feature_folders(root)
    encoders = sorted({encoder for encoder, _ in folders})
    if name and len(encoders) > 1:
        raise ConfigError(f"--name is for one encoder; {root} has {', '.join(encoders)}.")
    for encoder in encoders:
        if _SPEECH.search(encoder) and not variant:
            raise ConfigError(
                f"{encoder}: in MER2023 these features are the last layer, since MERBench (MER2024 to 2026 "
                "too) the sum of the last four, under the same name. Say which: --variant mer2023 or "
                "--variant merbench."
            )
    for encoder in encoders:
        parts = {level: folder for (of, level), folder in folders.items() if of == encoder}
        items = [item for level, folder in parts.items() for item in clip_files(folder, _KIND[level])]
        origin = Origin(TOOL, "+".join(sorted(folder.name for folder in parts.values())), variant)
        yield from take_in(cache, name or encoder, origin, items, append=append)


def feature_folders(root: Path) -> dict[tuple[str, str], Path]:
    """The feature folders by encoder and level: `root` itself, or those in it."""
    root = root.resolve()
    candidates = [root] if _FOLDER.fullmatch(root.name) else sorted(root.iterdir())
    found: dict[tuple[str, str], Path] = {}
    for folder in candidates:
        parts = _FOLDER.fullmatch(folder.name)
        if parts is None or not folder.is_dir() or folder.is_symlink():
            continue
        key = parts["encoder"], parts["level"]
        if key in found:
            raise ConfigError(f"{found[key]} and {folder} are both {key[1]} of {key[0]}. Import one of them.")
        found[key] = folder
    if not found:
        raise ConfigError(f"{root} is no folder <encoder>-UTT or <encoder>-FRA and holds none.")
    return found


def clip_files(folder: Path, kind: ArrayKind) -> list[Foreign]:
    """The clips of one feature folder: its .npy files, and its folders of .npy files, one a frame."""
    entries = sorted(folder.iterdir())
    files = [path for path in entries if path.suffix == ".npy"]
    framed = [path for path in entries if path.is_dir() and not path.is_symlink()] if kind == "frames" else []
    return [Foreign(path.stem, kind, kind, partial(npy_given, path)) for path in files] + [
        Foreign(path.name, kind, kind, partial(_stacked, path)) for path in framed
    ]


def _stacked(folder: Path) -> Given:
    """Frames from a folder of .npy files, one (D,) each, in the order of their names."""
    rows = []
    for path in sorted(folder.glob("*.npy")):
        rows.append(read_npy(path))
        claimed_bytes(rows[0].dtype, (len(rows), *rows[0].shape), folder.name)
    if not rows or any(row.shape != rows[0].shape or row.ndim != 1 for row in rows):
        raise Refused(f"{folder.name} holds no frames of one size, a .npy file each")
    values = np.stack(rows)
    return Given(values, values.dtype.name)
