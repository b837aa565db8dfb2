"""How extraction grows: with clips, with encoders, and on a cache that holds everything already.

    python benchmarks/extract_scaling.py --json

Each row is a run of the command in a fresh process over N or 8N clips (1 s, 320 x 240; tiny preset):
CPU-seconds of it and all that it started, and the largest resident set of any one of them. A slope is the
difference between 8N and N over 7N, so that start-up falls out. The k-th encoder's own forward pass is timed
inside one process, on workers that run already, over the 8N clips.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from extract_overhead import ENCODERS, detection_seconds, emo_seconds
from side_by_side.processor import adopt_orphans, orphans
from side_by_side.rounds import Bar, options_of, report

from emo.clip import Clip
from emo.extractors import make_encoder
from emo.testing import drawn_face, tone, write_clip

TIMES = 8
BARS = {
    "largest resident set, 8N / N": Bar("resident of 8N", "resident of N", at_most=1.05),
    "CPU a clip on a full cache / first run": Bar("slope, full cache", "slope, first run", at_most=0.01),
    "CPU of three encoders / two and the third's forward": Bar(
        "hubert, mae, videomae", "hubert, mae and the forward of videomae", at_most=1.05
    ),
}


def make_clips(folder: Path, count: int) -> Path:
    """A folder of clips of one second, no two of the same bytes."""
    folder.mkdir()
    face = drawn_face(320, 240)
    for number in range(count):
        frames = [np.roll(face, (index + number) % 16, axis=1) for index in range(25)]
        write_clip(folder / f"clip{number}.mp4", frames, tone(1.0, hertz=150.0 + number))
    return folder


def run(clips: Path, cache: Path) -> tuple[float, float]:
    """CPU-seconds and the largest resident set in MiB of `emo extract` over a folder."""
    arguments = ["extract", str(clips), "--preset", "tiny", "--cache", str(cache), "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "emo", "-q", *arguments], stdout=subprocess.DEVNULL, cwd=clips.parent
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"emo extract left with {process.returncode}")
    usages = [usage, *orphans()]
    seconds = sum(each.ru_utime + each.ru_stime for each in usages)
    return seconds, max(each.ru_maxrss for each in usages) / 1024


def main() -> None:
    """The runs and their report."""
    options = options_of(__doc__, clips=6, rounds=2)
    torch.set_num_threads(1)
    adopt_orphans()  # decoding processes end with the command, which does not wait for them
    rows: dict[str, list[float]] = {}

    def note(key: str, value: float) -> None:
        rows.setdefault(key, []).append(round(value, 4))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = make_clips(folder / "few", options.clips)
        many = make_clips(folder / "many", TIMES * options.clips)
        more = (TIMES - 1) * options.clips
        for number in range(options.rounds):
            caches = [folder / f"{size}{number}.zarr" for size in ("few", "many")]
            (few_cpu, few_rss), (many_cpu, many_rss) = (
                run(place, cache) for place, cache in zip((few, many), caches, strict=True)
            )
            again = [run(place, cache)[0] for place, cache in zip((few, many), caches, strict=True)]
            note("resident of N", few_rss)
            note("resident of 8N", many_rss)
            note("slope, first run", (many_cpu - few_cpu) / more)
            note("slope, full cache", (again[1] - again[0]) / more)
        clips = [Clip(clip_id=path.stem, path=path) for path in sorted(many.iterdir())]
        for number in range(-1, options.rounds):
            two, _ = emo_seconds(clips, folder / "two.zarr", 1, ENCODERS[:2])
            three, encoders_of_three = emo_seconds(clips, folder / "three.zarr", 1, ENCODERS[:3])
            _, encoders_of_two = emo_seconds(clips, folder / "two.zarr", 1, ENCODERS[:2])
            if number >= 0:
                note("hubert, mae, videomae", three)
                note("hubert, mae and the forward of videomae", two + encoders_of_three - encoders_of_two)
        looks = detection_seconds([make_encoder("mae", preset="tiny")], clips)
    report(
        "extract_scaling",
        options,
        rows,
        BARS,
        {"clips": [options.clips, TIMES * options.clips], "CPU of face detection a clip": looks / len(clips)},
        {},
        unit="CPU-seconds, CPU-seconds a clip, MiB; by round",
    )


if __name__ == "__main__":
    main()
