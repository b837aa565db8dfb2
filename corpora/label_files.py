"""Label files of MERTools and the raw pickles they come from, opened by the allow-list unpickler.

An npz member is a 0-d array of objects that holds a dict: that is a pickle. It is read in a limited process,
and nothing that it names is run. Source of the forms: MERTools, toolkit/preprocess. Knows no data set.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, TypeAlias

import numpy as np

from emo.canonical import Json
from emo.errors import ConfigError
from emo.safety.limited import run_limited
from emo.safety.limits import Limits
from emo.safety.pickles import PickledArray, Refused, load_plain, read_plain

Labels: TypeAlias = Mapping[str, Mapping[str, Json]]
OUT = "labels.json"
MOST_MEMBER = 256 << 20  # bytes of one member, unpacked
LIMITS = Limits(memory_bytes=2 << 30, cpu_seconds=300, wall_seconds=600.0)


def read_label_npz(path: Path) -> dict[str, Labels]:
    """What a label file says by part (`train_corpus`, ...) and clip: `{"emo": ..., "val": ...}`.

    ConfigError where the file is no such npz, or names anything but plain arrays: nothing in it is executed.
    """
    found: dict[str, Labels] = _limited("emo.corpora.label_files:unpack_npz", path)
    return found


def read_raw_pickle(path: Path) -> dict[str, list[tuple[str, float, str]]]:
    """Clips of a `CMUMOSI_features_raw_2way.pkl` by train, val and test: name, label, sentence.

    ConfigError as `read_label_npz`.
    """
    held = _limited("emo.corpora.label_files:unpack_raw", path)
    return {split: [(row[0], row[1], row[2]) for row in rows] for split, rows in held.items()}


def _limited(function: str, path: Path) -> Any:
    with TemporaryDirectory(prefix="emo-labels-") as scratch:
        run_limited(
            function,
            {"file": str(path.resolve()), "folder": scratch},
            imports=["numpy"],
            limits=LIMITS,
            failure=ConfigError,
        )
        return json.loads((Path(scratch) / OUT).read_text(encoding="utf-8"))


def unpack_npz(file: str, folder: str) -> None:
    """In the limited process: the dicts of an npz as JSON in `folder`."""
    path = Path(file)
    try:
        with zipfile.ZipFile(path) as archive:
            found = {
                member.filename.removesuffix(".npy"): _labels(archive, member, path.name)
                for member in archive.infolist()
            }
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise Refused(f"{path.name} is no npz of labels: {error}") from error
    (Path(folder) / OUT).write_text(json.dumps(found), encoding="utf-8")


def _labels(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Labels:
    where = f"{name}, {member.filename}"
    if member.file_size > MOST_MEMBER:
        raise Refused(f"{where} claims {member.file_size} bytes; at most {MOST_MEMBER} are read")
    with archive.open(member) as stream:
        shape, dtype = _header(stream, where)
        if dtype != np.dtype(object) or shape != ():
            raise Refused(f"{where} holds {dtype} of shape {shape}, no dict of labels")
        held = read_plain(stream, where)
    inner = held.values if isinstance(held, PickledArray) else held
    labels = inner[0] if isinstance(inner, list) and len(inner) == 1 else inner
    if not isinstance(labels, dict) or not all(isinstance(each, dict) for each in labels.values()):
        raise Refused(f"{where} holds no dict of labels by clip")
    return {
        str(clip): {str(key): _plain(value, where) for key, value in each.items()}
        for clip, each in labels.items()
    }


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
    except ValueError as error:
        raise Refused(f"{where} is no npy: {error}") from error
    return shape, dtype


def unpack_raw(file: str, folder: str) -> None:
    """In the limited process: names, labels and sentences of a raw pickle as JSON in `folder`."""
    path = Path(file)
    held = load_plain(path)
    if not isinstance(held, tuple | list) or len(held) != 7:
        raise Refused(f"{path.name} is no tuple of seven, as raw feature pickles are")
    names, labels, _, sentences, *splits = held
    found: dict[str, list[tuple[str, Json, str]]] = {}
    for split, videos in zip(("train", "val", "test"), splits, strict=True):
        found[split] = []
        for video in sorted(_list(videos)):
            parts = zip(_list(names[video]), _list(labels[video]), _list(sentences[video]), strict=True)
            found[split] += [(str(name), _plain(label, path.name), str(said)) for name, label, said in parts]
    (Path(folder) / OUT).write_text(json.dumps(found), encoding="utf-8")


def _list(values: Any) -> list[Any]:
    if isinstance(values, PickledArray):
        values = values.values
    if isinstance(values, np.ndarray):
        return list(values.reshape(len(values), -1)[:, 0].tolist()) if values.ndim else [values.item()]
    return list(values)


def _plain(value: Any, where: str) -> Json:
    if isinstance(value, PickledArray):
        values = value.values
        value = values.item() if isinstance(values, np.ndarray) and values.size == 1 else values
    if value is None or isinstance(value, str | int | float):
        return value
    raise Refused(f"{where} holds {type(value).__name__} where a label should be")
