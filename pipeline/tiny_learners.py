"""Learners: a tiny encoder with the heads that teach it, and the loss on one random batch.

A head is linear on the very feature that `encode` will give, so what it learns to read is what a linear
reader of cached features can read. Heads are thrown away. Knows nothing of steps, files or schedules.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emo.corpora.rendered.tone import TONE_FIELDS
from emo.corpora.rendered.units import UNITS
from emo.extractors import eva, hubert, mae, videomae
from emo.pipeline.tiny_people import MOMENTS, Faces, Voices
from emo.pipeline.tiny_views import Patches, trained_on

NOISE = 0.2  # on patches that have unit variance
POSITION = 0.5  # standard deviation of fresh position embeddings, against patches of 1
NORM_EPS = 1e-6
PITCH_UNIT, VOICED = 2.0, 0.3  # semitones that count as 1; loudness from which a frame has a pitch
HISS = 0.002  # noise on waves
SCORED = 32  # waves in one pass when measuring


class Learner(Protocol):
    """What can be trained: `model` is kept, `heads` are thrown away."""

    model: nn.Module
    heads: nn.ModuleDict

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        """Scalar loss on `batch` random examples of the people that are trained on."""

    def scores(self) -> dict[str, float]:
        """R squared of the heads on the held-out people, mean over each group of targets."""


class VoiceLearner:
    """HuBERT: tone and speaker from the mean over time; loudness and pitch from each frame."""

    def __init__(self, voices: Voices) -> None:
        self._waves = voices.waves
        self._train = trained_on(len(voices.waves))
        tone = np.concatenate([voices.tone, voices.speaker], axis=1)
        self._tone = standard(torch.from_numpy(tone), self._train)
        self._loudness = torch.from_numpy(np.array(voices.loudness))
        self._pitch = torch.from_numpy(np.array(voices.pitch)) / PITCH_UNIT
        self.model = _without_dropout(hubert.build_tiny())
        dim = cast(int, hubert.TINY_CONFIG["hidden_size"])
        self.heads = nn.ModuleDict({"tone": nn.Linear(dim, tone.shape[1]), "frame": nn.Linear(dim, 2)})

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        """Squared error of tone and speaker, plus those of each frame's loudness and, where voiced, pitch."""
        rows = np.sort(rng.choice(self._train, batch, replace=False))
        waves = self._read(rows)
        frames = self._frames(waves + HISS * _noise(rng, waves.shape))
        tone = self.heads["tone"](frames.mean(dim=1)) - self._tone[rows]
        loudness, pitch = self.heads["frame"](frames).unbind(dim=-1)
        heard = self._loudness[rows][:, : frames.shape[1]]
        voiced = heard > VOICED
        off = functional.smooth_l1_loss(pitch[voiced], self._pitch[rows][:, : frames.shape[1]][voiced])
        loss: Tensor = tone.square().mean() + (loudness - heard).square().mean() + off
        return loss

    def scores(self) -> dict[str, float]:
        """R squared of each number of the tone, and of the vocal tract and the breath."""
        rows = np.arange(self._train, len(self._waves))
        parts = (rows[at : at + SCORED] for at in range(0, len(rows), SCORED))
        features = [self._frames(self._read(part)).mean(dim=1) for part in parts]
        found = r2(self.heads["tone"](torch.cat(features)), self._tone[rows])
        return dict(zip((*TONE_FIELDS, "tract", "breath"), found.tolist(), strict=True))

    def _read(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self._waves[rows].astype(np.float32))

    def _frames(self, waves: Tensor) -> Tensor:
        frames: Tensor = self.model(waves).last_hidden_state
        return frames


class FaceLearner:
    """MAE: action units and geometry of single faces."""

    def __init__(self, start: Patches) -> None:
        self._patches, self._targets, self._weights = start.values, start.targets, start.weights
        self._train = trained_on(start.values.shape[1])
        self.model = mae.build_tiny()
        projection: Any = self.model.patch_embed.proj  # type: ignore[union-attr]
        with torch.no_grad():
            projection.weight.copy_(start.weight)
            projection.bias.copy_(start.bias)
            nn.init.normal_(self.model.pos_embed, std=POSITION)  # type: ignore[arg-type]
        self.heads = nn.ModuleDict({"targets": nn.Linear(len(start.bias), len(start.weights))})

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        """Weighted squared error over `batch` faces of as many clips."""
        rows = some_rows((len(self._patches), self._train, MOMENTS), rng, batch)
        error = self._predict(blurred(self._patches[rows], rng)) - self._targets[rows]
        return (error.square() * self._weights).mean()

    def scores(self) -> dict[str, float]:
        """R squared of units and of geometry."""
        predicted = self._predict(self._patches[0, self._train :].flatten(0, 1).float())
        return by_group(r2(predicted, self._targets[0, self._train :].flatten(0, 1)))

    def _predict(self, patches: Tensor) -> Tensor:
        with without(self.model, "patch_embed"):
            predicted: Tensor = self.heads["targets"](mae.pool(self.model, patches, "mean"))
        return predicted


class FacesInTimeLearner:
    """VideoMAE: what each unit does in a clip (mean, peak, spread) and what it does in each tubelet."""

    def __init__(self, faces: Faces, start: Patches) -> None:
        self._patches = _pairs(start.values).flatten(2, 3)  # (V, N, tubelets * places, D)
        self._train = trained_on(len(faces.crops))
        self._weights = start.weights
        self._tubelets = _pairs(start.targets)
        self._clips = standard(_course(torch.from_numpy(np.array(faces.units))), self._train)
        self.model = videomae.build_tiny()
        embeddings: Any = self.model.embeddings
        with torch.no_grad():
            embeddings.patch_embeddings.projection.weight.copy_(start.weight[:, :, None] / 2)
            embeddings.patch_embeddings.projection.bias.copy_(start.bias)
        self.heads = nn.ModuleDict(
            {
                "clip": nn.Linear(len(start.bias), self._clips.shape[-1]),
                "tubelet": nn.Linear(len(start.bias), len(start.weights)),
            }
        )

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        """Squared error of what the whole clip shows, plus that of what each tubelet shows."""
        rows = some_rows((len(self._patches), self._train), rng, batch)
        tubelets = self._encode(blurred(self._patches[rows], rng))
        error = self.heads["tubelet"](tubelets) - self._tubelets[rows]
        clip = self.heads["clip"](tubelets.mean(dim=1)) - self._clips[rows[1]]
        loss: Tensor = clip.square().mean() + (error.square() * self._weights).mean()
        return loss

    def scores(self) -> dict[str, float]:
        """R squared of the units' mean, peak and spread over a clip, and of units and geometry in time."""
        tubelets = self._encode(self._patches[0, self._train :].float())
        clip = r2(self.heads["clip"](tubelets.mean(dim=1)), self._clips[self._train :])
        means = clip.reshape(3, -1).mean(dim=1).tolist()
        parts = dict(zip(("mean", "peak", "spread"), means, strict=True))
        seen = self.heads["tubelet"](tubelets).flatten(0, 1)
        return parts | by_group(r2(seen, self._tubelets[0, self._train :].flatten(0, 1)))

    def _encode(self, patches: Tensor) -> Tensor:
        with without(cast(Any, self.model).embeddings, "patch_embeddings"):
            return videomae.tubelet_means(self.model, patches, MOMENTS // 2)


class FrameLearner:
    """EVA: action units of the face in a whole frame, from the class token."""

    def __init__(self, start: Patches) -> None:
        self._patches, self._targets, self._weights = start.values, start.targets, start.weights
        self._train = trained_on(start.values.shape[1])
        self.model = eva.build_tiny()
        embeddings: Any = self.model.embeddings
        with torch.no_grad():
            embeddings.patch_embedding.weight.copy_(start.weight)
            embeddings.patch_embedding.bias.copy_(start.bias)
            nn.init.normal_(embeddings.position_embedding, std=POSITION)
            nn.init.normal_(embeddings.class_embedding, std=POSITION)
        self.heads = nn.ModuleDict({"targets": nn.Linear(len(start.bias), len(self._weights))})

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        """Weighted squared error over `batch` frames."""
        rows = some_rows((len(self._patches), self._train, self._patches.shape[2]), rng, batch)
        error = self._predict(blurred(self._patches[rows], rng)) - self._targets[rows]
        return (error.square() * self._weights).mean()

    def scores(self) -> dict[str, float]:
        """R squared of units and of geometry, frames as they are."""
        predicted = self._predict(self._patches[0, self._train :].flatten(0, 1).float())
        return by_group(r2(predicted, self._targets[0, self._train :].flatten(0, 1)))

    def _predict(self, patches: Tensor) -> Tensor:
        embeddings: Any = self.model.embeddings
        first = embeddings.class_embedding.expand(len(patches), -1, -1)
        tokens = torch.cat([first, patches], dim=1) + embeddings.position_embedding
        blocks = cast(Any, self.model).encoder(inputs_embeds=tokens).last_hidden_state
        predicted: Tensor = self.heads["targets"](
            eva.layer_norm(self.model, blocks, "trained", NORM_EPS)[:, 0]
        )
        return predicted


def _pairs(moments: Tensor) -> Tensor:
    """(V, N, M, ...) to (V, N, M / 2, ...): the mean of each two moments, as a tubelet sees them."""
    return (moments[:, :, 0::2] + moments[:, :, 1::2]) / 2


def _course(units: Tensor) -> Tensor:
    """(N, M, 17) to (N, 51): mean, peak and standard deviation of each unit over a clip."""
    return torch.cat([units.mean(dim=1), units.amax(dim=1), units.std(dim=1)], dim=-1)


def standard(values: Tensor, count: int) -> Tensor:
    """(..., K) at zero mean and unit variance over the first `count` rows."""
    flat = values[:count].reshape(-1, values.shape[-1])
    return (values - flat.mean(dim=0)) / (flat.std(dim=0) + 1e-6)


def r2(predicted: Tensor, truth: Tensor) -> Tensor:
    """R squared (K,) of predictions (N, K)."""
    return 1 - (predicted - truth).square().mean(dim=0) / (truth.var(dim=0) + 1e-6)


def by_group(scores: Tensor) -> dict[str, float]:
    """Mean R squared of the units and of the geometry behind them."""
    return {"units": float(scores[: len(UNITS)].mean()), "geometry": float(scores[len(UNITS) :].mean())}


@contextmanager
def without(parent: nn.Module, name: str) -> Iterator[None]:
    """`parent` with its part `name` passing through what it is given: patches in the place of pixels."""
    part = getattr(parent, name)
    setattr(parent, name, nn.Identity())
    try:
        yield
    finally:
        setattr(parent, name, part)


def some_rows(sizes: tuple[int, ...], rng: np.random.Generator, batch: int) -> tuple[NDArray[np.int64], ...]:
    """`batch` random index tuples into an array whose first axes are of `sizes`."""
    return tuple(rng.integers(0, size, batch) for size in sizes)


def blurred(patches: Tensor, rng: np.random.Generator) -> Tensor:
    """Patches with noise: what the detector's box, the light and the codec change."""
    return patches.float() + NOISE * _noise(rng, tuple(patches.shape))


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _without_dropout(model: nn.Module) -> nn.Module:
    """`model` with every dropout off: these models are small for their data."""
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return model
