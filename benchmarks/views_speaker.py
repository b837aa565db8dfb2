"""Who speaks of two people side by side: drawn people, one voice, known truth.

    python benchmarks/views_speaker.py --json

Each clip shows two drawn people next to each other; the sound is the voice of one of them. Four kinds:

- `still`: the other one's mouth is shut but for expressions.
- `mouthing`: the other one talks as well, but is not heard: other words, the same kind of motion.
- `offscreen`: neither talks; the voice is a third person's. Right is that nobody is called the speaker.
- `silent`: both talk, the sound track is silent. Right is that nobody is called the speaker.

`picked`: both people were followed and the policy `active` takes the speaker (and so `listener` the other
one); only where somebody seen speaks. `named`: the label is right too, the speaker called active-speaker, or
nobody. Intervals are Wilson's, 95 %. Drawn people are no claim about filmed ones.
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
from emo.config.extract import DEFAULTS
from emo.corpora.rendered.film import draw_frames, write_mp4
from emo.corpora.rendered.identity import Identity, draw_identity
from emo.corpora.rendered.performance import Performance, plan_performance
from emo.corpora.rendered.voice import synthesise
from emo.extractors.faces import FaceFinder
from emo.extractors.people import watch_people
from emo.labels import MERR
from emo.seeds import generator

SECONDS = 4.0
WIDTH, HEIGHT = 320, 240  # of each of the two
KINDS = ("still", "mouthing", "offscreen", "silent")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One clip: who spoke (0 left, 1 right, None nobody seen), whom `active` takes, who is labelled so."""

    kind: str
    number: int
    speaker: int | None
    taken: int | None
    found: int | None
    people: int
    scores: list[float | None]

    @property
    def picked(self) -> bool:
        """Whether the speaker is who the policy takes."""
        return self.people == 2 and self.taken == self.speaker

    @property
    def named(self) -> bool:
        """Whether the speaker, or nobody, is labelled so."""
        return self.people == 2 and self.found == self.speaker


def two_people(path: Path, kind: str, number: int, seed: int) -> int | None:
    """Write one clip and return who speaks in it."""
    rng = generator("views_speaker", seed, kind, number)
    speaker = int(rng.integers(2))
    cast = [draw_identity("views_speaker", seed, 3 * number + at) for at in range(3)]
    plans = [_plan(who, rng) for who in cast]
    heard = cast[speaker], plans[speaker]
    if kind == "still":
        plans[1 - speaker] = replace(plans[1 - speaker], syllables=())
    if kind == "offscreen":
        heard = cast[2], plans[2]
        plans = [replace(plan, syllables=()) for plan in plans]
    wave = synthesise(heard[0], heard[1].tone, SECONDS, rng, heard[1].syllables)
    if kind == "silent":
        wave = np.zeros_like(wave)
    sides = [
        draw_frames(who, plan, rng, WIDTH, HEIGHT) for who, plan in zip(cast[:2], plans[:2], strict=True)
    ]
    frames = (np.concatenate(pair, axis=1) for pair in zip(*sides, strict=True))
    write_mp4(path, frames, wave, width=2 * WIDTH, height=HEIGHT)
    return speaker if kind in ("still", "mouthing") else None


def _plan(who: Identity, rng: np.random.Generator) -> Performance:
    return plan_performance(rng, who, str(rng.choice(MERR)), duration=SECONDS)


def watched(kind: str, number: int, seed: int) -> Row:
    """Render one clip, watch it, and say who was found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "two.mp4"
        speaker = two_people(path, kind, number, seed)
        people = watch_people(Clip(clip_id="two", path=path), DEFAULTS, FaceFinder())
    places = [
        next((at for at, person in enumerate(people.persons) if person is found), None)
        for found in (people.likeliest(), people.speaker())
    ]
    scores = [None if each.speaking is None else round(each.speaking, 3) for each in people.persons]
    return Row(
        kind=kind,
        number=number,
        speaker=speaker,
        taken=places[0],
        found=places[1],
        people=len(people.persons),
        scores=scores,
    )


def main() -> None:
    """Render, watch, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=40, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=Path, help="keep the rows here, one JSON object a line")
    options = parser.parse_args()
    work = [(kind, number) for kind in KINDS for number in range(options.clips)]
    rows = joblib.Parallel(n_jobs=-1)(joblib.delayed(watched)(*each, options.seed) for each in work)
    if options.rows:
        options.rows.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    figures = {kind: _figures([row for row in rows if row.kind == kind]) for kind in KINDS}
    if options.json:
        print(json.dumps({"clips": options.clips, "seed": options.seed, **figures}))
        return
    for kind, figure in figures.items():
        print(f"{kind:10} {figure}")


def _figures(rows: list[Row]) -> dict[str, object]:
    named = _share([row.named for row in rows])
    seen = all(row.speaker is not None for row in rows)
    return {"picked": _share([row.picked for row in rows]), "named": named} if seen else {"named": named}


def _share(right: list[bool]) -> dict[str, object]:
    interval = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
    return {
        "n": len(right),
        "right": sum(right),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
    }


if __name__ == "__main__":
    main()
