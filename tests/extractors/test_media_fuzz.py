"""Thousands of damaged files: each gives a status or finite views, and no process but a worker is harmed."""

from collections import Counter

import numpy as np
import pytest

from emo.clip import Clip
from emo.config.extract import MediaLimits
from emo.extractors.reading import Asked, read_ahead
from emo.testing import Film, drawn_face, tone, write_clip
from emo.views import AudioView, FrameView, ViewData, ViewProblem

FEW, MANY = 60, 2000
VIEWS = frozenset({AudioView(), FrameView("middle"), FrameView("first")})
LIMITS = MediaLimits(most_memory=1 << 30, most_cpu_seconds=20, most_wall_seconds=60.0)
FILMS = {
    "a.mp4": {},
    "front.mp4": {"options": {"movflags": "faststart"}},
    "a.mkv": {},
    "a.mov": {"film": Film(codec="png", pixel_format="rgba", options={})},
    "a.avi": {"film": Film(codec="mpeg4", options={})},
    "a.webm": {"film": Film(codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"})},
    "a.wav": {},
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    pictures = [drawn_face(96, 64, mouth=index / 10) for index in range(10)]
    for name, options in FILMS.items():
        sound = None if name.endswith(("webm", "mov")) else tone(0.4)
        write_clip(folder / name, None if name.endswith("wav") else pictures, sound, **options)
    return {name: (folder / name).read_bytes() for name in FILMS}


def flipped(data, generator, others):
    for _ in range(int(generator.integers(1, 64))):
        data[int(generator.integers(len(data)))] ^= 1 << int(generator.integers(8))
    return data


def cut(data, generator, others):
    return data[: int(generator.integers(len(data)))]


def without_a_piece(data, generator, others):
    start = int(generator.integers(len(data)))
    del data[start : start + int(generator.integers(1, 2000))]
    return data


def spliced(data, generator, others):
    other = others[int(generator.integers(len(others)))]
    at, start = int(generator.integers(len(data))), int(generator.integers(len(other)))
    length = int(generator.integers(1, 4000))
    data[at : at + length] = other[start : start + length]
    return data


def lying_head(data, generator, others):
    """Fields of the first and last two kilobytes, where headers are, set to numbers that hurt."""
    numbers = (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\x80\0\0\0", b"\0\0\0\1", b"\0\1\0\0")
    for _ in range(int(generator.integers(1, 6))):
        near = int(generator.integers(min(2048, len(data))))
        at = near if generator.integers(2) else len(data) - 1 - near
        data[at : at + 4] = numbers[int(generator.integers(len(numbers)))]
    return data


CHANGES = (flipped, cut, without_a_piece, spliced, lying_head)


def damaged(originals, folder, count):
    """Clips of damaged files, written when their turn comes and known by their number."""
    names = sorted(originals)
    others = [originals[name] for name in names]
    for number in range(count):
        generator = np.random.default_rng(number)
        name = names[number % len(names)]
        change = CHANGES[number // len(names) % len(CHANGES)]
        path = folder / f"{number}-{change.__name__}-{name}"
        path.write_bytes(bytes(change(bytearray(originals[name]), generator, others)))
        yield Asked(key=path, clip=Clip(clip_id=str(number), path=path), views=VIEWS)


def survive(originals, folder, count):
    """Read them all; how often each status came."""
    statuses = Counter()
    slowest = 0.0
    for order, reading in enumerate(read_ahead(damaged(originals, folder, count), LIMITS, jobs=2)):
        assert reading.clip.clip_id == str(order)
        slowest = max(slowest, reading.seconds)
        for view, outcome in reading.views.items():
            if isinstance(outcome, ViewProblem):
                assert outcome.status.startswith(("failed:", "missing:")), outcome
                assert outcome.reason
                statuses[outcome.status] += 1
                continue
            assert isinstance(outcome, ViewData)
            assert outcome.array.size, (reading.key, view)
            assert np.isfinite(outcome.array).all()
            assert np.isfinite(outcome.times).all(), (reading.key, view)
            statuses[(outcome.degraded or "ok").partition("(")[0]] += 1
        reading.key.unlink()
    assert sum(statuses.values()) == count * len(VIEWS)
    return statuses, slowest


def test_damaged_files_give_a_status_or_finite_views(originals, tmp_path):
    statuses, _ = survive(originals, tmp_path, FEW)
    assert statuses["failed:timeout"] == 0


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_two_thousand_damaged_files_harm_nobody(originals, tmp_path, record_property):
    statuses, slowest = survive(originals, tmp_path, MANY)
    record_property("statuses", dict(statuses))
    record_property("slowest_seconds", round(slowest, 1))
    assert statuses["failed:timeout"] == 0
