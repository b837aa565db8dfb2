"""Encoders that nobody listed: `hf:owner/name` of the hub, by its own config.json, and `timm:name`.

Only classes of transformers and timm are run, never code that comes with weights, and only safetensors are
read. Knows model types, no weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from emo.errors import ConfigError
from emo.extractors import data2vec, hubert, macbert, roberta, transformer_stills, wav2vec2, wavlm
from emo.extractors.inference import timm_model
from emo.extractors.names import hub_name
from emo.extractors.sources import Source
from emo.extractors.speech import SpeechEncoder, SpeechFamily, SpeechPreset
from emo.extractors.stills import Shape, StillEncoder, StillFamily, StillPreset
from emo.extractors.text import TOKENIZER, TextEncoder, TextFamily, TextPreset
from emo.extractors.weights import Weights, read_json, weights_folder
from emo.extractors.whisper import Whisper, WhisperFamily, WhisperPreset
from emo.spec import Licence
from emo.views import FacesView

if TYPE_CHECKING:
    import torch
    from torch import nn

PRESET = "base"
UNKNOWN_SIDE = 224

SPEECH: dict[str, SpeechFamily] = {
    "hubert": hubert.FAMILY,
    "wavlm": wavlm.FAMILY,
    "wav2vec2": wav2vec2.FAMILY,
    "data2vec-audio": data2vec.FAMILY,
    "unispeech": replace(wav2vec2.FAMILY, model_class="UniSpeechModel"),
    "unispeech-sat": replace(wav2vec2.FAMILY, model_class="UniSpeechSatModel"),
}
TEXT: dict[str, TextFamily] = {
    "roberta": roberta.Roberta.family,
    "xlm-roberta": replace(roberta.Roberta.family, model_class="XLMRobertaModel"),
    "bert": macbert.MacBert.family,
}
KNOWN = (*SPEECH, "whisper", *transformer_stills.KINDS, *TEXT)


def hub_class(stored: str, weights: Path | None = None) -> type[Any]:
    """The encoder class for what is stored as `hf+owner+name` or `timm+name`.

    An `hf:` encoder is what the config.json in `weights` (its usual folder by default) says; before there is
    one it is a class that says how to fetch it. Raises ConfigError where the model is of no type that emo
    runs.
    """
    if stored.startswith("timm+"):
        return _made(StillEncoder, timm_family(stored, weights))
    folder = weights or weights_folder(stored, PRESET)
    config = read_json(folder / "config.json")
    if not config:
        presets = _presets(stored, TextPreset, also=(TOKENIZER,))
        return _made(Unfetched, TextFamily(name=stored, model_class="", presets=presets))
    kind = str(config.get("model_type"))
    if "auto_map" in config or kind not in KNOWN:
        own = " and brings code of its own" if "auto_map" in config else ""
        raise ConfigError(
            f"{hub_name(stored)} is of type {kind!r}{own}: emo runs no code from a repository and knows "
            f"{', '.join(KNOWN)}. Another package can register it under the entry point emo.encoders."
        )
    if kind in SPEECH:
        speech = replace(SPEECH[kind], name=stored, presets=_presets(stored, SpeechPreset))
        return _made(SpeechEncoder, speech)
    if kind == "whisper":
        return _made(Whisper, WhisperFamily(name=stored, presets=_presets(stored, WhisperPreset)))
    if kind in TEXT:
        presets = _presets(stored, TextPreset, also=(TOKENIZER,))
        return _made(TextEncoder, replace(TEXT[kind], name=stored, presets=presets))
    side = transformer_stills.side(kind, config, read_json(folder / "preprocessor_config.json"))
    presets = {PRESET: StillPreset(source=_source(stored), faces=_faces(side))}
    return _made(StillEncoder, transformer_stills.family(kind, stored, presets))


class Unfetched(TextEncoder):
    """A model of the hub that is not on this machine: making one raises CheckpointError with the command."""


def timm_family(stored: str, weights: Path | None) -> StillFamily:
    """timm's model of that name, on faces of its input size: class token where it pools by it, else the mean
    over the picture."""
    config = read_json((weights or weights_folder(stored, PRESET)) / "config.json")
    told = config.get("pretrained_cfg")
    trained = told if isinstance(told, Mapping) else {}
    _, side, _ = cast("list[int]", trained.get("input_size", [3, UNKNOWN_SIDE, UNKNOWN_SIDE]))
    licence = Licence(name=str(trained.get("license") or "unknown"), source=_source(stored).licence.source)
    source = replace(_source(stored), licence=licence)
    by_class = config.get("global_pool") == "token"
    preset = StillPreset(source=source, faces=_faces(side), pooling="class" if by_class else "mean")
    return StillFamily(
        name=stored,
        presets={PRESET: preset},
        shape=lambda found: Shape(dim=cast(int, found.get("num_features", 0)), depth=None),
        load=_load_timm,
        states=_timm_states,
        prefix=lambda model: int(getattr(cast(Any, model), "num_prefix_tokens", 0)),
    )


def timm_repo(name: str) -> str:
    """The hub's repository of a model of timm, of its usual weights where `name` says no tag.

    Raises ConfigError where timm has no such model.
    """
    import timm

    try:
        found = timm.models.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError:
        found = None
    if found is None or not found.hf_hub_id:
        raise ConfigError(f"timm has no pretrained model {name!r}. Known: timm.list_pretrained().")
    return str(found.hf_hub_id)


def _load_timm(found: Weights) -> nn.Module:
    assert found.folder is not None
    return timm_model(found.folder, found.config, lambda tensors, model: _renamed(tensors, model))


def _renamed(tensors: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """timm's own renaming where the family has one; its files on the hub rarely need it."""
    import sys

    rule = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    renamed: dict[str, torch.Tensor] = rule(tensors, model) if rule else tensors
    return renamed


def _timm_states(model: nn.Module, pixels: torch.Tensor, every: bool) -> Sequence[torch.Tensor]:
    """The last tokens (F, N, D); of models that give maps, the places of the map."""
    tokens = cast(Any, model).forward_features(pixels)
    if tokens.ndim == 4:
        channels_first = tokens.shape[1] == cast(Any, model).num_features
        tokens = tokens.flatten(2).transpose(1, 2) if channels_first else tokens.flatten(1, 2)
    return [tokens]


def _made(encoder: type[Any], family: Any) -> type[Any]:
    return type(encoder.__name__, (encoder,), {"family": family, "__doc__": encoder.__doc__})


def _presets(stored: str, preset: type[Any], also: tuple[str, ...] = ()) -> dict[str, Any]:
    return {PRESET: preset(source=replace(_source(stored), also=also))}


def _source(stored: str) -> Source:
    """Its licence is what the hub says when it is fetched; this says where to look."""
    name = hub_name(stored).partition(":")[2]
    repo = name if stored.startswith("hf+") else f"timm/{name}"
    return Source(repo=repo, licence=Licence(name="unknown", source=f"https://huggingface.co/{repo}"))


def _faces(side: int) -> FacesView:
    return FacesView(sampling="uniform:16", size=side, box="tracked", margin=0.1, detect=4)
