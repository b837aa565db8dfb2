"""A space as a Hugging Face dataset: a table of clip ids whose arrays are read when a row is asked for.

Nothing is copied. Needs the package `datasets`, imported when first asked for. Knows nothing of how a cache
lies on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from emo.cache.space import Space
from emo.errors import MissingDependency

if TYPE_CHECKING:
    import datasets


def to_dataset(
    space: Space, arrays: Sequence[str] | None = None, ids: Sequence[str] | None = None
) -> datasets.Dataset:
    """A `datasets.Dataset` of some clips, or of all usable ones: `clip_id`, and each array as NumPy.

    A clip without one of the arrays has None there. MissingDependency without `datasets`.

    >>> table = emo.to_dataset(emo.open("features.zarr")["hubert"], ["utterance"])
    >>> len(table), table[0]["utterance"].shape
    (8, (96,))
    """
    try:
        from datasets import Dataset
    except ImportError as error:
        raise MissingDependency(
            "this view needs datasets. Run: pip install 'emo-toolkit[exchange]'"
        ) from error
    chosen = list(space) if ids is None else list(ids)
    read = partial(_read, space, tuple(space.spec.arrays if arrays is None else arrays))
    return Dataset.from_dict({"clip_id": chosen}).with_transform(read)


def _read(space: Space, arrays: Sequence[str], batch: dict[str, list[str]]) -> dict[str, list[Any]]:
    clips = batch["clip_id"]
    found: dict[str, list[Any]] = {"clip_id": list(clips)}
    for array in arrays:
        held = [clip_id for clip_id in clips if array in _held(space, clip_id)]
        values = dict(zip(held, space.read_many(held, array), strict=True))
        found[array] = [values.get(clip_id) for clip_id in clips]
    return found


def _held(space: Space, clip_id: str) -> Sequence[str]:
    info = space.info(clip_id)
    return () if info is None else info.arrays
