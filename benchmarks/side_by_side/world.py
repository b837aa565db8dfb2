"""A LLaMA of 4 layers x 512 with LoRA r64 on q and v, and made clips as long as the real ones.

260 visual tokens (256 of EVA, three utterance vectors, the class token), subtitles of a median 19 tokens,
half labels and half coarse reasons of about 110 tokens. One word is one token, so lengths are what is asked
for. Weights and words are random: only times, bytes and equality mean anything here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from emo.config.llm import LlmConfig, LoraSettings, StageConfig
from emo.heads.batches import FeatureBatch
from emo.labels import MERR
from emo.llm.base import Base
from emo.llm.build import assemble
from emo.llm.examples import ClipTexts
from emo.llm.features import HeldFeatures
from emo.llm.model import EmotionLlama
from emo.llm.prompts import TEMPLATES
from emo.llm.training.course import Course

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HIDDEN, LAYERS, HEADS, INTERMEDIATE, POSITIONS = 512, 4, 8, 1376, 4096
EVA_DIM, EVA_TOKENS, UTTERANCE_DIM = 192, 1025, 1024
MIXED = {"emotion": 0.5, "reason_coarse": 0.5}


@dataclass(frozen=True, slots=True)
class World:
    """A course with all its clips' features in memory."""

    course: Course
    llama: nn.Module

    @property
    def model(self) -> EmotionLlama:
        """The model under test, whose weights every side trains."""
        return self.course.model


def tokenizer_of(vocabulary: int) -> PreTrainedTokenizerBase:
    """One token a word: specials, the labels, then w0, w1, ... up to `vocabulary`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = ["<pad>", "<s>", "</s>", "<unk>", *MERR]
    known += [f"w{number}" for number in range(vocabulary - len(known))]
    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(known)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def base_of(vocabulary: int, seed: int, *, hidden: int = HIDDEN, layers: int = LAYERS) -> Base:
    """An untrained, frozen LLaMA."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=INTERMEDIATE * hidden // HIDDEN,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
    )
    llama = LlamaForCausalLM(shape).requires_grad_(False)
    return Base(llama, tokenizer_of(vocabulary), "made", "0" * 64)


def words(rng: Generator, count: int, vocabulary: int) -> str:
    """`count` words."""
    return " ".join(f"w{number}" for number in rng.integers(0, vocabulary - 32, count))


def texts_of(count: int, vocabulary: int, seed: int) -> list[ClipTexts]:
    """Clips with a subtitle, a label, a coarse reason and a reason (median 19, 1, 110 and 110 words)."""
    rng = np.random.default_rng(seed)

    def about(median: float, spread: float, low: int, high: int) -> str:
        return words(rng, int(np.clip(rng.lognormal(np.log(median), spread), low, high)), vocabulary)

    return [
        ClipTexts(
            clip_id=f"clip{number}",
            text=about(19, 0.65, 3, 90),
            label=str(rng.choice(MERR)),
            caption=about(110, 0.5, 30, 200),
            reason=about(110, 0.4, 40, 200),
        )
        for number in range(count)
    ]


def features_of(clip_ids: Sequence[str], eva: Tensor, seed: int) -> FeatureBatch:
    """Three random utterance vectors and the given EVA tokens (B, 1025, 192)."""
    generator = torch.Generator().manual_seed(seed)
    values = {
        name: torch.randn(len(clip_ids), UTTERANCE_DIM, generator=generator)
        for name in ("mae", "videomae", "hubert")
    }
    values["eva"] = eva
    present = torch.ones(len(clip_ids), dtype=torch.bool)
    return FeatureBatch(tuple(clip_ids), values, dict.fromkeys(values, present))


def make_world(
    clips: int, *, vocabulary: int = 512, dropout: float = 0.05, seed: int = 0, eva: Tensor | None = None
) -> World:
    """The same seed gives the same weights, words and features, whatever the dropout."""
    texts = texts_of(clips, vocabulary, seed)
    if eva is None:
        eva = torch.randn(clips, EVA_TOKENS, EVA_DIM, generator=torch.Generator().manual_seed(seed))
    batch = features_of([clip.clip_id for clip in texts], eva, seed)
    base = base_of(vocabulary, seed)
    config = LlmConfig(lora=LoraSettings(dropout=dropout), projector_scale=1.0)
    model = assemble(base, batch.dims, config, None, seed=seed)
    stir(model, seed)
    course = Course(
        model=model.train(),
        features=HeldFeatures(batch),
        template=TEMPLATES["emo"],
        labels=MERR,
        train=texts,
        valid=(),
        seed=seed,
    )
    return World(course, base.llama)


def stir(model: EmotionLlama, seed: int) -> None:
    """Give the adapters an effect: fresh ones have none, and half of their gradients are zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(value, std=0.02, generator=generator)


def stage_of(clips: int, batch_size: int, **changes: object) -> StageConfig:
    """One epoch over `clips`, at the official learning rate."""
    settings = {"tasks": MIXED, "steps": clips // batch_size, "batch_size": batch_size, "warmup_steps": 1}
    return StageConfig(**{**settings, **changes})  # type: ignore[arg-type]


def gradients(model: EmotionLlama) -> Tensor:
    """All gradients in one row; they are cleared."""
    found = [value.grad.flatten() for value in model.trained().values() if value.grad is not None]
    flat = torch.cat(found).clone()
    model.zero_grad(set_to_none=True)
    return flat
