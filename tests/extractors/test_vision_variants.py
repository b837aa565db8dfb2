"""What is made of a vision model's states: every n-th face, windows, layers, pooling, a compact EVA."""

import numpy as np
import pytest

from emo.errors import ConfigError
from emo.extractors import make_encoder
from emo.extractors.eva import pooled_grid
from emo.extractors.pixels import squash
from emo.extractors.videomae import window_starts
from emo.testing import EncoderTests
from emo.views import FrameView, ViewData

NAMES = [
    "mae@every3",
    "mae@layers1.3",
    "videomae@windows",
    "videomae@layers1.3",
    "clip@projected",
    "clip@mean+layers2",
    "clip@scene+projected",
    "dinov2@all",
    "dinov2@scene",
    "eva@pool1+int8",
    "eva@224",
]


@pytest.fixture(params=NAMES, scope="module")
def encoder(request):
    return make_encoder(request.param, device="cpu")


class TestVariantsOfVision(EncoderTests):
    pass


def faces_for(encoder, count, seed=0):
    (view,) = encoder.needs
    shape = (count, view.size, view.size, 3)
    pictures = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return {view: ViewData(array=pictures, times=np.arange(count) / 25)}


def test_every_third_face_is_every_third_row_of_all():
    every, whole = (make_encoder(name, device="cpu") for name in ("mae@every3", "mae@all"))
    faces = faces_for(whole, 40)
    third, full = every.encode([faces])[0], whole.encode([faces])[0]
    np.testing.assert_allclose(third["frames"], full["frames"][::3], atol=1e-5)
    assert every.times(faces)["frames"]["times"] == (np.arange(0, 40, 3) / 25).tolist()


@pytest.mark.parametrize("name", ["clip", "dinov2"])
def test_a_scene_is_one_whole_frame_squashed_to_what_faces_have(name):
    scene, faces = make_encoder(f"{name}@scene", device="cpu"), make_encoder(name, device="cpu")
    assert scene.needs == {FrameView("middle")}
    assert scene.spec.preset == "tiny-random+scene"
    frame = np.random.default_rng(1).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    seen = {FrameView("middle"): ViewData(array=frame, times=np.array([0.5]))}
    (view,) = faces.needs
    squashed = {view: ViewData(array=squash(frame, view.size)[None], times=np.array([0.5]))}
    whole, same = scene.encode([seen])[0], faces.encode([squashed])[0]
    assert whole["frames"].shape == (1, len(whole["utterance"]))
    assert (whole["utterance"] == same["utterance"]).all()
    assert scene.times(seen) == {"frames": {"times": [0.5]}}
    with pytest.raises(ConfigError, match=f"{name}@scene looks at a whole frame"):
        make_encoder(f"{name}@scene+every3")


@pytest.mark.parametrize("name", ["mae", "clip", "dinov2", "videomae"])
def test_the_last_of_several_layers_is_the_feature_that_is_asked_for_alone(name):
    alone, layered = make_encoder(name, device="cpu"), make_encoder(name, layers=(1, 3), device="cpu")
    faces = faces_for(alone, 16)
    one, several = alone.encode([faces])[0], layered.encode([faces])[0]
    np.testing.assert_allclose(several["utterance@3"], one["utterance"], atol=1e-5)
    assert np.abs(several["utterance@1"] - one["utterance"]).max() > 1e-2


@pytest.mark.parametrize(
    ("faces", "starts"), [(3, [0]), (16, [0]), (17, [0, 1]), (32, [0, 8, 16]), (33, [0, 8, 16, 17])]
)
def test_windows_slide_by_half_and_the_last_ends_with_the_clip(faces, starts):
    assert window_starts(faces, 16) == starts


def test_a_window_is_what_the_model_gives_for_its_faces():
    sliding, plain = (make_encoder(name, device="cpu") for name in ("videomae@windows", "videomae"))
    faces = faces_for(sliding, 24)
    frames = sliding.encode([faces])[0]["frames"]
    (view,), (usual,) = sliding.needs, plain.needs
    second = ViewData(array=faces[view].array[8:24], times=faces[view].times[8:24])
    assert frames.shape[0] == 2
    np.testing.assert_allclose(frames[1], plain.encode([{usual: second}])[0]["utterance"], atol=1e-5)


def test_a_clip_with_fewer_faces_than_a_window_gives_one():
    encoder = make_encoder("videomae@windows", device="cpu")
    faces = faces_for(encoder, 5)
    assert len(encoder.encode([faces])[0]["frames"]) == 1
    assert len(encoder.times(faces)["frames"]["times"]) == 1


def test_a_grid_is_pooled_square_by_square_behind_the_class_token():
    import torch

    tokens = torch.arange(17, dtype=torch.float32).reshape(1, 17, 1)
    assert pooled_grid(tokens, 4, 2).flatten().tolist() == [0.0, 3.5, 5.5, 11.5, 13.5]


def test_clip_projects_what_transformers_projects(tmp_path):
    import torch
    from transformers import CLIPConfig, CLIPModel

    from emo.extractors.clip import TINY_CONFIG

    torch.manual_seed(0)
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(vision_config=TINY_CONFIG, text_config={**text, "vocab_size": 16}, projection_dim=32)
    CLIPModel(config).save_pretrained(tmp_path)
    encoder = make_encoder("clip@base+projected", weights=tmp_path, device="cpu")
    whole = CLIPModel.from_pretrained(tmp_path).eval()
    (view,) = encoder.needs
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    from emo.extractors.pixels import CLIP_MEAN, CLIP_STD, normalise

    with torch.inference_mode():
        ready = torch.from_numpy(normalise(pixels, CLIP_MEAN, CLIP_STD))
        expected = whole.visual_projection(whole.vision_model(ready).pooler_output).numpy()
    found = encoder.encode([{view: ViewData(array=pixels, times=np.zeros(2))}])[0]["frames"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
