"""Whisper's encoder: sound to frame-level (T, D), 50 a second, and utterance-level (D,) features.

Source: Radford et al. 2022, arXiv 2212.04356. It hears windows of 30 seconds, the last filled up with
silence; frames of that silence are cut off. Knows audio views, no files, no store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.extractors import layers as hidden
from emo.extractors.inference import FrozenModel, pretrained, to_numpy
from emo.extractors.random_weights import fill, random_source
from emo.extractors.running import USUAL, Running
from emo.extractors.sources import Source
from emo.extractors.weights import Weights, choose, find_weights
from emo.records import Array
from emo.spec import FeatureSpec, Licence
from emo.views import AudioView, Views

if TYPE_CHECKING:
    from torch import nn

RECIPE_VERSION = 1
MOST_WINDOWS = 8  # in one forward pass
FFT, HOP = 400, 160  # samples of a window of the spectrogram and between two
FRAME = 2 * HOP  # samples of a feature frame: the second convolution takes every other
LOUDEST_ABOVE_FLOOR = 8.0  # decades that are kept of a window's spectrogram

TINY_CONFIG: dict[str, Json] = {
    "d_model": 64,
    "encoder_layers": 3,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_layers": 1,
    "decoder_attention_heads": 1,
    "decoder_ffn_dim": 8,
    "num_mel_bins": 80,
    "max_source_positions": 100,
    "max_target_positions": 4,
    "vocab_size": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class WhisperPreset:
    """Weights."""

    source: Source


def _preset(size: str) -> WhisperPreset:
    repo = f"openai/whisper-{size}"
    return WhisperPreset(
        source=Source(
            repo=repo,
            licence=Licence(name="Apache-2.0", source=f"https://huggingface.co/{repo}"),
            paper="arXiv 2212.04356",
        )
    )


PRESETS: dict[str, WhisperPreset] = {
    "base": _preset("base"),
    "large": _preset("large-v3"),
    "tiny": WhisperPreset(source=random_source(TINY_CONFIG)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class WhisperFamily:
    """A name and its presets."""

    name: str
    presets: Mapping[str, WhisperPreset]


def log_mel(sound: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    """A window's sound (S,) as Whisper's log-mel spectrogram (bands, S / 160), as WhisperFeatureExtractor
    makes it with NumPy."""
    from transformers.audio_utils import spectrogram, window_function

    power = spectrogram(
        sound,
        window_function(FFT, "hann"),
        frame_length=FFT,
        hop_length=HOP,
        power=2.0,
        mel_filters=_filters(bands),
        log_mel="log10",
    )[:, :-1]
    floored = np.maximum(power, power.max() - LOUDEST_ABOVE_FLOOR)
    return cast("NDArray[np.float32]", ((floored + 4.0) / 4.0).astype(np.float32))


@cache
def _filters(bands: int) -> NDArray[np.float64]:
    from transformers.audio_utils import mel_filter_bank

    bank: NDArray[np.float64] = mel_filter_bank(
        num_frequency_bins=1 + FFT // 2,
        num_mel_filters=bands,
        min_frequency=0.0,
        max_frequency=8000.0,
        sampling_rate=16_000,
        norm="slaney",
        mel_scale="slaney",
    )
    return bank


class Whisper:
    """Audio (S,) at 16 kHz to `frames` (T, D), 50 a second, and `utterance` (D,), their mean.

    T is the sound's own length in frames, rounded up. `layers` gives one feature a layer, as `frames@6`.
    Making one raises CheckpointError where weights are missing.
    """

    family: ClassVar[WhisperFamily] = WhisperFamily(name="whisper", presets=PRESETS)
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        layers: Sequence[int] = (),
        running: Running = USUAL,
    ) -> None:
        name = self.family.name
        choose(name, self.family.presets, preset)
        found = find_weights(name, preset, self.family.presets[preset].source, weights)
        depth = cast(int, found.config["encoder_layers"])
        self._bands = cast(int, found.config["num_mel_bins"])
        self._window = FRAME * cast(int, found.config["max_source_positions"])
        self._parts = hidden.several(layers, depth, name) if layers else hidden.last(-1)
        self._view = AudioView(rate=16_000)
        self._model = FrozenModel(lambda: _load(found), running, small=found.folder is None)
        self.needs = frozenset({self._view})
        self.spec = FeatureSpec(
            encoder=name,
            weights=found.digests,
            recipe={
                "layers": list(layers) if layers else "last",
                "rate": self._view.rate,
                "resampler": "soxr HQ",
                "mel_bands": self._bands,
                "window_seconds": self._window / self._view.rate,
                "frames": "of the sound's own length, rounded up",
                "utterance": "mean over frames",
            },
            recipe_version=RECIPE_VERSION,
            arrays=hidden.frame_layouts(cast(int, found.config["d_model"]), self._parts),
            precision=running.precision,
            preset=found.preset,
            licence=found.licence,
        )

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (T, D) and `utterance` (D,) of each clip and layer, float32."""
        sounds = [views[self._view].array for views in batch]
        windows = [
            sound[at : at + self._window] for sound in sounds for at in range(0, len(sound), self._window)
        ]
        heard = iter(self._run(windows))
        results: list[dict[str, Array]] = []
        for sound in sounds:
            found = [next(heard) for _ in range(0, len(sound), self._window)]
            features = [np.concatenate(part) for part in zip(*found, strict=True)]
            results.append(hidden.with_means(features, self._parts))
        return results

    def times(self, views: Views) -> dict[str, Json]:
        """The middles of the frames."""
        step = FRAME / self._view.rate
        return {f"frames{ending}": {"t0": step / 2, "dt": step} for ending in self._parts}

    def _run(self, windows: list[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
        """The states of each part, (T, D), of each window."""
        results: list[list[NDArray[np.float32]]] = []
        with self._model.running() as model:
            for at in range(0, len(windows), MOST_WINDOWS):
                some = windows[at : at + MOST_WINDOWS]
                mels = [log_mel(np.pad(one, (0, self._window - len(one))), self._bands) for one in some]
                states = self._states(model, np.stack(mels))
                for row, one in enumerate(some):
                    count = -(-len(one) // FRAME)
                    results.append([part[row, :count] for part in states])
        return results

    def _states(self, model: Any, mels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        several = "" not in self._parts
        output = model(self._model.tensor(mels), output_hidden_states=several)
        before = output.hidden_states[:-1] if several else ()
        return [to_numpy(part) for part in hidden.picked([*before, output.last_hidden_state], self._parts)]


def _load(found: Weights) -> nn.Module:
    from transformers import WhisperConfig, WhisperModel

    if found.folder is None:
        whole: Any = fill(WhisperModel(WhisperConfig(**found.config)))
    else:
        whole = pretrained(WhisperModel, os.fspath(found.folder))
    encoder: nn.Module = whole.encoder
    return encoder
