"""Every encoder of the table keeps the contract, with its tiny weights."""

import subprocess
import sys

import numpy as np
import pytest

from emo.errors import ConfigError
from emo.extractors import ENCODERS, make_encoder
from emo.extractors.reading import read_views_limited
from emo.records import why_unusable
from emo.testing import EncoderTests


@pytest.fixture(params=sorted(ENCODERS), scope="module")
def encoder(request):
    if request.param == "opensmile":
        pytest.importorskip("opensmile", reason="the extra opensmile is not installed")
    return make_encoder(request.param, device="cpu")


class TestEveryEncoder(EncoderTests):
    pass


def test_making_every_encoder_leaves_torch_unloaded():
    code = (
        "import sys; from emo.extractors import ENCODERS, make_encoder\n"
        "for name in set(ENCODERS) - {'opensmile'}: make_encoder(name).spec.fingerprint\n"
        "assert not {'torch', 'transformers', 'timm', 'av'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_media_leaves_torch_unloaded():
    code = "import sys; import emo.extractors.media; assert not {'torch', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_encoder_is_answered_with_the_nearest_known_one():
    with pytest.raises(ConfigError, match="did you mean `wav2vec2`"):
        make_encoder("wav2vec3")


def test_an_unknown_preset_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match="paper, base, tiny"):
        make_encoder("hubert", "huge")


def test_one_reading_of_a_clip_feeds_all_encoders(clips, clip_of, good):
    encoders = [make_encoder(name, device="cpu") for name in ENCODERS if name != "opensmile"]
    needs = frozenset().union(*(encoder.needs for encoder in encoders))
    clip = clip_of(clips["face.mp4"], text="I never thought you would come.")
    views = {view: good(found) for view, found in read_views_limited(clip, needs).items()}
    for encoder in encoders:
        (arrays,) = encoder.encode([{view: views[view] for view in encoder.needs}])
        for name, array in arrays.items():
            assert why_unusable(array) is None, (encoder.spec.encoder, name)


def test_tiny_features_of_different_clips_differ_in_every_token(clips, clip_of, good):
    encoder = make_encoder("eva", device="cpu")
    (view,) = encoder.needs
    both = [
        {view: good(read_views_limited(clip_of(clips[name]), [view])[view])}
        for name in ("face.mp4", "blank.mp4")
    ]
    first, second = (arrays["tokens"] for arrays in encoder.encode(both))
    assert np.abs(first - second).max(axis=1).min() > 1e-3


def test_half_precision_is_another_feature_close_to_the_first(clips, clip_of, good):
    full, half = (make_encoder("mae", device="cpu", precision=name) for name in ("float32", "bfloat16"))
    (view,) = full.needs
    views = [{view: good(read_views_limited(clip_of(clips["face.mp4"]), [view])[view])}]
    exact, rough = (encoder.encode(views)[0]["utterance"] for encoder in (full, half))
    assert full.spec.fingerprint != half.spec.fingerprint
    assert 0 < np.abs(exact - rough).max() < 0.05 * np.abs(exact).max()
    with pytest.raises(ConfigError, match="float8"):
        make_encoder("mae", precision="float8")


def test_an_encoder_of_another_package_is_found_by_its_entry_point(tmp_path, monkeypatch):
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[emo.encoders]\nloudness = other:Loudness\nhubert = other:Nope\n")
    (tmp_path / "other.py").write_text(
        "class Loudness:\n"
        "    def __init__(self, preset, gain=1):\n"
        "        self.preset, self.gain = preset, gain\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    made = make_encoder("loudness", "base", gain=3)
    assert (type(made).__name__, made.preset, made.gain) == ("Loudness", "base", 3)
    assert type(make_encoder("hubert")).__module__ == "emo.extractors.hubert"
