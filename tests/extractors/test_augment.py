"""Augmented views: what they change, whose they are, and specs of their own."""

import numpy as np
import pytest

from emo.digests import StatCache
from emo.errors import ConfigError
from emo.extractors import make_encoder
from emo.extractors.augment import Augmented, blurred, generator_of, noisy, parse_augmentation
from emo.extractors.reading import read_views_limited
from emo.pipeline.inputs import InputDigests
from emo.testing import EncoderTests, tone
from emo.views import AudioView, AugmentedView, FacesView, FrameView, ViewProblem

NOISE, FLIP = parse_augmentation("noise@10dB"), parse_augmentation("flip")


@pytest.mark.parametrize("name", ["noise", "noise@10", "noise@200dB", "noise@nandB", "mirror", "", "flip "])
def test_other_names_are_refused(name):
    with pytest.raises(ConfigError, match="unknown view"):
        parse_augmentation(name)


def test_one_augmentation_has_one_name():
    assert str(parse_augmentation("noise@10.0dB")) == str(NOISE) == "noise@10dB"
    assert str(parse_augmentation("noise@-0dB")) == "noise@0dB"


@pytest.mark.parametrize("decibels", [-5.0, 10.0])
def test_noise_is_mixed_at_exactly_the_ratio_asked_for(decibels):
    sound = tone(1.0)
    noise = noisy(sound, decibels, np.random.default_rng(0)) - sound
    ratio = 10 * np.log10(np.mean(sound.astype(float) ** 2) / np.mean(noise.astype(float) ** 2))
    assert ratio == pytest.approx(decibels, abs=0.01)


def test_noise_belongs_to_the_clip_and_silence_stays_silent():
    draws = [generator_of(clip, "noise@10dB").random() for clip in ("a", "a", "b")]
    assert draws[0] == draws[1] != draws[2]
    assert not noisy(np.zeros(100, np.float32), 10.0, np.random.default_rng(0)).any()


def test_views_of_one_reading_are_plain_and_augmented(clips, clip_of, good):
    sound, faces, frame = AudioView(), FacesView(sampling="uniform:2", size=32), FrameView("middle")
    views = [
        sound,
        faces,
        frame,
        AugmentedView(sound, "noise@10dB"),
        *(AugmentedView(v, "flip") for v in (faces, frame)),
    ]
    found = {view: good(data) for view, data in read_views_limited(clip_of(clips["face.mp4"]), views).items()}
    for view in (faces, frame):
        np.testing.assert_array_equal(
            found[AugmentedView(view, "flip")].array, found[view].array[..., ::-1, :]
        )
    noise = found[AugmentedView(sound, "noise@10dB")]
    assert noise.array.shape == found[sound].array.shape
    assert noise.meta["augment"] == "noise@10dB"
    mute = AugmentedView(sound, "noise@10dB")
    assert isinstance(read_views_limited(clip_of(clips["mute.mp4"]), [mute])[mute], ViewProblem)


@pytest.fixture(scope="module")
def encoder():
    return Augmented(make_encoder("hubert", "tiny"), NOISE)


class TestAugmentedHubert(EncoderTests):
    """The contract holds for an encoder that hears noise."""


def test_the_spec_names_augmentation_and_parent_and_the_parents_is_as_before():
    parent = make_encoder("mae", "tiny")
    spec = Augmented(parent, FLIP).spec
    assert spec.recipe["augment"] == "flip"
    assert spec.recipe["parent"] == parent.spec.fingerprint != spec.fingerprint
    assert spec.preset == "tiny+flip"
    assert "augment" not in parent.spec.recipe


def test_an_encoder_that_reads_nothing_of_the_kind_is_refused():
    with pytest.raises(ConfigError, match="hubert reads nothing that flip changes"):
        Augmented(make_encoder("hubert", "tiny"), FLIP)


def test_an_augmented_view_reads_the_same_input(clips, clip_of):
    files, view = StatCache(None), FacesView()
    clip = clip_of(clips["face.mp4"])
    digests = InputDigests([clip], files)
    assert digests.of([AugmentedView(view, "flip")]) == digests.of([view])


def test_blur_keeps_the_mean_softens_edges_and_belongs_to_the_size_of_the_picture():
    edge = np.zeros((2, 64, 64, 3), np.uint8)
    edge[:, :, 32:] = 200
    soft = blurred(edge, 7.0)  # 2 pixels where the side is 64
    assert (soft.shape, soft.dtype) == (edge.shape, np.uint8)
    assert abs(float(soft.mean()) - 100) < 1
    across = soft[0, 10, :, 0].astype(int)
    assert (np.diff(across) >= 0).all()
    spread = np.interp(200 * 0.8413, across, np.arange(64)) - np.interp(100, across, np.arange(64))
    assert spread == pytest.approx(2.0, abs=0.15)  # one standard deviation of a Gaussian
    np.testing.assert_array_equal(blurred(edge[0], 7.0), soft[0])
    assert str(parse_augmentation("blur@4.0px")) == "blur@4px"
    for name in ("blur@0px", "blur@400px", "blur@4", "blur"):
        with pytest.raises(ConfigError, match="unknown view"):
            parse_augmentation(name)
