"""MMSA and MMSA-FET pickles in and out: splits of padded arrays `text`, `audio`, `vision`, (N, L, D) each.

Rows of zeros are padding or "nothing seen" in these files. They are not stored; where they were is noted, so
an export puts them back. -inf is read as 0, as MMSA does. Labels, splits and words are no features: they go
to a file of JSON lines. Source: https://github.com/thuiar/MMSA, README and data_loader.py. The pickle is
opened in a limited process by `emo.safety.pickles`. Knows no other format.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache.exchange.foreign import Foreign, Given, claimed_bytes, without_zero_rows
from emo.cache.exchange.incoming import Origin, Taken, take_in
from emo.cache.space import Space
from emo.cache.store import FeatureCache
from emo.canonical import canonical_json
from emo.errors import ConfigError
from emo.records import usable
from emo.safety.limited import run_limited
from emo.safety.limits import Limits
from emo.safety.pickles import PickledArray, Refused, load_plain
from emo.spec import ArrayKind

TOOL = "MMSA"
SPLITS = ("train", "valid", "test")
MODALITIES = ("text", "audio", "vision")
LABELS = (
    "raw_text",
    "annotations",
    "classification_labels",
    "regression_labels",
    "regression_labels_T",
    "regression_labels_A",
    "regression_labels_V",
)
INDEX = "index.json"
FRAMES: ArrayKind = "frames"


def import_mmsa(
    cache: FeatureCache, file: Path, name: str, *, labels: Path | None = None, append: bool = False
) -> Iterator[Taken]:
    """Store `<name>-text`, `<name>-audio` and `<name>-vision`; write what is no feature to the new `labels`.

    Raises ConfigError where the file is no such pickle, or names anything but plain arrays: nothing in it is
    executed. See `take_in`.
    """
    if labels is not None and labels.exists():
        raise ConfigError(f"{labels} exists. Give another name or remove it.")
    with TemporaryDirectory(dir=cache.path.parent, prefix=".mmsa-") as scratch:
        limits = Limits(memory_bytes=(1 << 30) + 6 * file.stat().st_size, cpu_seconds=1800)
        run_limited(
            "emo.cache.exchange.mmsa:unpack",
            {"file": str(file.resolve()), "folder": scratch},
            imports=["numpy"],
            limits=limits,
            failure=ConfigError,
        )
        index = json.loads((Path(scratch) / INDEX).read_text(encoding="utf-8"))
        for modality in MODALITIES:
            items = [
                item
                for split, part in index.items()
                if modality in part["arrays"]
                for item in _clips(Path(scratch) / f"{split}-{modality}.npy", part["ids"])
            ]
            if items:
                origin = Origin(TOOL, file.name, modality)
                yield from take_in(cache, f"{name}-{modality}", origin, items, append=append)
        if labels is not None:
            _write_labels(index, labels)


def unpack(file: str, folder: str) -> None:
    """In the limited process: arrays of the pickle to .npy files in `folder`, all else to `index.json`."""
    held = load_plain(Path(file))
    parts = {split: held[split] for split in SPLITS if isinstance(held, dict) and split in held}
    if not parts:
        raise Refused(f"{Path(file).name} has none of the splits {', '.join(SPLITS)}")
    index: dict[str, Any] = {}
    for split, part in parts.items():
        ids = [str(one) for one in _plain(part["id"])]
        arrays = [one for one in MODALITIES if one in part]
        for modality in arrays:
            values = part[modality].values if isinstance(part[modality], PickledArray) else None
            if not isinstance(values, np.ndarray) or values.ndim != 3 or len(values) != len(ids):
                raise Refused(f"{split}/{modality} is no array of {len(ids)} clips (N, L, D)")
            if values.dtype.kind != "f":
                raise Refused(f"{split}/{modality} holds {values.dtype}")
            np.save(
                Path(folder) / f"{split}-{modality}.npy", np.ascontiguousarray(values), allow_pickle=False
            )
        told = {key: _plain(part[key]) for key in LABELS if key in part}
        index[split] = {"ids": ids, "arrays": arrays, "labels": told}
    (Path(folder) / INDEX).write_text(json.dumps(index), encoding="utf-8")


def _plain(values: Any) -> list[Any]:
    """A list of text and numbers, out of an array or a list of them."""
    if isinstance(values, PickledArray):
        values = values.values
    found = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(found, list) or not all(isinstance(one, str | int | float | None) for one in found):
        raise Refused("labels that are no list of text or numbers")
    return found


def _clips(path: Path, ids: Sequence[str]) -> list[Foreign]:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    return [
        Foreign(clip_id, FRAMES, FRAMES, partial(_frames, values, number))
        for number, clip_id in enumerate(ids)
    ]


def _frames(values: NDArray[Any], number: int) -> Given:
    claimed_bytes(values.dtype, values.shape[1:], f"clip number {number}")
    return without_zero_rows(np.array(values[number]))


def _write_labels(index: Mapping[str, Any], labels: Path) -> None:
    with labels.open("x", encoding="utf-8") as stream:
        for split, part in index.items():
            for number, clip_id in enumerate(part["ids"]):
                told = {key: values[number] for key, values in part["labels"].items()}
                line = canonical_json({"clip_id": clip_id, "split": split, **told})
                stream.write(line.decode() + "\n")


def export_mmsa(spaces: Mapping[str, Space], out: Path, labels: Path) -> Iterator[str]:
    """Write clips that every space has, by modality (`text`, `audio`, `vision`); yields each clip's id.

    `labels` has a JSON line a clip: `clip_id`, `split` and labels, as `import_mmsa` writes it. Arrays are
    (N, L, D) float32, filled up with zeros behind, or as their rows were where they came from MMSA. Plain
    lists and NumPy arrays only. ConfigError where a label's clip lacks features or a split is unknown.
    """
    lines = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines() if line]
    if wrong := sorted({str(line.get("split")) for line in lines} - set(SPLITS)):
        raise ConfigError(f"{labels} has the split {wrong[0]!r}; MMSA knows {', '.join(SPLITS)}.")
    held: dict[str, Any] = {}
    for split in SPLITS:
        part = [line for line in lines if line["split"] == split and _in_all(spaces, line["clip_id"])]
        if part:
            held[split] = _split(part, spaces)
            yield from (line["clip_id"] for line in part)
    if not held:
        raise ConfigError(f"none of the {len(lines)} clips in {labels} has features in every space.")
    with out.open("xb") as stream:
        pickle.dump(held, stream, protocol=4)


def _in_all(spaces: Mapping[str, Space], clip_id: str) -> bool:
    infos = [space.info(clip_id) for space in spaces.values()]
    return all(info is not None and usable(info.status) for info in infos)


def _split(lines: Sequence[dict[str, Any]], spaces: Mapping[str, Space]) -> dict[str, Any]:
    ids = [line["clip_id"] for line in lines]
    part: dict[str, Any] = {"id": ids}
    for key in LABELS:
        if all(key in line for line in lines):
            told = [line[key] for line in lines]
            part[key] = told if isinstance(told[0], str) else np.array(told)
    for modality, space in spaces.items():
        clips = [_padded(space, clip_id) for clip_id in ids]
        length = max(map(len, clips))
        values = np.zeros((len(clips), length, clips[0].shape[-1]), np.float32)
        for number, clip in enumerate(clips):
            values[number, : len(clip)] = clip
        part[modality] = values
        part[f"{modality}_lengths"] = [_length(clip) for clip in clips]
    return part


def _padded(space: Space, clip_id: str) -> NDArray[np.float32]:
    """The clip's rows where they were in the file that they came from."""
    feature = space[clip_id]
    rows = np.atleast_2d(feature.values).astype(np.float32)
    noted: Any = feature.meta.get(FRAMES)
    if not isinstance(noted, dict) or "length" not in noted:
        return rows
    whole = np.zeros((noted["length"], rows.shape[1]), np.float32)
    whole[noted.get("kept_rows", slice(None))] = rows
    return whole


def _length(rows: NDArray[np.float32]) -> int:
    """How many rows there are before the padding behind."""
    return int(np.flatnonzero(rows.any(axis=1))[-1]) + 1
