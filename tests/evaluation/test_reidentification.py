"""Vectors that are the speaker give everybody away, vectors of noise nobody, and few speakers no figure."""

import numpy as np
import pytest

from emo.errors import ConfigError
from emo.evaluation.reidentification import equal_error_rate, reidentification


def made(speakers=12, clips=10, dim=24, strength=3.0, seed=0):
    """(N, D) of a place for each speaker, `strength` times as far apart as its clips, and the names."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(speakers, dim)) * strength
    names = [f"s{number}" for number in range(speakers) for _ in range(clips)]
    return np.repeat(places, clips, axis=0) + rng.normal(size=(speakers * clips, dim)), names


def test_vectors_that_are_the_speaker_give_everybody_away():
    found = reidentification(*made())
    assert (found.speakers, found.enrolled, found.held_out, found.left_out) == (12, 60, 60, 0)
    assert found.nearest.point == found.probe.point == 1.0
    assert found.eer.point < 0.02
    assert found.above_chance
    assert found.nearest.clusters == 12


def test_vectors_of_noise_give_nobody_away():
    points = [reidentification(*made(strength=0.0, seed=seed), seed=seed) for seed in range(6)]
    for pick in (lambda found: found.nearest.point, lambda found: found.probe.point):
        assert abs(np.mean([pick(found) for found in points]) - 1 / 12) < 0.04
    assert abs(np.mean([found.eer.point for found in points]) - 0.5) < 0.04
    assert sum(found.above_chance for found in points) <= 2


def test_a_weak_trace_lies_between_and_the_intervals_hold_the_points():
    found = reidentification(*made(speakers=20, clips=12, strength=0.4))
    assert found.chance == 0.05
    assert 0.1 < found.nearest.point < 0.95
    assert 0.05 < found.eer.point < 0.45
    for interval in (found.nearest, found.probe, found.eer):
        assert interval.low <= interval.point <= interval.high
        assert interval.low < interval.high


def test_one_busy_speaker_does_not_raise_chance():
    """Naming always the commonest speaker is right in 1 / speakers of the cases, as speakers count alike."""
    vectors, names = made(strength=0.0, clips=6)
    rng = np.random.default_rng(1)
    vectors = np.concatenate([vectors, rng.normal(size=(300, vectors.shape[1]))])
    found = reidentification(vectors, [*names, *["s0"] * 300])
    assert found.chance == 1 / 12
    assert found.probe.point < 0.3


def test_scale_and_offset_of_a_dimension_decide_nothing():
    vectors, names = made(strength=0.7)
    scale = np.geomspace(1e-3, 1e3, vectors.shape[1])
    plain, scaled = reidentification(vectors, names), reidentification(vectors * scale + 100, names)
    assert plain.nearest.point == pytest.approx(scaled.nearest.point, abs=0.05)


def test_speakers_with_few_clips_are_left_out_and_counted():
    vectors, names = made(speakers=9)
    names[:7] = [f"once{number}" for number in range(7)]
    found = reidentification(vectors, names)
    assert (found.speakers, found.left_out) == (8, 10)


def test_too_few_speakers_or_clips_are_refused_with_their_number():
    with pytest.raises(ConfigError, match="7 of 7 speakers have 4 clips or more; 8 are needed"):
        reidentification(*made(speakers=7))
    with pytest.raises(ConfigError, match="0 of 12 speakers"):
        reidentification(*made(clips=3))
    with pytest.raises(ConfigError, match="0 of 0 speakers"):
        reidentification(np.zeros((0, 3)), [])
    with pytest.raises(ConfigError, match="1 vectors, 2 speakers"):
        reidentification(np.zeros((1, 3)), ["a", "b"])


def test_the_equal_error_rate_is_that_of_the_curves():
    from sklearn.metrics import roc_curve

    rng = np.random.default_rng(0)
    own, others = rng.normal(1, 1, 4000), rng.normal(0, 1, 4000)
    edges = np.linspace(-5, 6, 1000)
    counts = np.stack([np.histogram(scores, edges)[0] for scores in (own, others)])
    wrong, right, _ = roc_curve([1] * 4000 + [0] * 4000, np.concatenate([own, others]))
    expected = wrong[np.argmin(np.abs(wrong - (1 - right)))]
    assert equal_error_rate(counts.astype(float)) == pytest.approx(expected, abs=0.005)
    assert equal_error_rate(np.array([[0.0, 1.0], [1.0, 0.0]])) == 0
