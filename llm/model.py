"""EmotionLlama: a causal language model, its tokenizer, and projectors that fill slots of the prompt.

The LLaMA is passed in, so a test brings a tiny one; this module loads nothing, and knows no encoder,
cache or file.

Axes: B batch, S tokens, D feature dim, H LLM hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.heads.projectors import Projector
from emo.heads.standardise import Standardiser
from emo.llm.packing.attention import no_mask, use_spans
from emo.llm.packing.ending import trim_last_layer
from emo.llm.packing.spans import Spans
from emo.llm.prompts import Prompt
from emo.llm.splice import IGNORED, Side, Spliced, embed, pack
from emo.llm.tokens import TextCodec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from emo.config.llm import LoraSettings

LORA_MARK = "lora_"


@dataclass(frozen=True, slots=True)
class AnswerLoss:
    """Cross-entropy over supervised tokens: `total` is the sum (a scalar with gradient), `tokens` their
    number. The official loss is `total / tokens`: a mean over the batch's tokens, not over its clips."""

    total: Tensor
    tokens: int

    @property
    def mean(self) -> Tensor:
        """Loss per supervised token."""
        return self.total / self.tokens


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Numbers of parameters. The paper's 0.495 % is LoRA over the LLaMA with its LoRA; the projectors are
    trained too and are counted beside it."""

    lora: int
    projectors: int
    llama: int

    @property
    def trained(self) -> int:
        """LoRA and projectors."""
        return self.lora + self.projectors

    @property
    def lora_share(self) -> float:
        """LoRA over the LLaMA including its LoRA."""
        return self.lora / self.llama

    def sentence(self) -> str:
        """The counts in words."""
        return (
            f"trained: {self.trained:,} parameters; LoRA {self.lora:,} ({self.lora_share:.3%} of "
            f"{self.llama:,}), projectors {self.projectors:,}"
        )


class EmotionLlama(nn.Module):
    """`llama` is a causal LM of transformers, bare or with peft adapters; `projectors` maps slot to module.

    The attention of `llama` is taught to read packed rows; whatever else is done with it goes as before.
    `standardiser` z-scores features before they are projected; without one they are taken as they are.
    """

    def __init__(
        self,
        llama: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        projectors: nn.ModuleDict,
        *,
        standardiser: Standardiser | None = None,
    ) -> None:
        super().__init__()
        self.llama = llama
        self.projectors = projectors
        self.standardiser = standardiser
        self.codec = TextCodec(tokenizer)
        use_spans(self.causal)
        self._trims = trim_last_layer(self.causal)

    @property
    def causal(self) -> nn.Module:
        """The causal LM itself, under the adapters where there are some."""
        inner = getattr(self.llama, "get_base_model", None)
        return cast(nn.Module, inner()) if inner is not None else self.llama

    @property
    def words(self) -> nn.Module:
        """The word embeddings (V, H)."""
        return cast(nn.Module, self.causal.get_input_embeddings())  # type: ignore[operator]

    @property
    def device(self) -> torch.device:
        """Where the word embeddings are."""
        return next(self.words.parameters()).device

    @property
    def _slots(self) -> dict[str, nn.Module]:
        return dict(self.projectors.items())

    def _ready(self, features: FeatureBatch) -> FeatureBatch:
        ready = features.to(self.device)
        return ready if self.standardiser is None else self.standardiser(ready)

    def embed(
        self,
        prompts: Sequence[Prompt],
        features: FeatureBatch,
        answers: Sequence[Sequence[int]] | None = None,
        *,
        pad: Side = "right",
    ) -> Spliced:
        """Prompts of B clips with their features, and answers as token ids where there are any."""
        return embed(self.codec, self.words, self._slots, prompts, self._ready(features), answers, pad=pad)

    def pack(
        self,
        prompts: Sequence[Prompt],
        features: FeatureBatch,
        answers: Sequence[Sequence[int]],
        clips: Sequence[int],
    ) -> Spliced:
        """Prompts with their answers as one row without padding; `clips` says whose features, by row."""
        return pack(self.codec, self.words, self._slots, prompts, self._ready(features), answers, clips)

    def hidden(self, spliced: Spliced) -> Tensor:
        """Last hidden states after the final norm, (B, S, H)."""
        return self._body(spliced, spliced.spans)

    def _body(self, spliced: Spliced, spans: Spans | None) -> Tensor:
        body = cast(nn.Module, self.causal.base_model)
        packed = {} if spans is None else {"spans": spans}
        output = body(
            inputs_embeds=spliced.inputs_embeds,
            attention_mask=spliced.attention_mask if spans is None else no_mask(spliced.inputs_embeds),
            position_ids=spliced.position_ids,
            use_cache=False,
            **packed,
        )
        return cast(Tensor, output.last_hidden_state)

    def _predicting(self, spliced: Spliced) -> Tensor:
        """Last hidden states of the tokens before a supervised one, (n, H); of a packed row, only those are
        made in the last layer."""
        supervised = spliced.labels[:, 1:] != IGNORED
        if spliced.spans is None or not self._trims:
            return self.hidden(spliced)[:, :-1][supervised]
        return self._body(spliced, spliced.spans.trimmed(spliced.labels[0] != IGNORED))[0]

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits in fp32 of any hidden states, (..., H) -> (..., V)."""
        head = cast(nn.Module, self.causal.get_output_embeddings())  # type: ignore[operator]
        return cast(Tensor, head(hidden).float())

    def answer_loss(self, spliced: Spliced) -> AnswerLoss:
        """Next-token cross-entropy of the supervised tokens; no logits are made anywhere else."""
        losses = self.token_losses(spliced)
        return AnswerLoss(losses.sum(), len(losses))

    def token_losses(self, spliced: Spliced) -> Tensor:
        """-log P of each supervised token after what it sees, (n,) fp32, row by row in their order."""
        targets = spliced.labels[:, 1:]
        targets = targets[targets != IGNORED]
        return functional.cross_entropy(self.logits(self._predicting(spliced)), targets, reduction="none")

    def trained(self) -> dict[str, nn.Parameter]:
        """What a stage trains, by name."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    def counts(self) -> ParameterCounts:
        """Parameters of the parts; also right on the meta device."""
        sizes = {name: value.numel() for name, value in self.llama.named_parameters()}
        lora = sum(size for name, size in sizes.items() if LORA_MARK in name)
        projectors = sum(value.numel() for value in self.projectors.parameters())
        return ParameterCounts(lora, projectors, sum(sizes.values()))


def with_lora(llama: nn.Module, settings: LoraSettings) -> nn.Module:
    """The frozen LLaMA with fresh fp32 adapters on the modules named in `settings.targets`.

    ConfigError where the LLaMA has no module of such a name.
    """
    from peft import LoraConfig, get_peft_model

    names = {name.rpartition(".")[2] for name, _ in llama.named_modules()}
    if missing := [target for target in settings.targets if target not in names]:
        raise ConfigError(f"the base has no module named {', '.join(missing)} to adapt. Change lora.targets.")
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    return cast(nn.Module, get_peft_model(llama, config))


def match_embeddings(model: EmotionLlama, scale: float, generator: torch.Generator) -> None:
    """Start the projectors so that z-scored features give vectors of `scale` times the words' spread.

    Weights of the layer that ends a projector are normal with std scale * std(words) / sqrt(inputs), biases
    with a tenth of the words' std.
    """
    spread = float(next(model.words.parameters()).detach().float().std())
    for projector in model.projectors.values():
        out = cast(Projector, projector).out
        nn.init.normal_(out.weight, 0.0, scale * spread / out.in_features**0.5, generator=generator)
        nn.init.normal_(out.bias, 0.0, 0.1 * spread, generator=generator)
