"""Plain data out of pickles of others, without running anything that they name.

A pickle is a program that may call what it imports. Here it can import ten names: one makes a set, each of
the others stands for code of this page that describes a NumPy array: not even NumPy's own constructors see
its arguments. Runs inside `emo.safety.limited`. Knows nothing of features and labels.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from emo.errors import ConfigError

KINDS = "fiubSU"


class Refused(ConfigError):
    """Data of others that is not read: it lies about its size, would run code, or is of another kind."""


def load_plain(path: Path) -> Any:
    """Dicts, lists, sets, text, numbers and `PickledArray`s; Refused where the pickle names anything else."""
    with path.open("rb") as stream:
        return read_plain(stream, path.name)


def read_plain(stream: IO[bytes], name: str) -> Any:
    """As `load_plain`, from an open file that messages call `name`."""
    try:
        return _Plain(stream, encoding="latin1").load()
    except Refused:
        raise
    except Exception as error:  # a hostile file breaks the reader in ways that nobody lists
        raise Refused(f"{name} is no pickle of plain arrays: {error!r:.200}") from error


class PickledDtype:
    """The dtype that a pickle describes."""

    def __init__(self, name: str, *_: object) -> None:
        self._name, self._order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """A plain number or text; Refused for objects, fields and whatever else NumPy can describe."""
        if self._name in ("O", "O8"):
            return np.dtype(object)
        if not isinstance(self._name, str) or self._order not in ("<", ">", "=", "|"):
            raise Refused(f"an array of dtype {self._name!r}")
        dtype = np.dtype(self._name)
        if self._order in "<>":
            dtype = dtype.newbyteorder("<" if self._order == "<" else ">")
        if dtype.kind not in KINDS or dtype.names:
            raise Refused(f"an array of dtype {dtype}")
        return dtype


class PickledArray:
    """An array that a pickle describes; `values` makes it, or raises Refused."""

    def __init__(self, *_: object) -> None:
        self._state: tuple[Any, ...] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._state = state

    @property
    def values(self) -> NDArray[Any] | list[Any]:
        """The array; those of objects as the list of what they hold, in C order."""
        if self._state is None:
            raise Refused("an array without values")
        _, shape, described, fortran, data = self._state
        if isinstance(data, list):
            return data
        if min(shape, default=0) < 0:
            raise Refused(f"an array of shape {shape}")
        dtype = described.dtype
        raw = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> PickledArray:
    return PickledArray()


def _from_buffer(data: Any, described: PickledDtype, shape: tuple[int, ...], order: str) -> PickledArray:
    array = PickledArray()
    array.__setstate__((1, shape, described, order == "F", data))
    return array


def _scalar(described: PickledDtype, data: Any = b"") -> Any:
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, described.dtype)[0].item()


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise Refused(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): PickledDtype,
    ("numpy", "ndarray"): PickledArray,
    ("_codecs", "encode"): _encode,
    **{(module, "set"): set for module in ("builtins", "__builtin__")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(f"the pickle asks for {module}.{name}, which is not given to it") from None
