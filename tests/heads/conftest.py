"""Spaces in memory, and clips whose label is split between two features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from emo.clip import Clip
from emo.config.heads import HeadConfig
from emo.heads.batches import FeatureBatch
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

LABELS = ("neutral", "angry", "happy", "sad")
CONFIG = HeadConfig(epochs=25, patience=8, arrays={}, options={"width": 16, "dropout": 0.1})


def make_spec(encoder: str, dim: int, kind: str = "frames", **changes: object) -> FeatureSpec:
    arrays = {"utterance": ArrayLayout(kind="utterance", dim=dim), kind: ArrayLayout(kind=kind, dim=dim)}
    if kind == "tokens":
        arrays = {"tokens": ArrayLayout(kind="tokens", dim=dim, tokens=5)}
    fields = {"weights": {"model": "0" * 64}, "recipe": {"layer": -1}, "recipe_version": 1, "arrays": arrays}
    return FeatureSpec(encoder=encoder, **{**fields, **changes})


@dataclass
class MemorySpace:
    """Records in memory, behind the reading half of a cache's space."""

    spec: FeatureSpec
    records: dict[str, Record] = field(default_factory=dict)

    def info(self, clip_id: str) -> Record | None:
        return self.records.get(clip_id)

    def read_many(self, clip_ids: Sequence[str], array: str) -> list[np.ndarray]:
        return [self.records[clip_id].arrays[array] for clip_id in clip_ids]


def make_spaces(clips: Sequence[Clip], seed: int = 0, noise: float = 0.6) -> dict[str, MemorySpace]:
    """`face` tells the first two labels from the last two, `voice` the even from the odd."""
    rng = np.random.default_rng(seed)
    spaces = {name: MemorySpace(make_spec(name, 6)) for name in ("face", "voice")}
    for clip in clips:
        code = LABELS.index(clip.label)
        for name, sign in (("face", code // 2), ("voice", code % 2)):
            frames = rng.normal(size=(rng.integers(3, 9), 6)).astype(np.float16)
            utterance = (rng.normal(size=6) * noise).astype(np.float32)
            utterance[0] += 2 * sign - 1
            arrays = {"utterance": utterance, "frames": frames}
            spaces[name].records[clip.clip_id] = Record(clip_id=clip.clip_id, arrays=arrays)
    return spaces


def make_clips(count: int, speakers: int = 12, **fields: object) -> list[Clip]:
    rng = np.random.default_rng(7)
    return [
        Clip(
            clip_id=f"clip{index:03d}",
            path=f"clip{index:03d}.mp4",
            label=LABELS[int(rng.integers(4))],
            speaker=f"s{index % speakers}",
            **fields,
        )
        for index in range(count)
    ]


def make_batch(count: int, dims: Mapping[str, int], seed: int = 0, absent: float = 0.0) -> FeatureBatch:
    rng = np.random.default_rng(seed)
    return FeatureBatch(
        tuple(f"clip{index}" for index in range(count)),
        {
            name: torch.tensor(rng.normal(size=(count, dim)), dtype=torch.float32)
            for name, dim in dims.items()
        },
        {name: torch.tensor(rng.random(count) >= absent) for name in dims},
    )


@dataclass(frozen=True)
class Kit:
    """What the tests of this folder make their cases of."""

    labels: tuple[str, ...] = LABELS
    spec = staticmethod(make_spec)
    space = MemorySpace
    spaces = staticmethod(make_spaces)
    clips = staticmethod(make_clips)
    batch = staticmethod(make_batch)
    config: HeadConfig = CONFIG


@pytest.fixture
def kit() -> Kit:
    return Kit()
