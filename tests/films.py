"""Films of drawn people: one joined from clips, with cuts and silences that are known; two who talk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

PICTURES_A_SECOND = 25
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


def opening(times, seed):
    """How far a mouth is open, 0 to 1, at `times`: syllables of a fifth of a second, some left out."""
    spoken = np.random.default_rng(seed).random(60) > 0.35
    return np.where(spoken[(times * 5).astype(int)], np.abs(np.sin(np.pi * 5 * times)), 0.0)


def voice_of(seed, seconds):
    """The sound of a mouth that opens so."""
    from emo.testing import SOUND_RATE, tone

    times = np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE
    return (tone(seconds) * opening(times, seed)).astype(np.float32)


@pytest.fixture(scope="session")
def talk(tmp_path_factory):
    """Two people, 3.2 s: the right one speaks, the left and larger one moves the mouth to other words."""
    from emo.testing import drawn_face, write_clip

    pictures = []
    for time in np.arange(80) / PICTURES_A_SECOND:
        mouths = [float(opening(np.array([time]), seed)[0]) for seed in (1, 2)]
        left = drawn_face(160, 120, mouth=mouths[0], size=0.8)
        pictures.append(np.concatenate([left, drawn_face(160, 120, mouth=mouths[1], size=0.66)], axis=1))
    return write_clip(tmp_path_factory.mktemp("talk") / "talk.mp4", pictures, voice_of(2, 3.2))
