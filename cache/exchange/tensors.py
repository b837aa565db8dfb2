"""Import of safetensors that nobody described: one file, or a folder of them, a tensor a clip.

The tensor's name is the clip id. Knows nothing of which tool made them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emo.cache.exchange.foreign import Foreign
from emo.cache.exchange.incoming import Origin, Taken, folder_name, take_in
from emo.cache.exchange.safetensors_files import open_safetensors
from emo.cache.store import FeatureCache
from emo.spec import ArrayKind

TOOL = "safetensors"


def import_safetensors(
    cache: FeatureCache, path: Path, encoder: str, kind: ArrayKind, *, append: bool = False
) -> Iterator[Taken]:
    """Store the tensors in `path` as features of `encoder`. See `take_in`.

    `kind` says what a tensor is: an utterance (D,), frames (T, D) or tokens (N, D). A file that is none of
    its format raises Refused.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    items = [
        Foreign(name, kind, kind, tensor.read)
        for file in files
        for name, tensor in open_safetensors(file).items()
    ]
    yield from take_in(cache, encoder, Origin(TOOL, folder_name(path)), items, append=append)
