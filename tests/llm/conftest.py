"""A tiny LLaMA, clips of six labels with words and features, and the golden vectors where they are."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from emo.config.llm import LlmConfig, LoraSettings, StageConfig, TinyBaseConfig
from emo.heads.batches import FeatureBatch, Source
from emo.heads.projectors import projectors_for
from emo.labels import MER2023
from emo.llm.base import Base
from emo.llm.build import assemble
from emo.llm.examples import ClipTexts
from emo.llm.features import HeldFeatures
from emo.llm.model import EmotionLlama, with_lora
from emo.llm.official.keys import take_apart
from emo.llm.tiny.tokenizer import train_tokenizer
from emo.spec import ArrayLayout, FeatureSpec

GOLDEN = Path(__file__).parents[2] / "../shared/golden"
FACES = {
    "neutral": "still lips",
    "angry": "lowered brows",
    "happy": "raised cheeks",
    "sad": "drooping corners",
    "worried": "stretched mouth",
    "surprise": "open jaw",
}
TONES = {
    "neutral": "even",
    "angry": "loud",
    "happy": "lively",
    "sad": "slow",
    "worried": "shaky",
    "surprise": "rising",
}
DIMS = {"hubert": 12, "mae": 10, "videomae": 8, "eva": 6}
PATCHES = 8


def make_texts(count, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        label = MER2023[number % len(MER2023)]
        face, tone = FACES[label], TONES[label]
        said = f"We saw {rng.choice(['the door', 'a train', 'my key'])} {rng.choice(['today', 'again'])}."
        found.append(
            ClipTexts(
                clip_id=f"clip{number}",
                text=said,
                label=label,
                caption=f"The face shows {face}. The tone is {tone}.",
                reason=f'With {face} and a {tone} tone in "{said}" the emotion is {label}.',
                clues=(face, tone),
                speaker=f"speaker{number // 6}",
            )
        )
    return found


def make_features(texts, seed=0, signal=2.0):
    """Every feature is the label's own direction plus noise."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.tensor([MER2023.index(text.label) for text in texts])
    values, masks, sources = {}, {}, {}
    for name, dim in DIMS.items():
        directions = torch.randn(len(MER2023), dim, generator=generator) * signal
        shape = (len(texts), 1 + PATCHES, dim) if name == "eva" else (len(texts), dim)
        meant = directions[places].unsqueeze(1) if name == "eva" else directions[places]
        values[name] = meant + torch.randn(shape, generator=generator)
        masks[name] = torch.ones(len(texts), dtype=torch.bool)
        sources[name] = Source(spec_of(name), "tokens" if name == "eva" else "utterance")
    return FeatureBatch(tuple(text.clip_id for text in texts), values, masks, sources)


def spec_of(name, version=1):
    tokens = ArrayLayout(kind="tokens", dim=DIMS[name], tokens=1 + PATCHES)
    arrays = (
        {"tokens": tokens} if name == "eva" else {"utterance": ArrayLayout(kind="utterance", dim=DIMS[name])}
    )
    return FeatureSpec(encoder=name, weights={}, recipe={}, recipe_version=version, arrays=arrays)


@pytest.fixture(scope="session")
def kit():
    """What tests build more of the same with."""
    return SimpleNamespace(texts=make_texts, features=make_features, spec=spec_of, dims=DIMS)


@pytest.fixture(scope="session")
def texts():
    return make_texts(36)


@pytest.fixture(scope="session")
def batch(texts):
    return make_features(texts)


@pytest.fixture
def features(batch):
    return HeldFeatures(batch)


@pytest.fixture(scope="session")
def tokenizer(texts):
    words = [f"{text.caption} {text.reason}" for text in texts]
    return train_tokenizer(words, MER2023, vocabulary=400, positions=512)


@pytest.fixture
def base(tokenizer):
    """An untrained LLaMA of two layers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.15,  # large enough that an untrained model says different things
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        llama = LlamaForCausalLM(shape)
    return Base(llama.requires_grad_(False), tokenizer, "untrained", "0" * 64)


@pytest.fixture
def config():
    stage = StageConfig(
        tasks={"emotion": 0.5, "caption": 0.5},
        steps=2,
        batch_size=4,
        peak_lr=1e-3,
        warmup_steps=1,
        clip_norm=1.0,
    )
    return LlmConfig(
        labels=MER2023,
        lora=LoraSettings(rank=4, alpha=2, dropout=0.1),
        standardise=True,
        projector_scale=0.1,
        stages={"coarse": stage},
    )


@pytest.fixture
def model(base, config):
    return assemble(base, DIMS, config, None, seed=0).eval()


@pytest.fixture
def tiny_settings():
    return TinyBaseConfig(
        hidden=32, layers=2, heads=2, intermediate=64, vocabulary=420, steps=3, batch_size=4, warmup_steps=1
    )


@pytest.fixture(scope="session")
def golden():
    """The official model at tiny size, rebuilt from its own checkpoint names, with its inputs."""
    folder = GOLDEN / "emotion_llama"
    if not folder.exists():
        pytest.skip(f"no golden vectors at {folder}")
    from transformers import AutoTokenizer

    meta = json.loads((folder / "meta.json").read_text())
    samples = json.loads((folder / "samples.json").read_text())
    train = load_file(folder / "io_train.safetensors")
    return SimpleNamespace(
        folder=folder,
        meta=meta,
        samples=samples,
        train=train,
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        features=_golden_features(train["video_features"], train["ln_vision_out"]),
        json=lambda name: json.loads((folder / name).read_text()),
        tensors=lambda name: load_file(folder / name),
    )


def _golden_features(rows, tokens):
    values = {"mae": rows[:, 0], "videomae": rows[:, 1], "hubert": rows[:, 2], "eva": tokens}
    present = torch.ones(len(rows), dtype=torch.bool)
    names = tuple(f"sample{number}" for number in range(len(rows)))
    return FeatureBatch(names, values, dict.fromkeys(values, present))


@pytest.fixture
def golden_model(golden):
    from peft import set_peft_model_state_dict
    from transformers import LlamaConfig, LlamaForCausalLM

    weights = take_apart(load_file(golden.folder / "weights.safetensors"))
    llama = LlamaForCausalLM(LlamaConfig(**golden.meta["llama"]))
    llama.load_state_dict(weights.base, strict=True)
    rank, alpha = golden.meta["lora"]["lora_r"], golden.meta["lora"]["lora_alpha"]
    adapted = with_lora(llama.requires_grad_(False), LoraSettings(rank=rank, alpha=alpha, dropout=0.0))
    loaded = set_peft_model_state_dict(adapted, weights.lora)
    assert not loaded.unexpected_keys
    slots = ("eva_patches", "mae", "videomae", "hubert", "eva_class")
    dims = {"mae": 1024, "videomae": 1024, "hubert": 1024, "eva": 64}
    projectors = projectors_for(slots, dims, golden.meta["llama"]["hidden_size"])
    named = {name.replace(".", ".linear."): value for name, value in weights.projectors.items()}
    projectors.load_state_dict(named, strict=True)
    return EmotionLlama(adapted, golden.tokenizer, projectors).eval()
