"""Checkpoints of the original authors: converted without running anything that is in them."""

import json
import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cli.weights import weights
from emo.errors import CheckpointError
from emo.extractors import make_encoder
from emo.extractors.checkpoints import load_tensors
from emo.extractors.fetch import PICKLE, convert, settle, write_card
from emo.extractors.registry import preset_source
from emo.testing import assert_same_arrays
from emo.views import FacesView, ViewData

FACES = FacesView(sampling="uniform:16", size=32)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EMO_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def faces():
    pictures = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    return {FACES: ViewData(array=pictures, times=np.zeros(16))}


class Canary:
    """A pickle that would write a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_a_checkpoint_is_never_run(tmp_path, protocol):
    canary, file = tmp_path / "canary", tmp_path / "evil.pth"
    file.write_bytes(pickle.dumps({"model": Canary(canary)}, protocol=protocol))
    with pytest.raises(CheckpointError):
        load_tensors(file)
    assert not canary.exists()


def test_code_in_a_new_style_checkpoint_is_never_run(tmp_path):
    import torch

    canary, file = tmp_path / "canary", tmp_path / "evil.pth"
    torch.save({"cls_token": torch.zeros(1, 1, 8), "extra": Canary(canary)}, file)
    with pytest.raises(CheckpointError, match=r"evil\.pth"):
        convert("eva", file, tmp_path / "out", preset_source("eva", "paper"))
    assert not canary.exists()
    assert not (tmp_path / "out" / "model.safetensors").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x80\x04]", b"text"])
def test_what_is_no_checkpoint_is_named_and_refused(tmp_path, content):
    file = tmp_path / "broken.pth"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.pth"):
        load_tensors(file)


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_tensors_are_found_in_the_wrappers_of_trainers(tmp_path, wrapper):
    import torch

    tensors = {"a": torch.ones(2)}
    torch.save(tensors if wrapper is None else {wrapper: tensors, "epoch": 3}, tmp_path / "w.pth")
    assert set(load_tensors(tmp_path / "w.pth")) == {"a"}


def original_mae(folder):
    """A small MAE in the files of the original code, decoder and all."""
    import torch
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    model = VisionTransformer(img_size=32, embed_dim=128, depth=2, num_heads=2, num_classes=0)
    tensors = dict(model.state_dict()) | {
        "mask_token": torch.zeros(1, 1, 8),
        "decoder_norm.weight": torch.ones(8),
    }
    torch.save({"model": tensors, "epoch": 340}, folder / "mae_340.pth")
    return model.eval(), folder / "mae_340.pth"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A model, its original file, the folder it was converted to and the digests of what is there."""
    folder = tmp_path_factory.mktemp("mae")
    model, file = original_mae(folder)
    digests = convert("mae", file, folder / "out", preset_source("mae", "paper"))
    return SimpleNamespace(model=model, file=file, folder=folder / "out", digests=digests)


def test_an_original_mae_gives_the_same_features_after_conversion(converted, faces):
    import torch

    from emo.extractors import mae
    from emo.extractors.pixels import IMAGENET_MEAN, IMAGENET_STD, normalise

    encoder = make_encoder("mae", "paper", weights=converted.folder, faces=FACES, device="cpu")
    pixels = torch.from_numpy(normalise(faces[FACES].array, IMAGENET_MEAN, IMAGENET_STD))
    with torch.inference_mode():
        frames = mae.pool(converted.model, pixels, "class").numpy()
    expected = {"frames": frames, "utterance": frames.mean(axis=0)}
    assert_same_arrays(expected, encoder.encode([faces])[0])


def test_a_checkpoint_in_halves_stays_in_halves_and_is_encoded_in_float32(converted, tmp_path, faces):
    import torch
    from safetensors.torch import load_file

    from emo.extractors.mae_convert import convert_mae

    halves = {name: tensor.half() for name, tensor in load_tensors(converted.file).items()}
    torch.save(halves, tmp_path / "halves.pth")
    convert_mae(str(tmp_path / "halves.pth"), str(tmp_path / "out"))
    assert load_file(tmp_path / "out" / "model.safetensors")["pos_embed"].dtype == torch.float16
    encoder = make_encoder("mae", "paper", weights=tmp_path / "out", faces=FACES, device="cpu")
    assert encoder.encode([faces])[0]["frames"].dtype == np.float32


def original_videomae(folder, prefix):
    """A small VideoMAE under the names of the original code, from a transformers one."""
    import torch
    from transformers import VideoMAEConfig, VideoMAEModel

    torch.manual_seed(0)
    sizes = {"image_size": 32, "hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 64}
    config = VideoMAEConfig(**sizes, num_attention_heads=2, use_mean_pooling=False, layer_norm_eps=1e-6)
    model = VideoMAEModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    ours = model.state_dict()
    names = {"layernorm_before": "norm1", "layernorm_after": "norm2", "attention.output.dense": "attn.proj"}
    names |= {"intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2"}
    theirs = {f"{prefix}norm.{kind}": ours[f"layernorm.{kind}"] for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        theirs[f"{prefix}patch_embed.proj.{kind}"] = ours[f"embeddings.patch_embeddings.projection.{kind}"]
    for block in range(2):
        old, new = f"encoder.layer.{block}", f"{prefix}blocks.{block}"
        for name, other in names.items():
            for kind in ("weight", "bias"):
                theirs[f"{new}.{other}.{kind}"] = ours[f"{old}.{name}.{kind}"]
        parts = [ours[f"{old}.attention.attention.{part}.weight"] for part in ("query", "key", "value")]
        theirs[f"{new}.attn.qkv.weight"] = torch.cat(parts)
        theirs[f"{new}.attn.q_bias"] = ours[f"{old}.attention.attention.query.bias"]
        theirs[f"{new}.attn.v_bias"] = ours[f"{old}.attention.attention.value.bias"]
    torch.save({"model": theirs}, folder / "maeV_399.pth")
    return model, folder / "maeV_399.pth"


@pytest.mark.parametrize("prefix", ["encoder.", ""])
def test_an_original_videomae_gives_the_same_features_after_conversion(tmp_path, faces, prefix):
    import torch

    from emo.extractors import videomae
    from emo.extractors.mae_convert import convert_videomae
    from emo.extractors.pixels import IMAGENET_MEAN, IMAGENET_STD, normalise

    model, file = original_videomae(tmp_path, prefix)
    convert_videomae(str(file), str(tmp_path / "out"), side=32)
    encoder = make_encoder("videomae", "paper", weights=tmp_path / "out", faces=FACES, device="cpu")
    pixels = torch.from_numpy(normalise(faces[FACES].array, IMAGENET_MEAN, IMAGENET_STD)[None])
    with torch.inference_mode():
        frames = videomae.tubelet_means(model, pixels, 8)[0].numpy()
    expected = {"frames": frames, "utterance": frames.mean(axis=0)}
    assert_same_arrays(expected, encoder.encode([faces])[0])


def test_a_fetched_pickle_becomes_safetensors_and_is_gone(tmp_path):
    import torch
    from safetensors.torch import load_file

    landing = tmp_path / "landing"
    landing.mkdir()
    shared = torch.arange(4.0)
    torch.save({"a": shared, "b": shared}, landing / PICKLE)
    (landing / "config.json").write_text("{}")
    files = settle(landing, tmp_path, PICKLE)
    assert files.keys() == {"model.safetensors", "config.json"}
    assert load_file(tmp_path / "model.safetensors")["b"].tolist() == [0, 1, 2, 3]
    assert not list(tmp_path.rglob(PICKLE))


def test_the_command_converts_to_where_the_paper_preset_looks(converted, faces):
    result = CliRunner().invoke(weights, ["convert", "mae", str(converted.file), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    encoder = make_encoder("mae", "paper", faces=FACES, device="cpu")
    assert encoder.spec.weights["model"] == told["sha256"]["model.safetensors"]
    assert encoder.spec.licence == preset_source("mae", "paper").licence
    assert encoder.encode([faces])[0]["utterance"].shape == (128,)


def test_a_substitute_never_carries_the_name_of_what_it_stands_for(converted, tmp_path):
    folder = tmp_path / "weights" / "mae" / "paper"
    shutil.copytree(converted.folder, folder)
    source = preset_source("mae", "paper")
    assert make_encoder("mae", "paper").spec.preset == "paper"
    write_card(folder, source.substitute, converted.digests, substitute=True)
    spec = make_encoder("mae", "paper").spec
    assert (spec.preset, spec.licence) == ("paper-substitute", source.substitute.licence)


def test_the_command_says_what_is_not_public_and_what_stands_in_for_it():
    result = CliRunner().invoke(weights, ["get", "-e", "mae,videomae,eva", "--preset", "paper"])
    assert result.exit_code == 2
    for told in ("timm/vit_large_patch16_224.mae", "MCG-NJU/videomae-large", "another distribution"):
        assert told in result.output
    assert "emo weights convert eva" in result.output


def test_a_dry_run_shows_source_and_licence_and_fetches_nothing(tmp_path):
    result = CliRunner().invoke(weights, ["get", "--dry-run", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert {row["licence"] for row in told["fetched"]} == {"MIT", "CC-BY-NC-4.0"}
    assert not (tmp_path / "weights").exists()


def original_eva(folder, side=56):
    """A small eva_vit_g.pth: a block more than is used, and the grid of `side` pixels."""
    import torch

    generator = torch.Generator().manual_seed(0)
    dim, wide = 64, 96
    shapes = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, 1 + (side // 14) ** 2, dim),
        "patch_embed.proj.weight": (dim, 3, 14, 14),
        "patch_embed.proj.bias": (dim,),
    }
    for block in range(3):
        at = f"blocks.{block}"
        for name in ("norm1", "norm2"):
            shapes |= {f"{at}.{name}.weight": (dim,), f"{at}.{name}.bias": (dim,)}
        shapes |= {f"{at}.attn.q_bias": (dim,), f"{at}.attn.v_bias": (dim,)}
        shapes |= {f"{at}.attn.qkv.weight": (3 * dim, dim)}
        for name, out, into in (("attn.proj", dim, dim), ("mlp.fc1", wide, dim), ("mlp.fc2", dim, wide)):
            shapes |= {f"{at}.{name}.weight": (out, into), f"{at}.{name}.bias": (out,)}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    torch.save(tensors, folder / "eva_vit_g.pth")
    return tensors, folder / "eva_vit_g.pth"


@pytest.mark.parametrize("side", [56, 84])
def test_eva_goes_back_to_its_original_names(tmp_path, side):
    import torch

    from emo.extractors import eva_convert

    tensors, file = original_eva(tmp_path)
    eva_convert.convert(str(file), str(tmp_path / "eva"), blocks=2, heads=4, side=side)
    eva_convert.export(tmp_path / "eva", tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert back.keys() == {name for name in tensors if not name.startswith("blocks.2")}
    same = {name for name in back if torch.equal(back[name], tensors[name])}
    assert back.keys() - same == (set() if side == 56 else {"pos_embed"})


def test_what_the_original_eva_has_no_place_for_is_named(tmp_path):
    from safetensors.torch import load_file, save_file

    from emo.extractors import eva_convert

    _, file = original_eva(tmp_path)
    eva_convert.convert(str(file), str(tmp_path / "eva"), blocks=2, heads=4, side=56)
    tensors = load_file(tmp_path / "eva/model.safetensors")
    tensors["post_layernorm.bias"][0] = 1
    tensors["encoder.layers.1.self_attn.qkv.bias"][64] = 1  # the first key bias
    save_file(tensors, tmp_path / "eva/model.safetensors")
    with pytest.raises(CheckpointError, match=r"post_layernorm\.bias, encoder\.layers\.1.*keys"):
        eva_convert.export(tmp_path / "eva", tmp_path / "back.pth")
    assert not (tmp_path / "back.pth").exists()
