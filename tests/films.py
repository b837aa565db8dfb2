"""A longer film of drawn people, joined from clips, with cuts and silences that are known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

RATE = 16_000
PEOPLE, SPOKEN_S, PAUSE_S = 4, 2.4, 1.6
WIDTH, HEIGHT = 200, 150


@dataclass(frozen=True)
class JoinedFilm:
    """`cuts` are the first moments of shots, `pauses` the stretches from a last syllable to the next person's
    first, or to the end, all in seconds."""

    path: Path
    cuts: tuple[float, ...]
    pauses: tuple[tuple[float, float], ...]
    seconds: float
    pictures: tuple
    sound: np.ndarray


@pytest.fixture(scope="session")
def joined_film(tmp_path_factory):
    """Four people, one after the other: each speaks for 2.4 s, and keeps still for 1.6 s before the next."""
    from emo.corpora.rendered.film import draw_frames
    from emo.corpora.rendered.identity import draw_identity
    from emo.corpora.rendered.performance import random_performance
    from emo.corpora.rendered.voice import synthesise
    from emo.testing import write_clip

    pictures, sounds, cuts, spoken_at = [], [], [], []
    for number in range(PEOPLE):
        rng = np.random.default_rng(number)
        who, plan = draw_identity("films", 0, number), random_performance(rng, SPOKEN_S)
        drawn = list(draw_frames(who, plan, rng, WIDTH, HEIGHT))
        still = round(PAUSE_S * 25)
        begin = len(pictures) / 25
        cuts.append(begin)
        last = plan.syllables[-1]
        spoken_at.append((begin + plan.syllables[0].start, begin + last.start + last.length))
        pictures += [*drawn, *[drawn[-1]] * still]
        spoken = synthesise(who, plan.tone, plan.duration, rng, plan.syllables)
        noise = 1e-4 * rng.standard_normal(len(drawn) * 640 + still * 640)
        noise[: len(spoken)] += spoken[: len(noise)]
        sounds.append(noise.astype(np.float32))
    path = tmp_path_factory.mktemp("film") / "talk.mp4"
    sound, seconds = np.concatenate(sounds), len(pictures) / 25
    begins = [*(first for first, _ in spoken_at[1:]), seconds]
    pauses = tuple((end, begin) for (_, end), begin in zip(spoken_at, begins, strict=True))
    write_clip(path, pictures, sound)
    return JoinedFilm(path, tuple(cuts[1:]), pauses, seconds, tuple(pictures), sound)
