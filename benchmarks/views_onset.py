"""How often sixteen frames of a clip catch an expression, by how long it lasts.

    python benchmarks/views_onset.py --json

Drawn people, four seconds each, who talk, blink, sway and show one expression of known onset and offset. An
expression is caught where one of the sixteen frames shows it at half of its largest intensity or more.

- `uniform`: `uniform:16`, the middles of sixteen equal parts.
- `change`: `onset-apex-offset:16` on the change of the face in the rendered film.
- `units`: `onset-apex-offset:16` on the clip's action-unit file, which is the plan itself: an upper bound.

`frames` is the mean number of the sixteen that show the expression so. A clip without a face is not caught.
Intervals are Wilson's, 95 %. Drawn people are no claim about filmed ones.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import joblib
import numpy as np
from scipy.stats import binomtest

from emo.clip import Clip
from emo.corpora.rendered.film import frame_times, render_clip
from emo.corpora.rendered.identity import draw_identity
from emo.corpora.rendered.openface import write_unit_csv
from emo.corpora.rendered.performance import Movement, Performance, plan_performance
from emo.extractors.media import read_views
from emo.labels import MERR
from emo.seeds import generator
from emo.views import FacesView, ViewData

SECONDS = 4.0
FRAMES = 16
DURATIONS = (0.1, 0.2, 0.4, 0.8)
SAMPLINGS = ("uniform", "change", "units")
SIDE = 32
EXPRESSIVE = tuple(label for label in MERR if label != "neutral")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One clip and sampling; `hits` frames show the expression at half strength, None without a face."""

    duration: float
    number: int
    sampling: str
    hits: int | None


def short_performance(rng: np.random.Generator, number: int, seed: int, duration: float) -> Performance:
    """A talking, blinking person with one expression of this length at a random moment."""
    who = draw_identity("views_onset", seed, number)
    plan = plan_performance(rng, who, str(rng.choice(EXPRESSIVE)), duration=SECONDS)
    onset = rng.uniform(0.1, SECONDS - duration - 0.1)
    times = (onset, onset + 0.3 * duration, onset + 0.65 * duration, onset + duration)
    meant = [_moved(movement, times) for movement in plan.movements if not movement.idle]
    return replace(plan, movements=tuple(meant))


def _moved(movement: Movement, times: tuple[float, float, float, float]) -> Movement:
    onset, apex, release, offset = times
    return replace(movement, onset=onset, apex=apex, release=release, offset=offset)


def hits(performance: Performance, times: np.ndarray) -> int:
    """How many of `times` fall where the expression is at half its intensity or more."""
    movement = performance.movements[0]
    corners = [movement.onset, movement.apex, movement.release, movement.offset]
    return int((np.interp(times, corners, [0.0, 1.0, 1.0, 0.0], left=0.0, right=0.0) >= 0.5).sum())


def sampled(duration: float, number: int, seed: int) -> list[Row]:
    """Render one clip and sample it three ways."""
    rng = generator("views_onset", seed, f"{duration:g}", number)
    performance = short_performance(rng, number, seed, duration)
    who = draw_identity("views_onset", seed, number)
    with tempfile.TemporaryDirectory() as folder:
        film, units = Path(folder) / "film.mp4", Path(folder) / "units.csv"
        render_clip(film, who, performance, rng, width=320, height=240)
        write_unit_csv(units, performance, frame_times(performance))
        chosen = FacesView(sampling=f"onset-apex-offset:{FRAMES}", size=SIDE, detect=1)
        plain = Clip(clip_id="film", path=film)
        found = {
            "uniform": _times(plain, FacesView(sampling=f"uniform:{FRAMES}", size=SIDE, detect=4)),
            "change": _times(plain, chosen),
            "units": _times(replace(plain, au_path=units), chosen),
        }
    return [
        Row(
            duration=duration,
            number=number,
            sampling=sampling,
            hits=None if times is None else hits(performance, times),
        )
        for sampling, times in found.items()
    ]


def _times(clip: Clip, view: FacesView) -> np.ndarray | None:
    data = read_views(clip, [view])[view]
    return data.times if isinstance(data, ViewData) else None


def main() -> None:
    """Render, sample, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=40, help="of each duration")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=Path, help="keep the rows here, one JSON object a line")
    options = parser.parse_args()
    work = [(duration, number) for duration in DURATIONS for number in range(options.clips)]
    parts = joblib.Parallel(n_jobs=-1)(joblib.delayed(sampled)(*each, options.seed) for each in work)
    rows = [row for part in parts for row in part]
    if options.rows:
        options.rows.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    figures = {
        f"{duration:g}": {sampling: _figure(rows, duration, sampling) for sampling in SAMPLINGS}
        for duration in DURATIONS
    }
    if options.json:
        print(json.dumps({"clips": options.clips, "seed": options.seed, "recall": figures}))
        return
    for duration, by_sampling in figures.items():
        told = ", ".join(f"{name} {one['caught']}/{one['n']}" for name, one in by_sampling.items())
        print(f"{duration} s: {told}")


def _figure(rows: list[Row], duration: float, sampling: str) -> dict[str, object]:
    ours = [row for row in rows if row.duration == duration and row.sampling == sampling]
    caught = sum(bool(row.hits) for row in ours)
    interval = binomtest(caught, len(ours)).proportion_ci(method="wilson")
    return {
        "n": len(ours),
        "caught": caught,
        "interval": [round(interval.low, 4), round(interval.high, 4)],
        "frames": round(sum(row.hits or 0 for row in ours) / len(ours), 2),
    }


if __name__ == "__main__":
    main()
