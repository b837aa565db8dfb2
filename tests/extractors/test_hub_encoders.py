"""Encoders in the folders that transformers and timm write, under their own names and as hf: and timm:."""

import json

import numpy as np
import pytest

from emo.errors import CheckpointError, ConfigError
from emo.extractors import make_encoder
from emo.extractors.registry import preset_source
from emo.extractors.weights import weights_folder
from emo.testing import EncoderTests
from emo.views import TextView, ViewData

SPEECH = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embedding_groups": 2,
}
POSITIONS = {"num_conv_pos_embeddings": 16}
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 16,
}
TEXT = {
    "vocab_size": 260,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 16,
    "max_source_positions": 50,
    "max_target_positions": 8,
    "vocab_size": 50,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
MODELS = {
    "wavlm group norm": ("WavLMModel", {**SPEECH, **POSITIONS}),
    "wavlm layer norm": ("WavLMModel", {**SPEECH, **POSITIONS, **LAYER_NORM}),
    "wav2vec2 with a head": ("Wav2Vec2ForCTC", {**SPEECH, **POSITIONS, **LAYER_NORM, "vocab_size": 20}),
    "data2vec": ("Data2VecAudioModel", {**SPEECH, "num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 9}),
    "unispeech-sat": ("UniSpeechSatModel", {**SPEECH, **POSITIONS, **LAYER_NORM}),
    "whisper": ("WhisperForConditionalGeneration", WHISPER),
    "dinov2": ("Dinov2Model", {**VISION, "mlp_ratio": 2}),
    "dinov2 registers": ("Dinov2WithRegistersModel", {**VISION, "mlp_ratio": 2, "num_register_tokens": 3}),
    "vit with a head": ("ViTForImageClassification", VISION),
    "deit": ("DeiTModel", VISION),
    "clip": ("CLIPVisionModelWithProjection", {**VISION, "projection_dim": 24}),
    "roberta": ("RobertaForMaskedLM", {**TEXT, "type_vocab_size": 1, "pad_token_id": 1}),
    "bert": ("BertModel", TEXT),
}
NAMED = {"wavlm layer norm": "wavlm", "data2vec": "data2vec-audio", "dinov2": "dinov2", "roberta": "roberta"}


@pytest.fixture(autouse=True, scope="module")
def own_weights_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMO_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def saved(kind, folder):
    """A small model with random weights as its library writes it."""
    import torch
    import transformers

    from emo.extractors.text import byte_tokenizer

    name, sizes = MODELS[kind]
    model_class = getattr(transformers, name)
    torch.manual_seed(0)
    model_class(model_class.config_class(**sizes)).save_pretrained(folder)
    if sizes.get("vocab_size") == 260:
        byte_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def timm_saved(architecture, folder, **sizes):
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model(architecture, pretrained=False, num_classes=0, **sizes)
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    trained = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.25] * 3, "license": "apache-2.0"}
    config = {
        "architecture": architecture,
        "num_features": model.num_features,
        "global_pool": "token" if "vit" in architecture else "avg",
        "model_args": sizes,
        "pretrained_cfg": trained,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(params=sorted(MODELS), scope="module")
def encoder(request, tmp_path_factory):
    folder = saved(request.param, tmp_path_factory.mktemp("model"))
    return make_encoder("hf:someone/model", "base", weights=folder, device="cpu")


class TestModelsOfTheHub(EncoderTests):
    pass


@pytest.mark.parametrize("kind", sorted(NAMED))
def test_an_encoder_of_the_table_reads_the_same_folder_to_the_same_values(kind, tmp_path):
    folder = saved(kind, tmp_path / "m")
    ours, theirs = (
        make_encoder(name, "base", weights=folder, device="cpu") for name in (NAMED[kind], "hf:a/b")
    )
    views = {view: EncoderTests().views_of(ours, seed=0)[view] for view in ours.needs}
    if ours.needs != theirs.needs:  # the hub's side of the picture is the model's own
        ours = make_encoder(NAMED[kind], "base", weights=folder, faces=next(iter(theirs.needs)), device="cpu")
        views = EncoderTests().views_of(ours, seed=0)
    np.testing.assert_array_equal(
        ours.encode([views])[0]["utterance"], theirs.encode([views])[0]["utterance"]
    )


@pytest.mark.parametrize("architecture", ["vit_tiny_patch16_224", "resnet18"])
def test_any_model_of_timm_is_an_encoder_with_its_own_preprocessing(architecture, tmp_path):
    sizes = {"img_size": 32, "depth": 2} if "vit" in architecture else {}
    folder = timm_saved(architecture, tmp_path / "m", **sizes)
    encoder = make_encoder(f"timm:{architecture}", "base", weights=folder, device="cpu")
    (view,) = encoder.needs
    suite = EncoderTests()
    suite.test_arrays_are_as_the_spec_says(encoder)
    suite.test_a_batch_gives_what_single_clips_give(encoder)
    assert (view.size, encoder.spec.recipe["mean"], encoder.spec.licence.name) == (
        32,
        [0.5] * 3,
        "apache-2.0",
    )
    assert encoder.spec.encoder == f"timm+{architecture}"
    assert encoder.spec.recipe["pooling"] == ("class" if "vit" in architecture else "mean")


def test_timm_says_where_the_usual_weights_of_a_model_are():
    source = preset_source("timm:vit_small_patch14_dinov2", "base")
    assert source.repo == "timm/vit_small_patch14_dinov2.lvd142m"
    with pytest.raises(ConfigError, match="no pretrained model"):
        preset_source("timm:vit_of_nobody", "base")


@pytest.mark.parametrize("name", ["hf:facebook/dinov2-base", "timm:resnet18", "wavlm@large", "roberta"])
def test_missing_weights_are_answered_with_the_command_that_fetches_them(name):
    asked = name.partition("@")[0]
    with pytest.raises(CheckpointError, match=f"Run: emo weights get --encoder {asked} --preset"):
        make_encoder(name, "base")


def test_weights_are_found_where_the_command_puts_them():
    saved("dinov2", weights_folder("hf+someone+dino", "base"))
    made = make_encoder("hf:someone/dino", "base")
    assert made.spec.encoder == "hf+someone+dino"
    assert made.spec.licence.source == "https://huggingface.co/someone/dino"
    assert make_encoder("hf+someone+dino", "base").spec.fingerprint == made.spec.fingerprint


@pytest.mark.parametrize(
    "config",
    [{"model_type": "llama"}, {"model_type": "bert", "auto_map": {"AutoModel": "evil.Model"}}, {"a": 1}],
)
def test_a_model_that_emo_cannot_run_is_refused_with_those_it_can(config, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("raise SystemExit('code of the repository was run')")
    with pytest.raises(ConfigError, match="runs no code from a repository and knows hubert"):
        make_encoder("hf:someone/model", "base", weights=tmp_path)


def test_a_text_model_without_its_tokenizer_is_refused(tmp_path):
    folder = saved("bert", tmp_path / "m")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        make_encoder("macbert", "base", weights=folder)


def test_another_tokenizer_is_another_feature(tmp_path):
    folder = saved("bert", tmp_path / "m")
    before = make_encoder("macbert", "base", weights=folder).spec
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, indent=3))
    assert "tokenizer" in before.weights
    assert make_encoder("macbert", "base", weights=folder).spec.fingerprint != before.fingerprint


def test_a_text_longer_than_the_model_reads_is_read_in_pieces_and_whole(tmp_path):
    encoder = make_encoder("roberta", "base", weights=saved("roberta", tmp_path / "m"), device="cpu")
    text = "never again, " * 10  # 130 tokens; the model reads 22, two of them its own
    views = {TextView(): ViewData(array=np.array([text]), times=np.zeros(0))}
    (arrays,) = encoder.encode([views])
    assert arrays["frames"].shape == (130, 32)
    np.testing.assert_allclose(arrays["utterance"], arrays["frames"].mean(axis=0), atol=1e-6)
