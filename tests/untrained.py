"""Models that were never trained, saved in the real format: for roads, not for answers."""

import pytest

from emo.labels import MER2023


@pytest.fixture(scope="session")
def save_llama():
    """Save a LLaMA of one layer and its tokenizer, and get the folder back."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def save(folder, tokenizer, positions):
        shape = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=positions,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            LlamaForCausalLM(shape).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save


def words(*more):
    from emo.llm.tiny.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(["Which of these emotions?"], MER2023, vocabulary=400, positions=512)
    tokenizer.add_special_tokens({"additional_special_tokens": list(more)})
    return tokenizer


def small_llama(tokenizer):
    return {
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


def saved(model, processor, folder):
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def video_llava(tmp_path_factory):
    from transformers import (
        VideoLlavaConfig,
        VideoLlavaForConditionalGeneration,
        VideoLlavaImageProcessor,
        VideoLlavaProcessor,
        VideoLlavaVideoProcessor,
    )

    tokenizer = words("<image>", "<video>")
    ids = tokenizer.convert_tokens_to_ids(["<image>", "<video>"])
    config = VideoLlavaConfig(
        vision_config=VISION,
        text_config=small_llama(tokenizer),
        image_token_index=ids[0],
        video_token_index=ids[1],
    )
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    processor = VideoLlavaProcessor(
        image_processor=VideoLlavaImageProcessor(**size),
        video_processor=VideoLlavaVideoProcessor(**size),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
    )
    folder = tmp_path_factory.mktemp("video-llava")
    return saved(lambda: VideoLlavaForConditionalGeneration(config), processor, folder)


@pytest.fixture(scope="session")
def llava_next(tmp_path_factory):
    from transformers import (
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    tokenizer = words("<image>")
    pinpoints = [[28, 56], [56, 28], [56, 56]]
    config = LlavaNextConfig(
        vision_config=VISION,
        text_config=small_llama(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=pinpoints,
    )
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessor(image_grid_pinpoints=pinpoints, **size),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    folder = tmp_path_factory.mktemp("llava-next")
    return saved(lambda: LlavaNextForConditionalGeneration(config), processor, folder)


@pytest.fixture(scope="session")
def qwen2_audio(tmp_path_factory):
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        WhisperFeatureExtractor,
    )

    tokenizer = words("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|im_start|>", "<|im_end|>")
    audio = {
        "model_type": "qwen2_audio_encoder",
        "d_model": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "num_mel_bins": 16,
        "max_source_positions": 100,
    }
    config = Qwen2AudioConfig(
        audio_config=audio,
        text_config={**small_llama(tokenizer), "model_type": "qwen2"},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    heard = WhisperFeatureExtractor(feature_size=16, chunk_length=2)
    folder = tmp_path_factory.mktemp("qwen2-audio")
    processor = Qwen2AudioProcessor(feature_extractor=heard, tokenizer=tokenizer)
    return saved(lambda: Qwen2AudioForConditionalGeneration(config), processor, folder)
