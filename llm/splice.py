"""The splice: text tokens and slot vectors become one sequence of embeddings, for every use alike.

Training, scoring and generation all call `embed`, so they cannot disagree about a prompt. Nothing here
knows where features come from or what is done with the sequence.

Axes: B batch, S tokens, D feature dim, H LLM hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.heads.projectors import slot_source
from emo.llm.prompts import Prompt, Slot
from emo.llm.tokens import TextCodec

IGNORED = -100  # the label of a position that is not supervised
Side = Literal["left", "right"]
Piece: TypeAlias = tuple[int, ...] | Slot


@dataclass(frozen=True, slots=True)
class Spliced:
    """A padded batch. Padding is known by length, never by a token's value.

    `inputs_embeds` (B, S, H); `attention_mask`, `position_ids` and `labels` (B, S) int64. Padding
    positions hold zeros, mask 0, position 0 and label IGNORED; `labels` are not shifted.
    """

    inputs_embeds: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    labels: Tensor

    @property
    def lengths(self) -> Tensor:
        """Real tokens of each row, (B,)."""
        return self.attention_mask.sum(dim=1)


def feature_of(slot: str) -> str:
    """Name of the feature that fills a slot: both EVA slots read the one EVA feature."""
    return slot_source(slot)[0]


def pieces_of(codec: TextCodec, prompt: Prompt, present: Callable[[str], bool]) -> list[Piece]:
    """BOS, then the text segments as ids and the slots whose feature is `present`; an absent slot leaves no
    trace, the tags around it stay."""
    pieces: list[Piece] = [codec.bos] if codec.bos else []
    for part in prompt:
        if isinstance(part, str):
            pieces.append(codec.segment(part))
        elif present(part.name):
            pieces.append(part)
    return pieces


def embed(
    codec: TextCodec,
    word_embeddings: nn.Module,
    projectors: Mapping[str, nn.Module],
    prompts: Sequence[Prompt],
    features: FeatureBatch,
    answers: Sequence[Sequence[int]] | None = None,
    *,
    pad: Side = "right",
) -> Spliced:
    """Lay `prompts` (B of them) out with the projected features of the same clips, then the answers' ids.

    Only answer positions are supervised, the end token among them. `projectors` maps slot to a module
    from features (n, ...) to vectors (n, tokens, H). ConfigError where a prompt has a slot without one.
    """
    if len(prompts) != len(features):
        raise ConfigError(f"{len(prompts)} prompts for {len(features)} clips. Give one prompt per clip.")
    there = {name: mask.tolist() for name, mask in features.masks.items()}  # one transfer, not one a slot
    rows = [_present_pieces(codec, prompt, there, row) for row, prompt in enumerate(prompts)]
    tails = [tuple(answer) for answer in answers] if answers is not None else [()] * len(prompts)
    pool = _Pool(word_embeddings, _slot_vectors(projectors, rows, features), rows, tails)
    return _pad(pool, tails, pad)


def _present_pieces(
    codec: TextCodec, prompt: Prompt, there: Mapping[str, Sequence[bool]], row: int
) -> list[Piece]:
    def present(slot: str) -> bool:
        name = feature_of(slot)
        return name in there and there[name][row]

    return pieces_of(codec, prompt, present)


def _slot_vectors(
    projectors: Mapping[str, nn.Module], rows: Sequence[Sequence[Piece]], features: FeatureBatch
) -> dict[str, tuple[dict[int, int], Tensor]]:
    """For each slot in use: which of its blocks belongs to which row, and the blocks (n, tokens, H)."""
    users: dict[str, list[int]] = {}
    for row, pieces in enumerate(rows):
        for piece in pieces:
            if isinstance(piece, Slot):
                users.setdefault(piece.name, []).append(row)
    vectors = {}
    for slot, clips in users.items():
        if slot not in projectors:
            raise ConfigError(f"the prompt has a slot {slot!r} but the model has no projector for it.")
        values = features.values[feature_of(slot)][clips]
        vectors[slot] = ({row: block for block, row in enumerate(clips)}, projectors[slot](values))
    return vectors


class _Pool:
    """All vectors of a batch one below the other, and for each row the places of its tokens in that pool.

    One gather makes the batch; place 0 is the padding vector.
    """

    def __init__(
        self,
        word_embeddings: nn.Module,
        slots: Mapping[str, tuple[dict[int, int], Tensor]],
        rows: Sequence[Sequence[Piece]],
        tails: Sequence[tuple[int, ...]],
    ) -> None:
        ids: list[int] = []
        for pieces, tail in zip(rows, tails, strict=True):
            for piece in pieces:
                if not isinstance(piece, Slot):
                    ids.extend(piece)
            ids.extend(tail)
        device = next(word_embeddings.parameters()).device
        words: Tensor = word_embeddings(torch.tensor(ids, device=device))
        blocks = [words.new_zeros(1, words.shape[-1]), words]
        starts: dict[str, int] = {}
        height = 1 + len(ids)
        for slot, (_, vectors) in slots.items():
            starts[slot] = height
            height += vectors.shape[0] * vectors.shape[1]
            blocks.append(vectors.flatten(0, 1).to(words.dtype))
        self.vectors = torch.cat(blocks)
        self.places = self._places(rows, tails, slots, starts)

    @staticmethod
    def _places(
        rows: Sequence[Sequence[Piece]],
        tails: Sequence[tuple[int, ...]],
        slots: Mapping[str, tuple[dict[int, int], Tensor]],
        starts: Mapping[str, int],
    ) -> list[list[int]]:
        places, word = [], 1
        for row, (pieces, tail) in enumerate(zip(rows, tails, strict=True)):
            line: list[int] = []
            for piece in (*pieces, tail):
                if isinstance(piece, Slot):
                    blocks, vectors = slots[piece.name]
                    start = starts[piece.name] + blocks[row] * vectors.shape[1]
                    line.extend(range(start, start + vectors.shape[1]))
                else:
                    line.extend(range(word, word + len(piece)))
                    word += len(piece)
            places.append(line)
        return places


def _pad(pool: _Pool, tails: Sequence[tuple[int, ...]], side: Side) -> Spliced:
    width = max(map(len, pool.places))
    index, mask, labels = [], [], []
    for line, tail in zip(pool.places, tails, strict=True):
        gap = width - len(line)
        before, after = (gap, 0) if side == "left" else (0, gap)
        index.append([0] * before + line + [0] * after)
        mask.append([0] * before + [1] * len(line) + [0] * after)
        labels.append([IGNORED] * (before + len(line) - len(tail)) + list(tail) + [IGNORED] * after)
    device = pool.vectors.device
    attention_mask = torch.tensor(mask, device=device)
    return Spliced(
        inputs_embeds=pool.vectors[torch.tensor(index, device=device)],
        attention_mask=attention_mask,
        position_ids=(attention_mask.cumsum(dim=1) - 1).clamp(min=0) * attention_mask,
        labels=torch.tensor(labels, device=device),
    )
