"""The published sizes, built without memory on the meta device: parameters and shapes."""

import pytest


def eva_of_the_paper():
    from transformers import Blip2VisionConfig, Blip2VisionModel

    from emo.extractors.eva import PRESETS

    return Blip2VisionModel(Blip2VisionConfig(image_size=PRESETS["paper"].side, initializer_range=0.02))


@pytest.fixture
def meta():
    import torch

    with torch.device("meta"):
        yield torch


def count(model, *left_out):
    return sum(p.numel() for name, p in model.named_parameters() if not name.startswith(left_out))


def test_eva_g_has_39_blocks_and_gives_1025_tokens_of_1408(meta):
    from emo.extractors import eva

    model = eva_of_the_paper()
    # The count of the official class: transformers adds key biases (39 x 1408, all zero) and the last norm.
    assert count(model, "post_layernorm") - 39 * 1408 == 986_975_872
    tokens = eva.tokens_before_norm(model, meta.empty(2, 3, 448, 448))
    assert eva.layer_norm(model, tokens, "identity", 1e-5).shape == (2, 1025, 1408)


def test_mae_large_gives_one_vector_of_1024_a_face(meta):
    import timm

    from emo.extractors import mae

    model = timm.create_model("vit_large_patch16_224", num_classes=0, global_pool="", fc_norm=False)
    assert mae.pool(model, meta.empty(3, 3, 224, 224), "class").shape == (3, 1024)
    assert mae.pool(model, meta.empty(3, 3, 224, 224), "mean").shape == (3, 1024)


def test_videomae_large_gives_eight_frames_of_1024(meta):
    from transformers import VideoMAEConfig, VideoMAEModel

    from emo.extractors import videomae

    sizes = {"hidden_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 16}
    model = VideoMAEModel(VideoMAEConfig(**sizes, intermediate_size=4096))
    assert videomae.tubelet_means(model, meta.empty(2, 16, 3, 224, 224), 8).shape == (2, 8, 1024)


def test_hubert_large_gives_fifty_frames_of_1024_a_second(meta):
    from transformers import HubertConfig, HubertModel

    from emo.extractors.waveform import frame_count, receptive_field

    sizes = {
        "hidden_size": 1024,
        "num_hidden_layers": 2,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    }
    config = HubertConfig(
        **sizes, do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True, mask_time_prob=0.0
    )
    states = HubertModel(config).eval()(meta.empty(1, 32_000)).last_hidden_state
    assert states.shape == (1, 99, 1024)
    assert frame_count(32_000, config.conv_kernel, config.conv_stride) == 99
    assert receptive_field(config.conv_kernel, config.conv_stride) == 400


LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
SPEECH = {
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "mask_time_prob": 0.0,
}


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("wavlm", SPEECH), ("wav2vec2", SPEECH), ("data2vec-audio", {"mask_time_prob": 0.0, "conv_bias": True})],
)
def test_large_speech_models_give_fifty_frames_of_1024_a_second(meta, name, sizes):
    from emo.extractors.registry import encoder_class
    from emo.extractors.speech import fresh

    family = encoder_class(name).family
    model = fresh(family, {**LARGE, "num_hidden_layers": 2, **sizes}).eval()
    assert model(meta.empty(1, 32_000)).last_hidden_state.shape == (1, 99, 1024)


def test_whisper_large_gives_1500_frames_of_1280_from_thirty_seconds(meta):
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        d_model=1280,
        encoder_layers=2,
        encoder_attention_heads=20,
        encoder_ffn_dim=5120,
        decoder_layers=1,
        decoder_attention_heads=20,
        num_mel_bins=128,
    )
    encoder = WhisperModel(config).encoder.eval()
    assert encoder(meta.empty(1, 128, 3000)).last_hidden_state.shape == (1, 1500, 1280)


@pytest.mark.parametrize(
    ("kind", "sizes", "tokens"),
    [
        ("clip", {**LARGE, "patch_size": 14, "image_size": 224, "projection_dim": 768}, 257),
        ("dinov2", {**LARGE, "patch_size": 14, "image_size": 518}, 257),
    ],
)
def test_large_image_models_give_a_class_token_of_1024_a_face(meta, kind, sizes, tokens):
    import transformers

    from emo.extractors import transformer_stills
    from emo.extractors.stills import pooled

    model_class = getattr(transformers, transformer_stills.KINDS[kind].model_class)
    model = model_class(model_class.config_class(**sizes)).eval()
    family = transformer_stills.family(kind, kind, {})
    states = family.states(model, meta.empty(2, 3, 224, 224), True)
    assert len(states) == 25
    assert states[-1].shape == (2, tokens, 1024)
    assert pooled(states[-1], "class", family.prefix(model)).shape == (2, 1024)


@pytest.mark.parametrize("name", ["RobertaModel", "BertModel"])
def test_large_text_models_give_1024_a_token(meta, name):
    import transformers

    model_class = getattr(transformers, name)
    model = model_class(model_class.config_class(**LARGE)).eval()
    ids = meta.ones(1, 7, dtype=meta.long)
    assert model(input_ids=ids).last_hidden_state.shape == (1, 7, 1024)


def test_eva_of_the_paper_pooled_to_64_is_a_sixteenth(meta):
    from emo.extractors import eva

    assert eva.pooled_grid(meta.empty(2, 1025, 1408), 32, 8).shape == (2, 65, 1408)
