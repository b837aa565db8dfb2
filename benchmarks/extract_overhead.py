"""What extraction costs beside the encoders: emo's one decode for all, against a pass per encoder.

    python benchmarks/extract_overhead.py --json

CPU-seconds of every process, over the same clips (960 x 540, 25 frames a second, 1.2 to 9 s) and the same
four tiny encoders, in rounds whose order is shuffled. Face detection counts as an encoder on both sides. On
emo's side detection runs in worker processes, so its share is measured by itself, on the same looks, and
taken off. Starting the workers is left out by a round that is not counted. The other way is
`side_by_side/one_encoder_a_pass.py`. Features are compared, but for EVA's: tiny EVA looks at the peak frame,
for which emo finds and crops sixteen faces more, the other way takes the middle one.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from side_by_side.one_encoder_a_pass import Passes
from side_by_side.processor import cpu_seconds
from side_by_side.rounds import Bar, options_of, report

import emo.extractors.faces
import emo.pipeline.loop
from emo.cache import open_cache
from emo.clip import Clip
from emo.extractors import make_encoder
from emo.extractors.media import read_views
from emo.pipeline.encoding import records_of
from emo.pipeline.extract import extract
from emo.testing import SOUND_RATE, drawn_face, write_clip
from emo.views import Encoder

ENCODERS = ("hubert", "mae", "videomae", "eva")
SAME_VIEWS = ("hubert", "mae", "videomae")
WIDTH, HEIGHT, FRAME_RATE = 960, 540, 25
BARS = {
    "outside the encoders: a pass per encoder / emo": Bar(
        "a pass per encoder, outside", "emo, outside", at_least=4.0, aim=4.8
    ),
    "with the encoders: a pass per encoder / emo": Bar("a pass per encoder, all", "emo, all"),
}


def make_clips(folder: Path, count: int, seed: int) -> list[Clip]:
    """Faces that move over a coarse background, with noise for a voice."""
    rng = np.random.default_rng(seed)
    face = drawn_face(WIDTH, HEIGHT)
    clips = []
    for number in range(count):
        seconds = float(np.clip(rng.lognormal(np.log(3.5), 0.45), 1.2, 9.0))
        frames = [np.roll(face, index % 12, axis=1) for index in range(int(seconds * FRAME_RATE))]
        sound = (0.1 * rng.standard_normal(int(seconds * SOUND_RATE))).astype(np.float32)
        path = write_clip(folder / f"clip{number}.mp4", frames, sound)
        clips.append(Clip(clip_id=f"clip{number}", path=path))
    return clips


class Timed:
    """CPU-seconds of a function, gathered over its calls."""

    def __init__(self, function: object) -> None:
        self._function = function
        self.seconds = 0.0

    def __call__(self, *arguments: object) -> object:
        """As the function."""
        started = time.process_time()
        try:
            return self._function(*arguments)  # type: ignore[operator]
        finally:
            self.seconds += time.process_time() - started


def detection_seconds(encoders: Sequence[Encoder], clips: Sequence[Clip]) -> float:
    """CPU-seconds that emo's reading of the clips spends on looking for faces."""
    plain, timed = emo.extractors.faces.detect, Timed(emo.extractors.faces.detect)
    emo.extractors.faces.detect = timed  # type: ignore[assignment]
    try:
        for clip in clips:
            read_views(clip, frozenset().union(*(encoder.needs for encoder in encoders)))  # type: ignore[arg-type]
    finally:
        emo.extractors.faces.detect = plain
    return timed.seconds


def emo_seconds(
    clips: Sequence[Clip], cache: Path, jobs: int, names: Sequence[str] = ENCODERS
) -> tuple[float, float]:
    """CPU-seconds of a whole extraction, and of the encoders in it."""
    started = cpu_seconds()
    timed = Timed(records_of)
    emo.pipeline.loop.records_of = timed  # type: ignore[attr-defined]
    try:
        extract(clips, names, cache, preset="tiny", jobs=jobs, redo=True)
    finally:
        emo.pipeline.loop.records_of = records_of  # type: ignore[attr-defined]
    return cpu_seconds() - started, timed.seconds


def cosines(folder: Path, cache: Path, clips: Sequence[Clip]) -> dict[str, float]:
    """The least cosine of the two ways' utterance-level features, by encoder."""
    store = open_cache(cache)
    found = {}
    for name in ENCODERS:
        array = "utterance" if "utterance" in store[name].spec.arrays else "tokens"
        least = 1.0
        for clip in clips:
            one = store[name].read(clip.clip_id, array).ravel().astype(np.float64)
            other = np.load(folder / f"{name}-{array}" / f"{clip.clip_id}.npy").ravel().astype(np.float64)
            least = min(least, float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
        found[name] = round(least, 4)
    return found


def main() -> None:
    """The rounds and their report."""
    options = options_of(__doc__, clips=10, rounds=5, jobs=1)
    torch.set_num_threads(1)
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = make_clips(folder, options.clips, options.seed)
        encoders = [make_encoder(each, preset="tiny", device="cpu") for each in ENCODERS]
        order = random.Random(options.seed)
        for number in range(-1, options.rounds):
            passes = Passes(folder)
            sides = ["emo", "passes", "detection"]
            order.shuffle(sides)
            found: dict[str, float] = {}
            for side in sides:
                if side == "emo":
                    found["emo, all"], found["emo, encoders"] = emo_seconds(
                        clips, folder / "f.zarr", options.jobs
                    )
                elif side == "passes":
                    started = cpu_seconds()
                    passes.run(encoders, clips)
                    found["a pass per encoder, all"] = cpu_seconds() - started
                    found["a pass per encoder, encoders"] = passes.encoder_seconds
                else:
                    found["emo, detection"] = detection_seconds(encoders, clips)
            found["emo, outside"] = found["emo, all"] - found["emo, encoders"] - found["emo, detection"]
            found["a pass per encoder, outside"] = (
                found["a pass per encoder, all"] - found["a pass per encoder, encoders"]
            )
            if number >= 0:
                for key, value in found.items():
                    rows.setdefault(key, []).append(round(value, 4))
        alike = cosines(folder, folder / "f.zarr", clips)
    report(
        "extract_overhead",
        options,
        rows,
        BARS,
        {"clips": len(clips), "least cosine of the two ways' features": alike},
        {"features of both ways agree": min(alike[key] for key in SAME_VIEWS) > 0.95},
    )


if __name__ == "__main__":
    sys.exit(main())
