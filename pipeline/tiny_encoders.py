"""`python -m emo.pipeline.tiny_encoders --out extractors/tiny`: the shipped tiny weights, from a seed.

Renders people of their own namespace, trains four small encoders on what was planted in them, measures what
a linear reader makes of the features, writes weights, index and card. Rendered people are kept in
`--scratch` and an encoder is written as soon as it is trained, so a stopped run goes on with `--only`.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from emo.canonical import Json
from emo.config.tiny_encoders import Course, TinyEncodersConfig
from emo.extractors import eva, hubert, mae, tiny, videomae
from emo.extractors.pixels import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from emo.pipeline.tiny_card import Trained, write_card
from emo.pipeline.tiny_learners import FaceLearner, FacesInTimeLearner, FrameLearner, Learner, VoiceLearner
from emo.pipeline.tiny_people import (
    FRAME_MOMENTS,
    NAMESPACE,
    Faces,
    Shapes,
    Voices,
    render_faces,
    render_voices,
)
from emo.pipeline.tiny_probe import ENCODERS, probe
from emo.pipeline.tiny_training import Progress, fit
from emo.pipeline.tiny_views import Look, Patches, look_at
from emo.seeds import generator

LOG = logging.getLogger(__name__)
CONFIGS = {
    "hubert": hubert.TINY_CONFIG,
    "mae": mae.TINY_CONFIG,
    "videomae": videomae.TINY_CONFIG,
    "eva": eva.TINY_CONFIG,
}
FACE_LOOK = Look(
    patch=cast(int, mae.TINY_CONFIG["patch_size"]),
    dim=cast(int, mae.TINY_CONFIG["embed_dim"]),
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    views=3,
    shift=0.02,
    zoom=0.04,
)
FRAME_LOOK = Look(
    patch=cast(int, eva.TINY_CONFIG["patch_size"]),
    dim=cast(int, eva.TINY_CONFIG["hidden_size"]),
    mean=CLIP_MEAN,
    std=CLIP_STD,
    views=7,
    shift=0.03,
    zoom=0.04,
    fitted_views=8,
    cropped=False,
)
FRAME_SIDE = 160  # pixels; more than EVA reads, so that shifts lose nothing


Kind = TypeVar("Kind", Faces, Voices)


class People:
    """The rendered people of one run, drawn when first asked for and found again in `scratch` later."""

    def __init__(self, scratch: Path, config: TinyEncodersConfig) -> None:
        self._scratch, self._config = scratch, config

    @cached_property
    def faces(self) -> Faces:
        """Clips of faces."""
        size = self._config
        shapes = Shapes(face=mae.TINY_FACES.size, frame=FRAME_SIDE, margin=mae.TINY_FACES.margin)
        return self._kept(
            Faces, "faces", lambda at: render_faces(at, size.clips, size.seed, shapes, size.processes)
        )

    @cached_property
    def voices(self) -> Voices:
        """Waves."""
        size = self._config
        return self._kept(
            Voices, "voices", lambda at: render_voices(at, size.voices, size.seed, size.processes)
        )

    @cached_property
    def face_patches(self) -> Patches:
        """Faces through the first layer of MAE and VideoMAE."""
        rng = generator(NAMESPACE, self._config.seed, "views")
        return look_at(self.faces.crops, self.faces, slice(None), FACE_LOOK, rng)

    @cached_property
    def frame_patches(self) -> Patches:
        """Whole frames through the first layer of EVA."""
        rng = generator(NAMESPACE, self._config.seed, "frame views")
        return look_at(self.faces.frames, self.faces, FRAME_MOMENTS, FRAME_LOOK, rng)

    def _kept(self, kind: type[Kind], name: str, render: Callable[[Path], Kind]) -> Kind:
        folder = self._scratch / name
        done = folder / "done"
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            render(folder)
            done.touch()
        arrays = {part.name: _mapped(folder / f"{part.name}.npy") for part in fields(kind)}
        return kind(**arrays)


def _mapped(path: Path) -> NDArray[Any]:
    return cast("NDArray[Any]", np.load(path, mmap_mode="c", allow_pickle=False))


def make_learner(name: str, people: People, seed: int) -> Learner:
    """The learner of encoder `name` with fresh heads; the same for the same seed."""
    torch.manual_seed(seed)
    if name == "hubert":
        return VoiceLearner(people.voices)
    if name == "mae":
        return FaceLearner(people.face_patches)
    if name == "videomae":
        return FacesInTimeLearner(people.faces, people.face_patches)
    return FrameLearner(people.frame_patches)


def train_tiny_encoders(
    out: Path, scratch: Path, config: TinyEncodersConfig, only: Sequence[str] = ENCODERS
) -> Iterator[tuple[str, Progress]]:
    """Train each encoder of `only` and write it to `out` when it is done; yields (name, progress).

    Whatever is yielded is also in `scratch`, as it is then.
    """
    people = People(scratch, config)
    for name in only:
        learner = make_learner(name, people, config.seed)
        course: Course = getattr(config, name)
        for progress in fit(learner, course, generator(NAMESPACE, config.seed, "course", name)):
            by = f"emo.pipeline.tiny_encoders seed {config.seed} step {progress.step} of {progress.steps}"
            for folder in (scratch, out) if progress.step == progress.steps else (scratch,):
                tiny.save(
                    name, learner.model, cast(Json, CONFIGS[name]), trained=True, trained_by=by, folder=folder
                )
            yield name, progress


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m emo.pipeline.tiny_encoders", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, index and card")
    parser.add_argument(
        "--scratch", type=Path, help="folder for rendered people (4 GB); default: a temporary one"
    )
    parser.add_argument("--only", choices=ENCODERS, nargs="+", default=ENCODERS, help="train only these")
    parser.add_argument("--seed", type=int, default=TinyEncodersConfig().seed)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = TinyEncodersConfig(seed=chosen.seed)
    with tempfile.TemporaryDirectory() as temporary:
        _make(chosen.out, chosen.scratch or Path(temporary), config, chosen.only)


def _make(out: Path, scratch: Path, config: TinyEncodersConfig, only: Sequence[str]) -> None:
    torch.set_num_threads(1)  # sums are the same on every machine with as many threads
    out.mkdir(parents=True, exist_ok=True)
    trained: dict[str, Trained] = {}
    began = time.process_time()
    for name, progress in train_tiny_encoders(out, scratch, config, only):
        LOG.info("%s %d/%d loss %.3f %s", name, progress.step, progress.steps, progress.loss, progress.scores)
        trained[name] = Trained(progress=progress, cpu_seconds=time.process_time() - began)
        if progress.step == progress.steps:
            began = time.process_time()
    at_home = out.resolve() == tiny.FOLDER.resolve()
    readings = probe(processes=config.processes) if at_home else {}  # the probe reads what is installed
    for name, reading in readings.items():
        LOG.info("%s: weighted F1 %.2f on validation, %.2f on test", name, reading.val, reading.test)
    if set(trained) == set(ENCODERS):
        write_card(out, config, trained, readings)


if __name__ == "__main__":
    main()
