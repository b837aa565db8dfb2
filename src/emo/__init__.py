"""emo: features of people in clips, cached once; everything after that trains on cached tensors.

Clip, Example and the error tree are here. The rest of the vocabulary (Record, FeatureSpec), and what works on
files, is loaded when first used, so `import emo` stays light and leaves numpy and torch unloaded:

    extract, predict            clips in; features or answers out
    open, FeatureCache, Space, Feature      what is stored, by encoder and clip
    read_manifest               clips of a .csv or .jsonl
    to_torch, to_dataset, to_xarray         one space as tensors, as a Hugging Face dataset, as xarray

Everything else is the rooms' own: `emo.heads`, `emo.llm`, `emo.evaluation`, ... may change between releases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emo.clip import Clip, Example
from emo.errors import EmoError

if TYPE_CHECKING:
    from emo.cache import Feature, FeatureCache, Space
    from emo.cache import open_cache as open
    from emo.cache.exchange.hf_view import to_dataset
    from emo.cache.exchange.xarray_view import to_xarray
    from emo.corpora.manifest import read_manifest
    from emo.heads.ring import to_torch
    from emo.pipeline.answers import Answer
    from emo.pipeline.extract import extract
    from emo.pipeline.predict import predict
    from emo.pipeline.progress import ExtractResult
    from emo.records import Record
    from emo.spec import FeatureSpec

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Clip",
    "EmoError",
    "Example",
    "ExtractResult",
    "Feature",
    "FeatureCache",
    "FeatureSpec",
    "Record",
    "Space",
    "extract",
    "open",
    "predict",
    "read_manifest",
    "to_dataset",
    "to_torch",
    "to_xarray",
]

_LAZY = {
    "Answer": ("emo.pipeline.answers", "Answer"),
    "ExtractResult": ("emo.pipeline.progress", "ExtractResult"),
    "Feature": ("emo.cache", "Feature"),
    "FeatureCache": ("emo.cache", "FeatureCache"),
    "FeatureSpec": ("emo.spec", "FeatureSpec"),
    "Record": ("emo.records", "Record"),
    "Space": ("emo.cache", "Space"),
    "extract": ("emo.pipeline.extract", "extract"),
    "open": ("emo.cache", "open_cache"),
    "predict": ("emo.pipeline.predict", "predict"),
    "read_manifest": ("emo.corpora.manifest", "read_manifest"),
    "to_dataset": ("emo.cache.exchange.hf_view", "to_dataset"),
    "to_torch": ("emo.heads.ring", "to_torch"),
    "to_xarray": ("emo.cache.exchange.xarray_view", "to_xarray"),
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'emo' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
