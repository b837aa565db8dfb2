"""The splice: text tokens and slot vectors become one sequence of embeddings, for every use alike.

Training, scoring and generation all come through here, so they cannot disagree about a prompt: `embed` makes
padded batches, `pack` one row without padding, and they differ in where tokens stand and in nothing else.
Nothing here knows where features come from or what is done with the sequence.

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
from emo.llm.packing.spans import Spans
from emo.llm.packing.tree import lay_out
from emo.llm.prompts import Prompt, Slot
from emo.llm.tokens import TextCodec

IGNORED = -100  # the label of a position that is not supervised
Side = Literal["left", "right"]
Piece: TypeAlias = tuple[int, ...] | Slot


@dataclass(frozen=True, slots=True)
class Spliced:
    """A padded batch, or with `spans` a packed row. Padding is known by length, never by a token's value.

    `inputs_embeds` (B, S, H); `attention_mask`, `position_ids` and `labels` (B, S) int64. Padding
    positions hold zeros, mask 0, position 0 and label IGNORED; `labels` are not shifted.
    A packed row has B = 1 and no padding; its mask says nothing, `spans` say which tokens see each other.
    """

    inputs_embeds: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    labels: Tensor
    spans: Spans | None = None

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
    tails = [tuple(answer) for answer in answers] if answers is not None else [()] * len(prompts)
    pool = _pool(codec, word_embeddings, projectors, prompts, features, tails, range(len(prompts)))
    return _pad(pool, tails, pad)


def pack(
    codec: TextCodec,
    word_embeddings: nn.Module,
    projectors: Mapping[str, nn.Module],
    prompts: Sequence[Prompt],
    features: FeatureBatch,
    answers: Sequence[Sequence[int]],
    clips: Sequence[int],
) -> Spliced:
    """`prompts` and `answers` as one row: number i asks about the clip at row `clips[i]` of `features`.

    Neighbours that ask about one clip share the tokens they begin with, and its features are projected once.
    ConfigError where a prompt has a slot without a projector.
    """
    tails = [tuple(answer) for answer in answers]
    pool = _pool(codec, word_embeddings, projectors, prompts, features, tails, clips)
    row = lay_out(pool.places, [len(tail) for tail in tails], clips)
    labels = [IGNORED] * len(row.places)
    for end, tail in zip(row.ends, tails, strict=True):
        labels[end - len(tail) : end] = tail
    index, positions, targets = torch.tensor([row.places, row.positions, labels], device=pool.vectors.device)
    return Spliced(
        inputs_embeds=pool.vectors[index][None],
        attention_mask=torch.ones_like(index)[None],
        position_ids=positions[None],
        labels=targets[None],
        spans=Spans(tuple(row.spans)),
    )


def _pool(
    codec: TextCodec,
    word_embeddings: nn.Module,
    projectors: Mapping[str, nn.Module],
    prompts: Sequence[Prompt],
    features: FeatureBatch,
    tails: Sequence[tuple[int, ...]],
    clips: Sequence[int],
) -> _Pool:
    there = {name: mask.tolist() for name, mask in features.masks.items()}  # one transfer, not one a slot
    rows = [_present_pieces(codec, prompt, there, clip) for prompt, clip in zip(prompts, clips, strict=True)]
    return _Pool(word_embeddings, _slot_vectors(projectors, rows, features, clips), rows, tails, clips)


def _present_pieces(
    codec: TextCodec, prompt: Prompt, there: Mapping[str, Sequence[bool]], row: int
) -> list[Piece]:
    def present(slot: str) -> bool:
        name = feature_of(slot)
        return name in there and there[name][row]

    return pieces_of(codec, prompt, present)


def _slot_vectors(
    projectors: Mapping[str, nn.Module],
    rows: Sequence[Sequence[Piece]],
    features: FeatureBatch,
    clips: Sequence[int],
) -> dict[str, tuple[dict[int, int], Tensor]]:
    """For each slot in use: which of its blocks belongs to which clip, and the blocks (n, tokens, H)."""
    users: dict[str, dict[int, int]] = {}
    for clip, pieces in zip(clips, rows, strict=True):
        for piece in pieces:
            if isinstance(piece, Slot):
                blocks = users.setdefault(piece.name, {})
                blocks.setdefault(clip, len(blocks))
    vectors = {}
    for slot, blocks in users.items():
        if slot not in projectors:
            raise ConfigError(f"the prompt has a slot {slot!r} but the model has no projector for it.")
        vectors[slot] = (blocks, projectors[slot](features.values[feature_of(slot)][list(blocks)]))
    return vectors


class _Pool:
    """Every vector of a batch once, and for each prompt the places of its tokens in that pool.

    One gather makes the batch; place 0 is the padding vector. The same token has the same place everywhere,
    and so has the same slot of the same clip.
    """

    def __init__(
        self,
        word_embeddings: nn.Module,
        slots: Mapping[str, tuple[dict[int, int], Tensor]],
        rows: Sequence[Sequence[Piece]],
        tails: Sequence[tuple[int, ...]],
        clips: Sequence[int],
    ) -> None:
        segments = [piece for pieces in rows for piece in pieces if not isinstance(piece, Slot)]
        ids = sorted({token for segment in (*segments, *tails) for token in segment})
        self._words = {token: place for place, token in enumerate(ids, start=1)}
        device = next(word_embeddings.parameters()).device
        words: Tensor = word_embeddings(torch.tensor(ids, device=device))
        blocks = [words.new_zeros(1, words.shape[-1]), words]
        self._starts: dict[tuple[str, int], range] = {}
        height = 1 + len(ids)
        for slot, (users, vectors) in slots.items():
            count = vectors.shape[1]
            for clip, block in users.items():
                self._starts[slot, clip] = range(height + block * count, height + (block + 1) * count)
            height += vectors.shape[0] * count
            blocks.append(vectors.flatten(0, 1).to(words.dtype))
        self.vectors = torch.cat(blocks)
        self.places = [self._line(*one) for one in zip(rows, tails, clips, strict=True)]

    def _line(self, pieces: Sequence[Piece], tail: tuple[int, ...], clip: int) -> list[int]:
        line: list[int] = []
        for piece in (*pieces, tail):
            if isinstance(piece, Slot):
                line.extend(self._starts[piece.name, clip])
            else:
                line.extend(self._words[token] for token in piece)
        return line


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
