"""The table of encoders, and how one is made by name.

A new encoder is one file and one line here, or an entry point `emo.encoders` of another package; the
contract suite runs over the table. Making an encoder loads no weights and no torch.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from emo.errors import ConfigError, hint
from emo.extractors.names import hub_name, label, layers_variant, split_name, stored_name, wanted
from emo.extractors.running import Precision, Running
from emo.extractors.sources import Source
from emo.views import Encoder

GROUP = "emo.encoders"

ENCODERS: dict[str, str] = {
    "hubert": "emo.extractors.hubert:Hubert",
    "wavlm": "emo.extractors.wavlm:WavLM",
    "wav2vec2": "emo.extractors.wav2vec2:Wav2Vec2",
    "data2vec-audio": "emo.extractors.data2vec:Data2VecAudio",
    "whisper": "emo.extractors.whisper:Whisper",
    "opensmile": "emo.extractors.opensmile:OpenSmile",
    "mae": "emo.extractors.mae:Mae",
    "videomae": "emo.extractors.videomae:VideoMae",
    "clip": "emo.extractors.clip:Clip",
    "dinov2": "emo.extractors.dinov2:Dinov2",
    "eva": "emo.extractors.eva:Eva",
    "roberta": "emo.extractors.roberta:Roberta",
    "macbert": "emo.extractors.macbert:MacBert",
}


def encoder_class(name: str, weights: str | os.PathLike[str] | None = None) -> type[Any]:
    """The class behind a name, of the table, of another package's entry point, or of the hub.

    What an encoder of the hub is, the config.json in `weights` says. Raises ConfigError, with the known
    names, where there is none.
    """
    stored = stored_name(name)
    if hub_name(stored) != stored:
        from emo.extractors.hub import hub_class

        return hub_class(stored, None if weights is None else Path(weights))
    table = known_encoders()
    if name not in table:
        raise ConfigError(
            f"Unknown encoder {name!r}; {hint(name, sorted(table))} Also: hf:OWNER/NAME, timm:NAME."
        )
    module, attribute = table[name].split(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def known_encoders() -> Mapping[str, str]:
    """Every name and its `module:Class`; emo's own names cannot be taken over."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | ENCODERS


def make_encoder(
    name: str,
    preset: str = "tiny",
    *,
    layers: Sequence[int] = (),
    device: str = "auto",
    precision: Precision = "float32",
    compiled: bool = False,
    **options: Any,
) -> Encoder:
    """An encoder by name (`hubert`, `hubert@merbench`, `hf:owner/name`), ready to encode.

    Weights are loaded by its first `encode`. `preset` holds where the name names none; `layers` asks for one
    feature a layer. `device`, `precision` and `compiled` are those of `Running`; an encoder of another
    package that takes no `running` runs as it pleases, in float32. `options` are those of the encoder's
    class, such as `weights` (a folder). Raises ConfigError for an unknown name, preset or variant and for
    what the encoder does not take, CheckpointError where weights are missing.
    """
    encoder, choice = split_name(name)
    made_by = encoder_class(encoder, options.get("weights"))
    chosen = wanted(encoder, choice, preset, presets_of(made_by), getattr(made_by, "variants", {}))
    several = tuple(layers) or chosen.options.get("layers", ())
    told = dict(chosen.options) | options
    variants = chosen.variants
    takes = inspect.signature(made_by).parameters
    if "running" in takes:
        told["running"] = Running(device, precision, compiled)
    elif precision != "float32":
        raise ConfigError(f"{encoder} computes in float32, not in {precision}.")
    if several:
        if "layers" not in takes:
            raise ConfigError(f"{encoder} has no layers to choose from. Leave --layers out.")
        told["layers"] = several
        if "layers" not in chosen.options:
            variants = (*variants, layers_variant(several))
    if alien := told.keys() - takes:
        raise ConfigError(f"{encoder} takes no {' and no '.join(sorted(alien))}.")
    made: Encoder = made_by(chosen.preset, **told)
    if variants:
        made.spec = replace(made.spec, preset=label(made.spec.preset, variants))
    return made


def preset_source(name: str, preset: str) -> Source:
    """Where the weights of an encoder's preset come from; ConfigError where there is no such preset."""
    encoder, choice = split_name(name)
    made_by = encoder_class(encoder)
    presets = presets_of(made_by)
    chosen = wanted(encoder, choice, preset, presets, getattr(made_by, "variants", {})).preset
    if chosen not in presets:
        raise ConfigError(f"{name} has no preset {chosen!r}. It has: {', '.join(presets)}.")
    source: Source = presets[chosen].source
    if stored_name(encoder).startswith("timm+"):
        from emo.extractors.hub import timm_repo

        return replace(source, repo=timm_repo(hub_name(stored_name(encoder)).partition(":")[2]))
    return source


def trained_on_aligned(encoder: Encoder) -> bool:
    """Whether an encoder's weights were trained on aligned faces; what stands in for them was not."""
    name = encoder.spec.encoder
    if name not in known_encoders():
        return False
    chosen = presets_of(encoder_class(name)).get(encoder.spec.preset.partition("+")[0])
    return chosen is not None and chosen.source.aligned


def weights_of(name: str, preset: str) -> tuple[str, str]:
    """The stored name and the preset whose folder holds the weights of an encoder, variants left out."""
    encoder, choice = split_name(name)
    made_by = encoder_class(encoder)
    variants = getattr(made_by, "variants", {})
    return stored_name(encoder), wanted(encoder, choice, preset, presets_of(made_by), variants).preset


def presets_of(made_by: type[Any]) -> Mapping[str, Any]:
    """The presets of an encoder class by name, of its family where it has one."""
    family = getattr(made_by, "family", made_by)
    found: Mapping[str, Any] = getattr(family, "presets", {})
    return found
