"""An epoch of a head on the cache against the same head on npy files, and how long each head trains.

    python benchmarks/heads.py --json

Three utterance features of 1024 numbers a clip, the attention head, the same weights and batches on every
side. The npy sides are a file a clip and a feature, as MERTools keeps them, and a DataLoader whose items are
stacked and made into tensors by its collater: `per item` loads files when an item is asked for, `held` is
MERBench's own way, all files read before the first epoch. `+ reading` counts that reading, for the cache too.
Then an epoch of every head on four features: 100 times that is the longest training there is by default.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cache_world.paired import Hold, options_of, quartiles, report, timed_rounds
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from emo.cache import FeatureCache, open_cache
from emo.config.heads import HeadConfig
from emo.heads.batches import FeatureBatch
from emo.heads.loader import load_features
from emo.heads.models import HEADS, make_head
from emo.heads.training import train_head
from emo.labels import MER2023
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

BATCH, DIM, FRAMES = 32, 1024, 16
NAMES = ("audio", "text", "video")
WIDE = {"hubert": 1024, "mae": 2048, "videomae": 2048, "eva": 2816}  # as the heads read them by default
LONG = {"hubert": 1024, "mae": 1024, "videomae": 1024, "eva": 2816}
HOLDS = {"npy per item / cache held": Hold(at_least=1), "npy + reading / cache + reading": Hold(at_least=1)}


@dataclass(frozen=True, slots=True)
class World:
    """The same features twice: in a cache, and as npy files; and the label of each clip."""

    cache: FeatureCache
    files: Path
    ids: list[str]
    targets: Tensor

    def read(self) -> FeatureBatch:
        """All features from the cache."""
        return load_features({name: self.cache[name] for name in NAMES}, self.ids, {})


class NpyClips(Dataset[Any]):
    """One file a clip and a feature; `held` keeps what was read before, as MERBench does."""

    def __init__(self, world: World, *, held: bool) -> None:
        self._world = world
        self._held = [self._load(row) for row in range(len(world.ids))] if held else None

    def __len__(self) -> int:
        return len(self._world.ids)

    def __getitem__(self, row: int) -> tuple[dict[str, NDArray[Any]], int]:
        values = self._load(row) if self._held is None else self._held[row]
        return values, int(self._world.targets[row])

    def _load(self, row: int) -> dict[str, NDArray[Any]]:
        return {name: np.load(self._world.files / name / f"{self._world.ids[row]}.npy") for name in NAMES}


def collater(items: list[tuple[dict[str, NDArray[Any]], int]]) -> tuple[FeatureBatch, Tensor]:
    """Items stacked by numpy, then made into tensors."""
    values = {name: torch.FloatTensor(np.array([item[0][name] for item in items])) for name in NAMES}
    there = torch.ones(len(items), dtype=torch.bool)
    ids = tuple(map(str, range(len(items))))
    return FeatureBatch(ids, values, dict.fromkeys(NAMES, there)), torch.LongTensor([one for _, one in items])


def make_world(folder: Path, clips: int, seed: int) -> World:
    """Random features."""
    rng = np.random.default_rng(seed)
    ids = [f"clip{number:05d}" for number in range(clips)]
    cache = open_cache(folder / "cache.zarr", "a")
    for name in NAMES:
        layout = {"utterance": ArrayLayout(kind="utterance", dim=DIM)}
        spec = FeatureSpec(encoder=name, weights={}, recipe={}, recipe_version=1, arrays=layout)
        (folder / name).mkdir()
        with cache.create(spec).writer("none") as writer:
            for clip_id in ids:
                value = rng.normal(size=DIM).astype(np.float32)
                np.save(folder / name / f"{clip_id}.npy", value)
                writer.put(Record(clip_id=clip_id, arrays={"utterance": value}))
    targets = torch.from_numpy(rng.integers(0, len(MER2023), clips))
    return World(open_cache(folder / "cache.zarr"), folder, ids, targets)


def from_memory(
    batch: FeatureBatch, targets: Tensor, order: list[int]
) -> Iterator[tuple[FeatureBatch, Tensor]]:
    """The cache's side: rows of what was read once."""
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        yield batch.take(rows), targets[rows]


def epoch(batches: Iterable[tuple[FeatureBatch, Tensor]], seed: int) -> float:
    """One epoch of a fresh attention head; its mean loss."""
    iterator = iter(batches)  # a DataLoader draws from the global generator here
    torch.manual_seed(seed)
    head = make_head("attention", dict.fromkeys(NAMES, DIM), len(MER2023))
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3)
    losses = []
    for batch, targets in iterator:
        loss = nn.functional.cross_entropy(head(batch), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def sides(world: World, seed: int, losses: dict[str, list[float]]) -> Callable[[int], dict[str, Any]]:
    """Every side's epoch in the order of its round; losses are kept by side."""
    batch, held = world.read(), NpyClips(world, held=True)

    def loader(clips: NpyClips, order: list[int]) -> Iterable[tuple[FeatureBatch, Tensor]]:
        return DataLoader(clips, BATCH, sampler=order, collate_fn=collater)

    def of_round(number: int) -> dict[str, Any]:
        order = np.random.default_rng([seed, number]).permutation(len(world.ids)).tolist()
        made: dict[str, Callable[[], Iterable[tuple[FeatureBatch, Tensor]]]] = {
            "cache held": lambda: from_memory(batch, world.targets, order),
            "cache + reading": lambda: from_memory(world.read(), world.targets, order),
            "npy per item": lambda: loader(NpyClips(world, held=False), order),
            "npy held": lambda: loader(held, order),
            "npy + reading": lambda: loader(NpyClips(world, held=True), order),
        }

        def side(name: str) -> Callable[[], None]:
            def run() -> None:
                losses.setdefault(name, []).append(round(epoch(made[name](), number), 5))

            return run

        return {name: side(name) for name in made}

    return of_round


def trainings(clips: int, seed: int) -> dict[str, dict[str, float]]:
    """An epoch of every head on `clips` training clips and a fifth of that for validation."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, entry in HEADS.items():
        dims = LONG if entry.reads == "frames" else WIDE
        train, val = (made_batch(count, dims, entry.reads, generator) for count in (clips, clips // 5))
        labels = [[MER2023[row % 6] for row in range(len(part))] for part in (train, val)]
        config = HeadConfig(head=name, epochs=1, seed=seed)
        wall, cpu = time.perf_counter(), time.process_time()
        trained = train_head(train, labels[0], val, labels[1], MER2023, config)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found[name] = {
            "parameters": sum(one.numel() for one in trained.model.parameters()),
            "wall_s_an_epoch": round(wall, 2),
            "cpu_s_an_epoch": round(cpu, 2),
            "cpu_minutes_of_100_epochs": round(cpu * 100 / 60, 1),
        }
    return found


def made_batch(count: int, dims: dict[str, int], reads: str, generator: torch.Generator) -> FeatureBatch:
    """Random features: vectors, or 16 frames where the head reads frames (EVA is a vector in any case)."""
    values, lengths = {}, {}
    for name, dim in dims.items():
        if reads == "frames" and name != "eva":
            values[name] = torch.randn(count, FRAMES, dim, generator=generator)
            lengths[name] = torch.full((count,), FRAMES)
        else:
            values[name] = torch.randn(count, dim, generator=generator)
    there = torch.ones(count, dtype=torch.bool)
    return FeatureBatch(tuple(map(str, range(count))), values, dict.fromkeys(dims, there), {}, lengths)


def main() -> None:
    """Take turns, then train every head."""
    options = options_of(__doc__, clips=5000, rounds=7, train_clips=5000)
    losses: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        world = make_world(Path(name), options.clips, options.seed)
        seconds = timed_rounds(options.rounds, sides(world, options.seed, losses), options.seed)
    if not all(np.allclose(found, losses["cache held"], atol=1e-3) for found in losses.values()):
        raise SystemExit(f"the sides do not train alike: {losses}")
    ratios = {
        "npy per item / cache held": quartiles(seconds["npy per item"], seconds["cache held"]),
        "npy held / cache held": quartiles(seconds["npy held"], seconds["cache held"]),
        "npy + reading / cache + reading": quartiles(seconds["npy + reading"], seconds["cache + reading"]),
    }
    trained = trainings(options.train_clips, options.seed)
    report("heads", options, ratios, HOLDS, seconds, unit="seconds an epoch", trainings=trained)


if __name__ == "__main__":
    main()
