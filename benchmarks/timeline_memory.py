"""What `emo timeline` holds in memory for a video of N minutes and for one of 2N.

    python benchmarks/timeline_memory.py --json

Each row is a run of the command in a fresh process: the largest resident set of any one process of it.
`divide` is `--dry-run`, `answer` the whole command with a head on sound. Videos are 64 x 48 at 10 pictures a
second; a shot lasts 7 s, a voice 4 of every 6 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from side_by_side.processor import adopt_orphans, orphans

from emo.testing import drawn_face, tone, write_clip

RATE, PICTURES = 16_000, 10
SHOT_S, SPOKEN_S, TURN_S, PIECE_S = 7, 4, 6, 60


def pictures(seconds: int) -> Iterator[NDArray[np.uint8]]:
    """A flat picture a shot, with a bar that moves."""
    colours = np.random.default_rng(0).integers(0, 256, (1 + seconds // SHOT_S, 3), dtype=np.uint8)
    for number in range(seconds * PICTURES):
        shown = np.full((48, 64, 3), colours[number // PICTURES // SHOT_S], np.uint8)
        shown[:, number % 60 : number % 60 + 4] = 255
        yield shown


def write_piece(path: Path) -> Path:
    """PIECE_S seconds of video."""
    with av.open(str(path), "w") as film:
        picture = film.add_stream("libx264", rate=PICTURES, options={"preset": "ultrafast", "bf": "0"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = film.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number, shown in enumerate(pictures(PIECE_S)):
            film.mux(picture.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
            if number % PICTURES == 0:
                film.mux([packet for frame in blocks(number // PICTURES) for packet in sound.encode(frame)])
        film.mux(picture.encode(None))
        film.mux(sound.encode(None))
    return path


def write_video(path: Path, piece: Path, minutes: int) -> Path:
    """The piece again and again, its packets copied."""
    with av.open(str(path), "w") as film:
        with av.open(str(piece)) as source:
            streams = {one.index: film.add_stream_from_template(one) for one in source.streams}
        for number in range(60 * minutes // PIECE_S):
            with av.open(str(piece)) as source:
                for packet in source.demux():
                    if packet.dts is None:
                        continue
                    shift = round(number * PIECE_S / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream.index]
                    film.mux(packet)
    return path


def blocks(second: int) -> Iterator[av.AudioFrame]:
    """The sound of one second."""
    heard = tone(1.0) if second % TURN_S < SPOKEN_S else 1e-4 * tone(1.0)
    for start in range(0, RATE, 1000):
        frame = av.AudioFrame.from_ndarray(heard[None, start : start + 1000], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, second * RATE + start, Fraction(1, RATE)
        yield frame


def resident(folder: Path, *words: str) -> float:
    """The largest resident set in MiB of any process of one run of emo."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emo", "-q", *words], stdout=subprocess.DEVNULL, cwd=folder
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"emo {words[0]} left with {process.returncode}")
    return max(each.ru_maxrss for each in (usage, *orphans())) / 1024


def train(folder: Path) -> None:
    """A head on tiny features of six sounds."""
    rows = []
    for number, split in enumerate(["train"] * 4 + ["val"] * 2):
        write_clip(folder / f"{number}.mp4", [drawn_face()] * 5, tone(0.3, hertz=150 + 50 * number))
        rows.append({"path": f"{number}.mp4", "label": ["happy", "sad"][number % 2], "split": split})
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    resident(folder, "extract", "manifest.jsonl", "-e", "hubert", "--preset", "tiny")
    resident(
        folder, "train-head", "--manifest", "manifest.jsonl", "--features", "hubert", "--epochs", "1",
        "--labels", "happy,sad", "--out", "head",
    )  # fmt: skip


def main() -> None:
    """Measure both lengths and print the ratios."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    options.add_argument("--divide", type=int, default=20, help="N of `divide`, in minutes")
    options.add_argument("--answer", type=int, default=5, help="N of `answer`, in minutes")
    asked = options.parse_args()
    adopt_orphans()
    rows = []
    with tempfile.TemporaryDirectory(prefix="emo-timeline-") as name:
        folder = Path(name)
        train(folder)
        piece = write_piece(folder / "piece.mkv")
        for kind, minutes in (("divide", asked.divide), ("answer", asked.answer)):
            for length in (minutes, 2 * minutes):
                video = write_video(folder / f"{kind}{length}.mkv", piece, length)
                more = ["--dry-run"] if kind == "divide" else ["--model", "head", "--out", f"{kind}{length}"]
                rows.append([kind, length, resident(folder, "timeline", video.name, "--jobs", "2", *more)])
    ratios = {rows[at][0]: round(rows[at + 1][2] / rows[at][2], 4) for at in (0, 2)}
    if asked.json:
        print(json.dumps({"rows": rows, "2N / N": ratios}))
    else:
        for kind, length, mib in rows:
            print(f"{kind:8} {length:4} min  {mib:8.1f} MiB")
        print(ratios)


if __name__ == "__main__":
    main()
