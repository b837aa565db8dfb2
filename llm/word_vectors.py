"""Word vectors of a LLaMA without the LLaMA: its tokenizer and token embeddings, and texts as their means.

Of a local folder one tensor is loaded, so 13 GB of weights need no memory. Knows no features and no clips.

Axes: V vocabulary, H hidden size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from emo.errors import ConfigError
from emo.llm.base import directory_digest, load_base, load_tokenizer
from emo.llm.tokens import TextCodec

EMBEDDINGS = "model.embed_tokens.weight"
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class WordVectors:
    """`matrix` (V, H) in fp32; `reference` and `digest` identify the base as in emo.llm.base.Base."""

    codec: TextCodec
    matrix: Tensor
    reference: str
    digest: str

    @property
    def spread(self) -> float:
        """Standard deviation of all numbers in the matrix."""
        return float(self.matrix.std())

    def of(self, texts: Sequence[str]) -> Tensor:
        """The mean vector of the tokens of each text, as an answer has them: (n, H). ConfigError for a text
        without any."""
        means = []
        for text in texts:
            ids = self.codec.answer(text, end=False)
            if not text.strip() or not ids:
                raise ConfigError(f"the text {text!r} has no tokens. Give every label and caption a word.")
            means.append(self.matrix[list(ids)].mean(dim=0))
        return torch.stack(means) if means else self.matrix.new_zeros(0, self.matrix.shape[1])


def load_word_vectors(reference: str) -> WordVectors:
    """Those of the causal LM at `reference`, a folder or a hub id. ConfigError as `load_base`."""
    folder = Path(reference)
    if not (folder / SINGLE).exists() and not (folder / INDEX).exists():
        base = load_base(reference)
        weight = base.llama.get_input_embeddings().weight  # type: ignore[operator]
        return WordVectors(
            TextCodec(base.tokenizer), cast(Tensor, weight).detach().float(), reference, base.digest
        )
    codec = TextCodec(load_tokenizer(reference))
    return WordVectors(codec, _embeddings(folder), reference, directory_digest(folder))


def _embeddings(folder: Path) -> Tensor:
    """The embedding matrix out of the file that holds it."""
    try:
        file = SINGLE
        if (folder / INDEX).exists():
            file = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"][EMBEDDINGS]
        with safe_open(folder / file, framework="pt") as tensors:
            return cast(Tensor, tensors.get_tensor(EMBEDDINGS)).float()
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ConfigError(
            f"{folder}: has no {EMBEDDINGS} that can be read: {error!r}. Give --base a LLaMA-family folder."
        ) from error
