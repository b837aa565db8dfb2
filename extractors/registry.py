"""The table of encoders, and how one is made by name.

A new encoder is one file and one line here, or an entry point `emo.encoders` of another package; the
contract suite runs over the table. Making an encoder loads no weights and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from emo.errors import ConfigError
from emo.extractors.sources import Source
from emo.views import Encoder

GROUP = "emo.encoders"

ENCODERS: dict[str, str] = {
    "hubert": "emo.extractors.hubert:Hubert",
    "mae": "emo.extractors.mae:Mae",
    "videomae": "emo.extractors.videomae:VideoMae",
    "eva": "emo.extractors.eva:Eva",
}


def encoder_class(name: str) -> type[Any]:
    """The class behind a name, of the table or of another package's entry point.

    Raises ConfigError, with the known names, where there is none.
    """
    table = known_encoders()
    if name not in table:
        raise ConfigError(f"Unknown encoder {name!r}. Known: {', '.join(sorted(table))}.")
    module, attribute = table[name].split(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def known_encoders() -> Mapping[str, str]:
    """Every name and its `module:Class`; emo's own names cannot be taken over."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | ENCODERS


def make_encoder(name: str, preset: str = "tiny", **options: Any) -> Encoder:
    """An encoder by name, ready to encode; weights are loaded by its first `encode`.

    `options` are those of the encoder's class, such as `weights` (a folder) or `device`.
    Raises ConfigError for an unknown name or preset, CheckpointError where weights are missing.
    """
    made: Encoder = encoder_class(name)(preset, **options)
    return made


def preset_source(name: str, preset: str) -> Source:
    """Where the weights of an encoder's preset come from; ConfigError where there is no such preset."""
    presets = import_module(encoder_class(name).__module__).PRESETS
    if preset not in presets:
        raise ConfigError(f"{name} has no preset {preset!r}. It has: {', '.join(presets)}.")
    source: Source = presets[preset].source
    return source
