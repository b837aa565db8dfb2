"""Generation in batches, greedy or sampled. Positions are given, not guessed from padding, and every draw
is named by its clip, so a batch of N answers as N batches of one.

Knows token ids and prompts; what an answer means is not its business.

Axes: B batch, S tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from emo.config.decoding import Decoding
from emo.heads.batches import FeatureBatch
from emo.llm.examples import generator_for
from emo.llm.model import EmotionLlama
from emo.llm.prompts import Prompt

BROKEN = "\N{REPLACEMENT CHARACTER}"  # how a tokenizer decodes part of a character


class Step(NamedTuple):
    """One more token of every row: `tokens` (B,) int64, and `log_probabilities` (B,) fp32 that the model
    itself gave them, before temperature and penalty. A row that has ended repeats the end token."""

    tokens: Tensor
    log_probabilities: Tensor


class Read(NamedTuple):
    """What a model has read: its last `output`, with the keys and values of every token, the attention `mask`
    (B, S) int64, and the `position` (B,) int64 of the token that comes next."""

    output: Any
    mask: Tensor
    position: Tensor


@torch.inference_mode()
def token_steps(
    model: EmotionLlama, prompts: Sequence[Prompt], features: FeatureBatch, decoding: Decoding
) -> Iterator[Step]:
    """The next token of each row, step by step until every row has ended. Prompts are padded on the left."""
    spliced = model.embed(prompts, features, pad="left")
    body = cast(nn.Module, model.causal.base_model)
    output = body(
        inputs_embeds=spliced.inputs_embeds,
        attention_mask=spliced.attention_mask,
        position_ids=spliced.position_ids,
        use_cache=True,
    )
    read = Read(output, spliced.attention_mask, spliced.lengths)
    yield from steps_after(model, read, decoding, features.clip_ids)


@torch.inference_mode()
def steps_after(
    model: EmotionLlama, read: Read, decoding: Decoding, clip_ids: Sequence[str]
) -> Iterator[Step]:
    """The next token of each row after what the model has read, as `token_steps`. The memory that came with
    `read` grows by what is said."""
    body = cast(nn.Module, model.causal.base_model)
    choose = _Choice(decoding, clip_ids)
    output, mask, position = read
    rows = len(clip_ids)
    ended = torch.zeros(rows, dtype=torch.bool, device=mask.device)
    said = torch.zeros(rows, 0, dtype=torch.long, device=mask.device)
    for step in range(decoding.max_new_tokens):
        logits = model.logits(output.last_hidden_state[:, -1])
        tokens = torch.where(ended, model.codec.eos, choose(logits, said))
        yield Step(tokens, logits.log_softmax(-1).gather(1, tokens[:, None]).squeeze(1))
        ended = ended | (tokens == model.codec.eos)
        if step + 1 == decoding.max_new_tokens or bool(ended.all()):
            return
        said = torch.cat([said, tokens[:, None]], dim=1)
        mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
        output = body(
            input_ids=tokens[:, None],
            attention_mask=mask,
            position_ids=position[:, None] + step,
            past_key_values=output.past_key_values,
            use_cache=True,
        )


def generate(
    model: EmotionLlama, prompts: Sequence[Prompt], features: FeatureBatch, decoding: Decoding
) -> list[str]:
    """The answers of B prompts as text."""
    tokens = [step.tokens for step in token_steps(model, prompts, features, decoding)]
    return [model.codec.text(row) for row in torch.stack(tokens, dim=1).tolist()]


def stream(model: EmotionLlama, prompt: Prompt, features: FeatureBatch, decoding: Decoding) -> Iterator[str]:
    """The answer of one prompt in pieces, as its tokens come; joined they are the text of `generate`."""
    yield from pieces(model, token_steps(model, [prompt], features, decoding))


def pieces(model: EmotionLlama, steps: Iterable[Step]) -> Iterator[str]:
    """The text of one row in pieces. A character of several tokens is held back until it is whole."""
    ids: list[int] = []
    shown = text = ""
    for step in steps:
        ids.append(int(step.tokens))
        text = model.codec.text(ids)
        if len(text) > len(shown) and text.startswith(shown) and not text.endswith(BROKEN):
            yield text[len(shown) :]
            shown = text
    if text != shown:
        yield text[len(shown) :]


class _Choice:
    """Chooses the next tokens from logits (B, V) and the tokens so far (B, S)."""

    def __init__(self, decoding: Decoding, clip_ids: Sequence[str]) -> None:
        self._decoding = decoding
        self._draws = [generator_for(decoding.seed, 0, clip_id) for clip_id in clip_ids]

    def __call__(self, logits: Tensor, said: Tensor) -> Tensor:
        from transformers import RepetitionPenaltyLogitsProcessor, TopPLogitsWarper

        chosen = self._decoding
        if chosen.repetition_penalty != 1 and said.shape[1]:
            logits = RepetitionPenaltyLogitsProcessor(chosen.repetition_penalty)(said, logits)
        if chosen.temperature == 0:
            return logits.argmax(-1)
        scores = logits.double() / chosen.temperature
        if chosen.top_p < 1:
            scores = TopPLogitsWarper(chosen.top_p)(said, scores)
        places = np.array([draw.random() for draw in self._draws])
        ladder = scores.softmax(-1).cumsum(-1)
        reached = torch.as_tensor(places, device=logits.device)[:, None] * ladder[:, -1:]
        return torch.searchsorted(ladder, reached, right=True).squeeze(1).clamp(max=logits.shape[1] - 1)
