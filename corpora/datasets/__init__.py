"""The table of data sets that can be read. A new reader is one file and one line here.

Each is `module:READER`; its key is that of `catalogue.yaml`, which holds the facts. Tests run over the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module

from emo.corpora.datasets.reading import Reader
from emo.errors import ConfigError

READERS: Mapping[str, str] = {
    "ravdess": "emo.corpora.datasets.ravdess:READER",
    "crema-d": "emo.corpora.datasets.crema_d:READER",
    "mer2023": "emo.corpora.datasets.mer2023:READER",
    "mer2024": "emo.corpora.datasets.mer2024:READER",
    "mer2025": "emo.corpora.datasets.mer2025:READER",
    "mer2026": "emo.corpora.datasets.mer2026:READER",
    "meld": "emo.corpora.datasets.meld:READER",
    "dfew": "emo.corpora.datasets.dfew:READER",
    "mafw": "emo.corpora.datasets.mafw:READER",
    "iemocap": "emo.corpora.datasets.iemocap:READER",
    "cmu-mosi": "emo.corpora.datasets.cmu_mosi:READER",
    "cmu-mosei": "emo.corpora.datasets.cmu_mosei:READER",
    "ch-sims": "emo.corpora.datasets.ch_sims:READER",
    "ch-sims-v2": "emo.corpora.datasets.ch_sims_v2:READER",
    "emer": "emo.corpora.datasets.emer:READER",
    "ov-merd": "emo.corpora.datasets.ov_merd:READER",
    "emobench-m": "emo.corpora.datasets.emobench_m:READER",
    "merr-coarse": "emo.corpora.datasets.merr:COARSE",
    "merr-fine": "emo.corpora.datasets.merr:FINE",
    "mer-factory": "emo.corpora.datasets.mer_factory:READER",
    "own": "emo.corpora.datasets.own:READER",
}


def reader(name: str) -> Reader:
    """The reader of that name; ConfigError with the known ones."""
    if name not in READERS:
        near = get_close_matches(name.lower(), READERS, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"no data set {name!r} can be read. {hint}Known: {', '.join(READERS)}.")
    module, attribute = READERS[name].split(":")
    found: Reader = getattr(import_module(module), attribute)
    return found
