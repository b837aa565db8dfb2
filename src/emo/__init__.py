"""emo: features of people in clips, cached once; everything after that trains on cached tensors.

The vocabulary (Clip, Example, FeatureSpec, the error tree) is here. `open`, `extract` and `predict` are
loaded from the rooms above when first used, so `import emo` stays light and leaves torch unloaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emo.clip import Clip, Example
from emo.errors import EmoError
from emo.records import Record
from emo.spec import FeatureSpec

if TYPE_CHECKING:
    from emo.cache import open_cache as open
    from emo.pipeline.extract import extract
    from emo.pipeline.predict import predict

__version__ = "0.1.0"

__all__ = ["Clip", "EmoError", "Example", "FeatureSpec", "Record", "extract", "open", "predict"]

_LAZY = {
    "open": ("emo.cache", "open_cache"),
    "extract": ("emo.pipeline.extract", "extract"),
    "predict": ("emo.pipeline.predict", "predict"),
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'emo' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)
