"""HuBERT: sound to frame-level (T, D) and utterance-level (D,) features.

Source: Hsu et al. 2021, arXiv 2106.07447. The `paper` preset is Emotion-LLaMA's audio encoder (arXiv
2406.11161): chinese-hubert-large, last layer, mean over time. Knows audio views, no files, no store.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.extractors import tiny
from emo.extractors.inference import FrozenModel, pretrained, to_numpy
from emo.extractors.sources import TINY, Source
from emo.extractors.weights import choose, find_weights
from emo.records import Array
from emo.spec import ArrayLayout, FeatureSpec, Licence
from emo.views import AudioView, Views

if TYPE_CHECKING:
    from torch import nn

RECIPE_VERSION = 1
MOST_PADDING = 1.1  # a batch's longest clip over its shortest
LONGEST_S = 60  # attention costs the square of the length: longer sounds are heard in pieces
MOST_SAMPLES = LONGEST_S * 16_000  # samples in a batch: what a small GPU holds

# The class of `paper` (layer norms, stable), small: 4 heads over 3 layers, and three convolutions of long
# stride (50 frames a second, as in the original) in the place of seven, which cost most of the time.
TINY_CONFIG: dict[str, Json] = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "conv_dim": [64, 64, 64],
    "conv_stride": [20, 8, 2],
    "conv_kernel": [40, 8, 4],
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 4,
    "mask_time_prob": 0.0,
    "layerdrop": 0.0,
    "vocab_size": 32,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class HubertPreset:
    """Weights and what the sound goes through before them.

    `normalise` None follows the weights' own `preprocessor_config.json`.
    """

    source: Source
    layer: int = -1
    normalise: bool | None = None


PRESETS: dict[str, HubertPreset] = {
    "paper": HubertPreset(
        source=Source(
            repo="TencentGameMate/chinese-hubert-large",
            licence=Licence(name="MIT", source="https://huggingface.co/TencentGameMate/chinese-hubert-large"),
            paper="arXiv 2406.11161 (audio encoder of Emotion-LLaMA)",
        )
    ),
    "base": HubertPreset(
        source=Source(
            repo="TencentGameMate/chinese-hubert-base",
            revision="9c04217413493a0d4aa884feafd3175f9867ef6b",
            licence=Licence(name="MIT", source="https://huggingface.co/TencentGameMate/chinese-hubert-base"),
            paper="arXiv 2106.07447",
        )
    ),
    "tiny": HubertPreset(source=TINY, normalise=False),  # level is a cue it was trained on
}


def build_tiny() -> nn.Module:
    """The tiny preset's HubertModel with fresh weights."""
    from transformers import HubertConfig, HubertModel

    model: nn.Module = HubertModel(HubertConfig(**TINY_CONFIG))
    return model


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one feature frame sees: the shortest sound that gives a frame."""
    field, jump = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * jump
        jump *= stride
    return field


def frame_count(samples: int, kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Feature frames of a sound of `samples` samples."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def zero_mean_unit_variance(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """(x - mean) / sqrt(var + 1e-7) over the whole clip, as Wav2Vec2FeatureExtractor does."""
    return cast(
        "NDArray[np.float32]", ((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)).astype(np.float32)
    )


class Hubert:
    """Audio (S,) at 16 kHz to `frames` (T, D), 50 a second, and `utterance` (D,), their mean.

    Sounds shorter than the receptive field are padded with zeros up to it; those longer than a minute are
    heard minute by minute, frame for frame in step with the whole. Clips share a batch only where the
    convolutions normalise each frame alone (`feat_extract_norm` "layer"); group normalisation would mix
    padding into every frame. Making one raises CheckpointError where weights are missing.
    """

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        layer: int | None = None,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        choose("hubert", PRESETS, preset)
        chosen = PRESETS[preset]
        found = find_weights("hubert", preset, chosen.source, weights)
        self._kernels = cast("list[int]", found.config["conv_kernel"])
        self._strides = cast("list[int]", found.config["conv_stride"])
        self._maskable = found.config["feat_extract_norm"] == "layer"
        self._shortest = receptive_field(self._kernels, self._strides)
        self._hop = math.prod(self._strides)
        self._layer = chosen.layer if layer is None else layer
        told = found.preprocessor.get("do_normalize", True)
        self._normalise = bool(told) if chosen.normalise is None else chosen.normalise
        self._view = AudioView(rate=16_000)
        self._model = FrozenModel(
            lambda: _load(found.folder), device=device, precision=precision, small=found.folder is None
        )
        self.needs = frozenset({self._view})
        self.spec = FeatureSpec(
            encoder="hubert",
            weights=found.digests,
            recipe=self._recipe(),
            recipe_version=RECIPE_VERSION,
            arrays=_arrays(found.config),
            precision=precision,
            preset=found.preset,
            licence=found.licence,
        )

    def _recipe(self) -> dict[str, Json]:
        return {
            "layer": self._layer,
            "normalise": self._normalise,
            "rate": self._view.rate,
            "resampler": "soxr HQ",
            "hop": self._hop,
            "shortest": self._shortest,
            "longest_seconds": LONGEST_S,
            "utterance": "mean over frames",
        }

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (T, D) and `utterance` (D,) of each clip, float32."""
        pieces = [self._pieces(self._prepare(views[self._view].array)) for views in batch]
        flat = [piece for clip in pieces for piece in clip]
        heard: dict[int, NDArray[np.float32]] = {}
        for rows in self._batches([len(piece) for piece in flat]):
            heard |= zip(rows, self._run([flat[row] for row in rows]), strict=True)
        in_order = iter(heard[row] for row in range(len(flat)))
        results: list[dict[str, Array]] = []
        for clip in pieces:
            frames = np.concatenate([next(in_order) for _ in clip])
            results.append({"frames": frames, "utterance": frames.mean(axis=0, dtype=np.float32)})
        return results

    def times(self, views: Views) -> dict[str, Json]:
        """The middles of what the frames hear."""
        rate = self._view.rate
        return {"frames": {"t0": self._shortest / 2 / rate, "dt": self._hop / rate}}

    def _pieces(self, sound: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The sound in pieces of at most LONGEST_S whose frames, one after the other, are its frames."""
        frames = frame_count(len(sound), self._kernels, self._strides)
        most = LONGEST_S * self._view.rate // self._hop
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

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Rows that run together: of nearly one length, and not more than the memory holds."""
        rows: list[int] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):
            longest = lengths[row]
            fits = rows and longest <= MOST_PADDING * lengths[rows[0]]
            if rows and not (self._maskable and fits and longest * (len(rows) + 1) <= MOST_SAMPLES):
                yield rows
                rows = []
            rows.append(row)
        if rows:
            yield rows

    def _run(self, sounds: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        longest = max(len(sound) for sound in sounds)
        values = np.stack([np.pad(sound, (0, longest - len(sound))) for sound in sounds])
        mask = None
        with self._model.running() as model:
            if any(len(sound) != longest for sound in sounds):
                valid = np.arange(longest) < np.array([[len(sound)] for sound in sounds])
                mask = self._model.tensor(valid.astype(np.int64))
            output = model(
                self._model.tensor(values), attention_mask=mask, output_hidden_states=self._layer != -1
            )
            states = output.last_hidden_state if self._layer == -1 else output.hidden_states[self._layer]
            states = to_numpy(states)
        counts = [frame_count(len(sound), self._kernels, self._strides) for sound in sounds]
        return [row[:count] for row, count in zip(states, counts, strict=True)]


def _arrays(config: Mapping[str, Json]) -> dict[str, ArrayLayout]:
    dim = cast(int, config["hidden_size"])
    return {
        "frames": ArrayLayout(kind="frames", dim=dim),
        "utterance": ArrayLayout(kind="utterance", dim=dim),
    }


def _load(folder: os.PathLike[str] | None) -> nn.Module:
    if folder is None:
        return tiny.load("hubert", build_tiny())
    from transformers import HubertModel

    return pretrained(HubertModel, os.fspath(folder), optional=frozenset({"masked_spec_embed"}))
