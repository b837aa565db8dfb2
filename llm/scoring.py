"""Label scoring: how probable each label is as the answer, from one pass over the prompt.

Never gives an answer outside the label set. Knows nothing of metrics or thresholds.

Axes: B batch, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.llm.model import EmotionLlama
from emo.llm.prompts import Prompt
from emo.llm.tokens import TextCodec


def candidates(codec: TextCodec, labels: Sequence[str]) -> list[tuple[int, ...]]:
    """Token ids of each label as an answer.

    Where every label is one token of its own, that token decides; otherwise the end token belongs to the
    candidate, so that a label which begins another one is told apart from it.
    """
    bare = [codec.answer(label, end=False) for label in labels]
    if len(set(bare)) != len(labels):
        raise ConfigError(f"two of the labels {', '.join(labels)} have the same tokens.")
    if all(len(ids) == 1 for ids in bare):
        return bare
    return [codec.answer(label) for label in labels]


@torch.inference_mode()
def label_log_likelihoods(
    model: EmotionLlama, prompts: Sequence[Prompt], features: FeatureBatch, labels: Sequence[str]
) -> Tensor:
    """log P(label as the answer | prompt), (B, K) fp32: not normalised over the labels.

    Prompts and labels go through the model once, as one row without padding: the labels of a clip branch off
    its prompt, each blind to the others, and the last layer and the logits are made where a label is told.
    """
    wanted = candidates(model.codec, labels)
    clips = [clip for clip in range(len(prompts)) for _ in wanted]
    row = model.pack([prompts[clip] for clip in clips], features, wanted * len(prompts), clips)
    losses = model.token_losses(row)
    owners = [number for number in range(len(clips)) for _ in wanted[number % len(wanted)]]
    scores = losses.new_zeros(len(clips))
    scores.index_add_(0, torch.tensor(owners, device=losses.device), -losses)
    return scores.view(len(prompts), len(wanted))
