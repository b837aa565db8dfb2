"""The prompt's beginning that all questions about a clip share, read once and kept.

What face, voice and picture say stands at the head of every prompt, so its keys and values do not depend on
what is asked: a question reads its own words alone. Each question is answered by itself, as in training; the
answers before it are not shown to the model. Knows no clips beyond their ids, and no sessions.

Axes: S tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import nn

from emo.config.decoding import Decoding
from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.llm.generation import Read, Step, pieces, steps_after
from emo.llm.model import EmotionLlama
from emo.llm.prompts import Prompt


class KeptPrefix:
    """`head`, with the features of one clip, as the model has read it. One question at a time."""

    @torch.inference_mode()
    def __init__(self, model: EmotionLlama, head: Prompt, features: FeatureBatch) -> None:
        self._model, self._head, self._clip_ids = model, head, features.clip_ids
        spliced = model.embed([head], features)
        self.tokens = int(spliced.lengths[0])
        body = cast(nn.Module, model.causal.base_model)
        self._kept = body(
            inputs_embeds=spliced.inputs_embeds,
            attention_mask=spliced.attention_mask,
            position_ids=spliced.position_ids,
            use_cache=True,
        ).past_key_values

    def stream(self, prompt: Prompt, decoding: Decoding) -> Iterator[str]:
        """The answer to `prompt` in pieces: as `emo.llm.generation.stream`, but the head is not read again.

        ConfigError where the prompt does not begin with the head, or ends with it.
        """
        words = [part for part in prompt[len(self._head) :] if isinstance(part, str)]
        if prompt[: len(self._head)] != self._head or not any(words):
            raise ConfigError("the prompt asks nothing behind the head that was read for this clip.")
        ids = [token for part in words for token in self._model.codec.segment(part)]
        yield from pieces(self._model, self._steps(ids, decoding))

    @torch.inference_mode()
    def _steps(self, ids: Sequence[int], decoding: Decoding) -> Iterator[Step]:
        device = self._model.device
        end = self.tokens + len(ids)
        mask = torch.ones(1, end, dtype=torch.long, device=device)
        body = cast(nn.Module, self._model.causal.base_model)
        try:
            output = body(
                input_ids=torch.tensor([list(ids)], device=device),
                attention_mask=mask,
                position_ids=torch.arange(self.tokens, end, device=device)[None],
                past_key_values=self._kept,
                use_cache=True,
            )
            read = Read(output, mask, torch.tensor([end], device=device))
            yield from steps_after(self._model, read, decoding, self._clip_ids)
        finally:
            if (said := self._kept.get_seq_length() - self.tokens) > 0:
                self._kept.crop(-said)
