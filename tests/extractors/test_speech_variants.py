"""What is made of a speech model's states: layers, MERBench's sum over pieces, and who shares a batch."""

import numpy as np
import pytest

from emo.extractors import make_encoder, waveform
from emo.testing import EncoderTests, assert_same_arrays
from emo.views import AudioView, ViewData

RATE = 16_000


def sounds(*seconds):
    generator = np.random.default_rng(1)
    return [
        {
            AudioView(): ViewData(
                array=generator.standard_normal(int(s * RATE)).astype(np.float32), times=np.zeros(1)
            )
        }
        for s in seconds
    ]


@pytest.fixture(
    params=["hubert@merbench", "hubert@layers0.2.3", "data2vec-audio@layers1", "whisper@layers0.3"],
    scope="module",
)
def encoder(request):
    return make_encoder(request.param, device="cpu")


class TestVariantsOfSpeech(EncoderTests):
    pass


@pytest.mark.parametrize("name", ["hubert", "wavlm", "wav2vec2", "data2vec-audio", "whisper"])
def test_the_last_of_several_layers_is_the_feature_that_is_asked_for_alone(name):
    alone = make_encoder(name, device="cpu").encode(sounds(1.0))[0]
    layered = make_encoder(name, layers=(1, 3), device="cpu").encode(sounds(1.0))[0]
    np.testing.assert_allclose(layered["frames@3"], alone["frames"], atol=1e-6)
    assert np.abs(layered["frames@1"] - alone["frames"]).max() > 1e-2


def test_merbench_is_the_sum_of_the_last_four_states():
    summed = make_encoder("hubert@merbench", device="cpu").encode(sounds(2.0))[0]
    each = make_encoder("hubert", layers=(0, 1, 2, 3), device="cpu").encode(sounds(2.0))[0]
    total = sum(each[f"frames@{layer}"] for layer in range(4))
    np.testing.assert_allclose(summed["frames"], total, atol=1e-4)


def test_merbench_keeps_the_frames_of_the_zeros_behind_a_long_clip():
    encoder = make_encoder("hubert@merbench", device="cpu")
    (views,) = sounds(12.0)
    (arrays,) = encoder.encode([views])
    padded = np.pad(views[AudioView()].array, (0, 8 * RATE)).reshape(2, -1)
    halves = encoder.encode([{AudioView(): ViewData(array=half, times=np.zeros(1))} for half in padded])
    np.testing.assert_allclose(
        arrays["frames"], np.concatenate([half["frames"] for half in halves]), atol=1e-5
    )
    times = encoder.times(views)["frames"]["times"]
    assert len(times) == len(arrays["frames"])
    assert times[len(times) // 2] == pytest.approx(10 + times[0])


@pytest.mark.parametrize("name", ["hubert", "wavlm", "wav2vec2", "data2vec-audio", "whisper"])
def test_clips_of_nearly_one_length_in_a_batch_are_what_they_are_alone(name):
    encoder = make_encoder(name, device="cpu")
    batch = sounds(1.0, 0.99, 1.01, 0.985, 1.0, 0.02, 0.001)
    for views, together in zip(batch, encoder.encode(batch), strict=True):
        assert_same_arrays(encoder.encode([views])[0], together)


def test_padding_is_at_most_two_percent_of_what_is_computed():
    generator = np.random.default_rng(0)
    seconds = np.exp(generator.uniform(np.log(0.6), np.log(20.0), 4096))
    lengths = [int(second * RATE) for second in seconds]
    for call in (32, len(lengths)):
        computed = 0
        for start in range(0, len(lengths), call):
            part = lengths[start : start + call]
            for rows in waveform.buckets(part, padded=True):
                computed += len(rows) * max(part[row] for row in rows)
        assert 1 < computed / sum(lengths) <= 1.02


def test_clips_that_may_not_be_padded_share_a_batch_only_with_their_equals():
    rows = list(waveform.buckets([5, 7, 5, 7, 9], padded=False))
    assert rows == [[0, 2], [1, 3], [4]]


def test_whisper_hears_what_its_feature_extractor_hears():
    from transformers import WhisperFeatureExtractor

    from emo.extractors.whisper import log_mel

    (views,) = sounds(3.0)
    sound = views[AudioView()].array
    extractor = WhisperFeatureExtractor(feature_size=80)
    expected = extractor._np_extract_fbank_features(np.pad(sound, (0, 27 * RATE))[None], "cpu")[0]
    np.testing.assert_allclose(log_mel(np.pad(sound, (0, 27 * RATE)), 80), expected, atol=1e-6)


def test_whisper_cuts_off_the_frames_of_the_silence_it_adds():
    encoder = make_encoder("whisper", device="cpu")  # windows of two seconds
    lengths = [len(arrays["frames"]) for arrays in encoder.encode(sounds(0.5, 2.0, 3.03))]
    assert lengths == [25, 100, 152]
