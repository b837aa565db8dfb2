"""Numbers recorded from the official Emotion-LLaMA classes (commit 4ee28d2), where they are at hand."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from emo.extractors import eva, make_encoder
from emo.extractors.eva_convert import convert, resample_positions
from emo.extractors.pixels import CLIP_MEAN, CLIP_STD, normalise, squash
from emo.views import AudioView, ViewData

GOLDEN = Path(__file__).parents[2] / "../shared/golden"
pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="the golden vectors are not on this machine")


@pytest.fixture(scope="module")
def eva_io():
    return load_file(GOLDEN / "eva_vit/io.safetensors")


@pytest.fixture(scope="module")
def eva_model(tmp_path_factory):
    """The official tiny ViT, through the converter and the loader."""
    import torch
    from transformers import Blip2VisionModel

    from emo.extractors.inference import pretrained

    folder = tmp_path_factory.mktemp("eva")
    weights = load_file(GOLDEN / "eva_vit/weights.safetensors")
    tensors = {
        name.removeprefix("visual_encoder."): tensor
        for name, tensor in weights.items()
        if name.startswith("visual_encoder.")
    }
    torch.save(tensors, folder / "eva.pth")
    convert(str(folder / "eva.pth"), str(folder), blocks=3, heads=4, side=56)
    model = pretrained(Blip2VisionModel, str(folder)).eval()
    model.post_layernorm.weight.data.copy_(weights["ln_vision.weight"])
    model.post_layernorm.bias.data.copy_(weights["ln_vision.bias"])
    return model


def test_eva_blocks_give_the_official_tokens(eva_model, eva_io):
    import torch

    with torch.inference_mode():
        tokens = eva.tokens_before_norm(eva_model, eva_io["image"])
    np.testing.assert_allclose(tokens.numpy(), eva_io["forward"].numpy(), atol=2e-5)


def test_eva_ln_vision_gives_the_official_tokens_with_eps_1e_5(eva_model, eva_io):
    import torch

    with torch.inference_mode():
        tokens = eva.layer_norm(eva_model, eva_io["forward"], "trained", 1e-5)
    np.testing.assert_allclose(tokens.numpy(), eva_io["ln_vision_out"].numpy(), atol=2e-5)


@pytest.mark.parametrize("grid", [8, 3])
def test_positions_are_resampled_as_officially(eva_io, grid):
    found = resample_positions(eva_io["pos_embed_ckpt_4x4"], grid)
    np.testing.assert_allclose(found, eva_io[f"pos_embed_interp_{grid}x{grid}"], atol=1e-6)


@pytest.mark.parametrize("side", [56, 448])
def test_a_frame_is_squashed_and_normalised_as_officially(side):
    golden = load_file(GOLDEN / "processors/image_processor.safetensors")
    found = normalise(squash(golden["rgb_uint8_hwc"].numpy(), side), CLIP_MEAN, CLIP_STD)
    np.testing.assert_allclose(found, golden[f"processed_{side}"].numpy(), atol=1e-6)


@pytest.mark.parametrize("style", ["large_style", "base_style"])
def test_hubert_gives_the_official_utterance_and_frames(tmp_path, style):
    for name, target in {
        ".safetensors": "model.safetensors",
        "_config.json": "config.json",
        "_preprocessor_config.json": "preprocessor_config.json",
    }.items():
        (tmp_path / target).write_bytes((GOLDEN / "hubert" / f"{style}{name}").read_bytes())
    golden = load_file(GOLDEN / "hubert/io.safetensors")
    sound = golden["wav_float64"].numpy().reshape(-1).astype(np.float32)
    views = {AudioView(): ViewData(array=sound, times=np.zeros(1))}
    layered = make_encoder("hubert", "paper", weights=tmp_path, layers=(0, 1, 2, 3), device="cpu")
    states = layered.encode([views])[0]
    for layer in range(4):
        expected = golden[f"{style}.hidden_states.{layer}"][0].numpy()
        np.testing.assert_allclose(states[f"frames@{layer}"], expected, atol=1e-5)
    encoder = make_encoder("hubert", "paper", weights=tmp_path, device="cpu")
    (arrays,) = encoder.encode([views])
    np.testing.assert_allclose(arrays["frames"], golden[f"{style}.hidden_states.3"][0].numpy(), atol=1e-5)
    utterance = golden[f"{style}.audio_feature"].reshape(-1).numpy()
    np.testing.assert_allclose(arrays["utterance"], utterance, atol=1e-5)


def test_a_weight_moved_a_little_is_seen(eva_io, eva_model):
    import copy

    import torch

    moved = copy.deepcopy(eva_model)
    moved.encoder.layers[0].mlp.fc1.weight.data[0] += 1e-2
    with torch.inference_mode():
        tokens = eva.tokens_before_norm(moved, eva_io["image"])
    assert np.abs(tokens.numpy() - eva_io["forward"].numpy()).max() > 2e-5
