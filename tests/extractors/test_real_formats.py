"""Weights in the formats that users have: folders that the libraries write, and what is wrong with some."""

import json
import os

import numpy as np
import pytest

from emo.errors import CheckpointError
from emo.extractors import make_encoder
from emo.extractors.weights import weights_folder
from emo.testing import EncoderTests, assert_same_arrays
from emo.views import AudioView, FacesView, ViewData

SMALL_HUBERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
FACES = FacesView(sampling="uniform:16", size=32)


@pytest.fixture(autouse=True, scope="module")
def own_cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("EMO_WEIGHTS", raising=False)
        yield


def hubert_folder(folder, norm):
    import torch
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    stable = {"feat_extract_norm": norm, "do_stable_layer_norm": norm == "layer"}
    HubertModel(HubertConfig(**SMALL_HUBERT, **stable)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    return folder


def videomae_folder(folder):
    import torch
    from transformers import VideoMAEConfig, VideoMAEModel

    torch.manual_seed(0)
    sizes = {"image_size": 32, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48}
    VideoMAEModel(VideoMAEConfig(**sizes, num_attention_heads=2)).save_pretrained(folder)
    return folder


def timm_folder(folder, architecture, sizes, **config):
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model(architecture, pretrained=False, num_classes=0, **sizes)
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    dim = sizes["embed_dim"]
    facts = {"architecture": architecture, "num_features": dim, "model_args": sizes, **config}
    (folder / "config.json").write_text(json.dumps(facts))
    return folder


def mae_folder(folder):
    sizes = {"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2}
    return timm_folder(folder, "vit_base_patch16_224", sizes)


def eva02_folder(folder):
    sizes = {"img_size": 224, "embed_dim": 36, "depth": 1, "num_heads": 3}
    facts = {"pretrained_cfg": {"input_size": [3, 224, 224]}}
    return timm_folder(folder, "eva02_tiny_patch14_224", sizes, **facts)


FORMATS = ["hubert layer norm", "hubert group norm", "mae", "videomae", "eva02"]


@pytest.fixture(params=FORMATS, scope="module")
def encoder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "model"
    if request.param.startswith("hubert"):
        made = hubert_folder(folder, request.param.split()[1])
        return make_encoder("hubert", "base", weights=made, device="cpu")
    if request.param == "eva02":
        return make_encoder("eva", "base", weights=eva02_folder(folder), device="cpu")
    made = mae_folder(folder) if request.param == "mae" else videomae_folder(folder)
    return make_encoder(request.param, "base", weights=made, faces=FACES, device="cpu")


class TestFoldersThatLibrariesWrite(EncoderTests):
    pass


def sounds(*lengths):
    generator = np.random.default_rng(0)
    return [
        {AudioView(): ViewData(array=generator.standard_normal(n).astype(np.float32), times=np.zeros(1))}
        for n in lengths
    ]


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_padding_never_reaches_the_frames_of_a_shorter_clip(tmp_path, norm):
    encoder = make_encoder("hubert", "base", weights=hubert_folder(tmp_path / "h", norm), device="cpu")
    batch = sounds(16_000, 15_200, 400, 50, 16_001)
    for views, together in zip(batch, encoder.encode(batch), strict=True):
        assert_same_arrays(encoder.encode([views])[0], together)


def test_a_sound_shorter_than_one_frame_gives_one_frame(tmp_path):
    encoder = make_encoder("hubert", "base", weights=hubert_folder(tmp_path / "h", "layer"), device="cpu")
    (arrays,) = encoder.encode(sounds(7))
    assert arrays["frames"].shape == (1, 32)


def test_a_long_sound_is_heard_in_pieces_that_keep_step(tmp_path, monkeypatch):
    from emo.extractors import waveform

    folder = hubert_folder(tmp_path / "h", "layer")
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    encoder = make_encoder("hubert", "base", weights=folder, device="cpu")
    (views,) = sounds(5 * 16_000 + 123)
    second_piece = views[AudioView()].array[32_000 : 64_000 + 80]
    (whole, piece) = encoder.encode([views, {AudioView(): ViewData(array=second_piece, times=np.zeros(1))}])
    monkeypatch.setattr(waveform, "LONGEST_S", 2)
    (in_pieces,) = encoder.encode([views])
    assert in_pieces["frames"].shape == whole["frames"].shape
    np.testing.assert_allclose(in_pieces["frames"][100:200], piece["frames"], atol=1e-5)


def test_normalisation_follows_the_preprocessor_of_the_weights(tmp_path):
    folder = hubert_folder(tmp_path / "h", "layer")
    with_it = make_encoder("hubert", "base", weights=folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    without = make_encoder("hubert", "base", weights=folder)
    assert (with_it.spec.recipe["normalise"], without.spec.recipe["normalise"]) == (True, False)
    assert with_it.spec.fingerprint != without.spec.fingerprint


def test_another_layer_is_another_feature(tmp_path):
    folder = hubert_folder(tmp_path / "h", "layer")
    last, first = (make_encoder("hubert", "base", weights=folder, layer=n, device="cpu") for n in (-1, 0))
    (views,) = sounds(4000)
    assert last.spec.fingerprint != first.spec.fingerprint
    difference = last.encode([views])[0]["frames"] - first.encode([views])[0]["frames"]
    assert np.abs(difference).max() > 1e-3


@pytest.mark.parametrize("encoder", ["hubert", "mae", "videomae", "eva"])
@pytest.mark.parametrize("preset", ["paper", "base"])
def test_missing_weights_are_answered_with_the_command_that_fetches_them(encoder, preset):
    with pytest.raises(CheckpointError, match=f"Run: emo weights get --encoder {encoder} --preset {preset}"):
        make_encoder(encoder, preset)


def test_weights_are_found_where_the_command_puts_them(monkeypatch, tmp_path):
    monkeypatch.setenv("EMO_WEIGHTS", str(tmp_path / "weights"))
    hubert_folder(weights_folder("hubert", "base"), "layer")
    assert make_encoder("hubert", "base").spec.weights.keys() == {"model", "config", "preprocessor"}


def test_a_tensor_changed_on_disk_is_another_fingerprint(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = hubert_folder(tmp_path / "h", "layer")
    before = make_encoder("hubert", "base", weights=folder).spec.fingerprint
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer_norm.bias"] += 1e-3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert make_encoder("hubert", "base", weights=folder).spec.fingerprint != before


def test_a_hub_snapshot_is_named_by_its_blobs_without_being_read(tmp_path):
    folder = hubert_folder(tmp_path / "h", "layer")
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    (folder / "model.safetensors").rename(blob)
    os.symlink(blob, folder / "model.safetensors")
    assert make_encoder("hubert", "base", weights=folder).spec.weights["model"] == "ab" * 32


def test_weights_of_another_model_are_refused_at_the_first_clip(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = hubert_folder(tmp_path / "h", "layer")
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layers.1.attention.k_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"encoder\.layers\.1\.attention\.k_proj\.weight"):
        make_encoder("hubert", "base", weights=folder, device="cpu").encode(sounds(4000))


def test_a_timm_folder_without_a_tensor_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = mae_folder(tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    del tensors["norm.weight"]
    save_file(tensors, folder / "model.safetensors")
    encoder = make_encoder("mae", "base", weights=folder, faces=FACES, device="cpu")
    view = {FACES: ViewData(array=np.zeros((16, 32, 32, 3), np.uint8), times=np.zeros(16))}
    with pytest.raises(CheckpointError, match=r"norm\.weight"):
        encoder.encode([view])


def test_a_folder_of_pickles_is_refused(tmp_path):
    folder = hubert_folder(tmp_path / "h", "layer")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="safetensors"):
        make_encoder("hubert", "base", weights=folder)


def test_class_token_and_patch_mean_are_different_features(tmp_path):
    folder = mae_folder(tmp_path / "m")
    made = [
        make_encoder("mae", "base", weights=folder, faces=FACES, pooling=pooling, device="cpu")
        for pooling in ("class", "mean")
    ]
    faces = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    view = {FACES: ViewData(array=faces, times=np.zeros(16))}
    by_class, by_mean = (encoder.encode([view])[0]["utterance"] for encoder in made)
    assert made[0].spec.fingerprint != made[1].spec.fingerprint
    assert np.abs(by_class - by_mean).max() > 1e-3


def test_tokens_before_ln_vision_are_another_feature_than_those_after():
    after, before = (make_encoder("eva", ln_vision=place, device="cpu") for place in ("after", "before"))
    (view,) = after.needs
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    views = {view: ViewData(array=picture, times=np.zeros(1))}
    tokens = after.encode([views])[0]["tokens"]
    assert after.spec.fingerprint != before.spec.fingerprint
    assert np.abs(tokens - before.encode([views])[0]["tokens"]).max() > 1e-3
