"""Encoders of raw sound with a convolutional front and a transformer behind it: what HuBERT, WavLM, wav2vec
2.0 and data2vec-audio share. Each of them is a SpeechFamily in a file of its own.

Knows audio views, no files, no store.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.errors import ConfigError
from emo.extractors import layers as hidden
from emo.extractors import tiny, waveform
from emo.extractors.inference import FrozenModel, pretrained, to_numpy
from emo.extractors.random_weights import fill
from emo.extractors.running import USUAL, Running
from emo.extractors.sources import Source
from emo.extractors.waveform import frame_count, receptive_field, zero_mean_unit_variance
from emo.extractors.weights import Weights, choose, find_weights
from emo.records import Array
from emo.spec import FeatureSpec
from emo.views import AudioView, Views

if TYPE_CHECKING:
    from torch import nn

RECIPE_VERSION = 2
SUMMED = 4  # of MERBench
PIECE_S = 10
MERTOOLS = (
    "https://github.com/zeroQiaoba/MERTools/blob/master/MERBench/feature_extraction/audio/"
    "extract_audio_huggingface.py"
)
VARIANTS: dict[str, Mapping[str, Any]] = {"merbench": {"merbench": True}}


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechPreset:
    """Weights and what the sound goes through before them.

    `normalise` None follows the weights' own `preprocessor_config.json`.
    """

    source: Source
    layer: int = -1
    normalise: bool | None = None


def layer_normed(config: Mapping[str, Json]) -> bool:
    """Whether the convolutions normalise each frame alone; group norms would mix padding into every frame."""
    return config.get("feat_extract_norm") == "layer"


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechFamily:
    """A class of transformers and its presets.

    `may_pad` says of a config whether clips of different length may share a batch; `attention` is how the
    class attends.
    """

    name: str
    model_class: str
    presets: Mapping[str, SpeechPreset]
    may_pad: Callable[[Mapping[str, Json]], bool] = layer_normed
    attention: str = "sdpa"
    optional: frozenset[str] = field(default=frozenset({"masked_spec_embed"}))


class SpeechEncoder:
    """Audio (S,) at 16 kHz to `frames` (T, D), 50 a second, and `utterance` (D,), their mean.

    Sounds shorter than the receptive field are padded with zeros up to it; those longer than a minute are
    heard minute by minute, frame for frame in step with the whole. `layers` gives one feature a layer, as
    `frames@6`; `merbench` the sum of the last four states over pieces of ten seconds, the last padded with
    zeros whose frames are kept, as MERTools does. Making one raises CheckpointError where weights are
    missing, ConfigError for layers that the model has not.
    """

    family: ClassVar[SpeechFamily]
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        layer: int | None = None,
        layers: Sequence[int] = (),
        merbench: bool = False,
        running: Running = USUAL,
    ) -> None:
        family = self.family
        choose(family.name, family.presets, preset)
        chosen = family.presets[preset]
        found = find_weights(family.name, preset, chosen.source, weights)
        self._kernels = cast("list[int]", found.config["conv_kernel"])
        self._strides = cast("list[int]", found.config["conv_stride"])
        self._may_pad = family.may_pad(found.config)
        self._shortest = receptive_field(self._kernels, self._strides)
        self._hop = math.prod(self._strides)
        depth = cast(int, found.config["num_hidden_layers"])
        self._layer = chosen.layer if layer is None or layer == depth else layer
        self._merbench = merbench
        self._parts = self._chosen(depth, layers)
        self._only_last = dict(self._parts) == hidden.last(depth)
        told = found.preprocessor.get("do_normalize", True)
        self._normalise = bool(told) if chosen.normalise is None else chosen.normalise
        self._view = AudioView(rate=16_000)
        self._model = FrozenModel(lambda: load(family, found), running, small=found.folder is None)
        self.needs = frozenset({self._view})
        self.spec = FeatureSpec(
            encoder=family.name,
            weights=found.digests,
            recipe=self._recipe(),
            recipe_version=RECIPE_VERSION,
            arrays=hidden.frame_layouts(cast(int, found.config["hidden_size"]), self._parts),
            precision=running.precision,
            preset=found.preset,
            licence=found.licence,
        )

    def _chosen(self, depth: int, layers: Sequence[int]) -> hidden.Parts:
        if self._merbench and layers:
            raise ConfigError("merbench sums its own layers: ask for it or for layers, not for both.")
        if self._merbench:
            return {"": tuple(range(max(0, depth + 1 - SUMMED), depth + 1))}
        if layers:
            return hidden.several(layers, depth, self.family.name)
        if not -depth - 1 <= self._layer <= depth:
            raise ConfigError(f"{self.family.name} has the layers 0 to {depth}, not {self._layer}.")
        return {"": (self._layer % (depth + 1),)}

    def _recipe(self) -> dict[str, Json]:
        recipe: dict[str, Json] = {
            "layer": self._layer,
            "normalise": self._normalise,
            "rate": self._view.rate,
            "resampler": "soxr HQ",
            "hop": self._hop,
            "shortest": self._shortest,
            "longest_seconds": waveform.LONGEST_S,
            "utterance": "mean over frames",
        }
        if self._merbench:
            del recipe["longest_seconds"]
            recipe |= {
                "layer": f"sum of the last {SUMMED}",
                "pieces": f"{PIECE_S} s, the last padded with zeros whose frames are kept",
                "source": MERTOOLS,
            }
        elif "" not in self._parts:
            del recipe["layer"]
            recipe["layers"] = [layer for (layer,) in self._parts.values()]
        return recipe

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (T, D) and `utterance` (D,) of each clip and layer, float32."""
        pieces = [self._pieces(self._prepare(views[self._view].array)) for views in batch]
        flat = [piece for clip in pieces for piece in clip]
        heard: dict[int, list[NDArray[np.float32]]] = {}
        for rows in waveform.buckets([len(piece) for piece in flat], padded=self._may_pad):
            heard |= zip(rows, self._run([flat[row] for row in rows]), strict=True)
        in_order = iter(heard[row] for row in range(len(flat)))
        results: list[dict[str, Array]] = []
        for clip in pieces:
            found = [next(in_order) for _ in clip]
            features = [np.concatenate(part) for part in zip(*found, strict=True)]
            results.append(hidden.with_means(features, self._parts))
        return results

    def times(self, views: Views) -> dict[str, Json]:
        """The middles of what the frames hear."""
        rate = self._view.rate
        first, step = self._shortest / 2 / rate, self._hop / rate
        law: dict[str, Json] = {"t0": first, "dt": step}
        samples = len(views[self._view].array)
        if self._merbench and samples > PIECE_S * rate:
            count = frame_count(PIECE_S * rate, self._kernels, self._strides)
            starts = range(0, samples, PIECE_S * rate)
            law = {"times": [at / rate + first + step * frame for at in starts for frame in range(count)]}
        return {f"frames{ending}": law for ending in self._parts}

    def _pieces(self, sound: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The sound in pieces whose frames, one after the other, are its frames."""
        if self._merbench:
            return _padded_pieces(sound, PIECE_S * self._view.rate)
        frames = frame_count(len(sound), self._kernels, self._strides)
        most = waveform.LONGEST_S * self._view.rate // self._hop
        if frames <= most:
            return [sound]
        starts = range(0, frames, most)
        return [
            sound[at * self._hop : (min(at + most, frames) - 1) * self._hop + self._shortest] for at in starts
        ]

    def _prepare(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._normalise:
            sound = zero_mean_unit_variance(sound)
        return np.pad(sound, (0, max(0, self._shortest - len(sound))))

    def _run(self, sounds: list[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
        """The states of each part, (T, D), of each sound."""
        longest = max(len(sound) for sound in sounds)
        values = np.stack([np.pad(sound, (0, longest - len(sound))) for sound in sounds])
        mask = None
        with self._model.running() as model:
            if any(len(sound) != longest for sound in sounds):
                valid = np.arange(longest) < np.array([[len(sound)] for sound in sounds])
                mask = self._model.tensor(valid.astype(np.int64))
            output = model(
                self._model.tensor(values), attention_mask=mask, output_hidden_states=not self._only_last
            )
            # The tuple of states ends before the final norm of stable models; the last state is behind it.
            before = () if self._only_last else output.hidden_states[:-1]
            parts = {"": (0,)} if self._only_last else self._parts
            states = [to_numpy(part) for part in hidden.picked([*before, output.last_hidden_state], parts)]
        counts = [frame_count(len(sound), self._kernels, self._strides) for sound in sounds]
        return [[part[row, :count] for part in states] for row, count in enumerate(counts)]


def _padded_pieces(sound: NDArray[np.float32], length: int) -> list[NDArray[np.float32]]:
    if len(sound) <= length:
        return [sound]
    padded = np.pad(sound, (0, -len(sound) % length))
    return list(padded.reshape(-1, length))


def fresh(family: SpeechFamily, config: Mapping[str, Json]) -> nn.Module:
    """A model of the family's class and `config` with fresh weights."""
    import transformers

    model_class = getattr(transformers, family.model_class)
    settings = model_class.config_class(**config)
    settings._attn_implementation = family.attention
    model: nn.Module = model_class(settings)
    return model


def load(family: SpeechFamily, found: Weights) -> nn.Module:
    """The family's model with the weights that were found."""
    if found.folder is None:
        model = fresh(family, found.config)
        random = found.preset.endswith("-random")
        return fill(model) if random else tiny.load(family.name, model)
    import transformers

    model_class = getattr(transformers, family.model_class)
    return pretrained(
        model_class, os.fspath(found.folder), optional=family.optional, attention=family.attention
    )
