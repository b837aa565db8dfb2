"""Encoders of what is said: subtitles to token-level (T, D) and utterance-level (D,) features.

What RoBERTa and MacBERT share; each of them is a TextFamily in a file of its own. Knows text views, no files,
no store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.errors import CheckpointError
from emo.extractors import layers as hidden
from emo.extractors.inference import FrozenModel, pretrained, to_numpy
from emo.extractors.random_weights import fill, random_source
from emo.extractors.running import USUAL, Running
from emo.extractors.sources import Source
from emo.extractors.weights import Weights, choose, find_weights
from emo.records import Array
from emo.spec import FeatureSpec, Licence
from emo.views import TextView, Views

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from torch import nn

RECIPE_VERSION = 1
TOKENIZER = "tokenizer.json"
MOST_TOKENS = 4096  # in a batch, padding included
TINY_CONFIG: dict[str, Json] = {
    "vocab_size": 260,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 512,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPreset:
    """Weights and, beside them, their tokenizer."""

    source: Source


@dataclass(frozen=True, kw_only=True, slots=True)
class TextFamily:
    """A class of transformers and its presets. `kept` positions of the model are not for tokens."""

    name: str
    model_class: str
    presets: Mapping[str, TextPreset]
    kept: int = 0


class TextEncoder:
    """Text to `frames` (T, D), one row a token, and `utterance` (D,), their mean.

    Tokens that the tokenizer adds (class, separator) are read and left out. Longer texts than the model reads
    are read in pieces. `layers` gives one feature a layer, as `frames@6`. Making one raises CheckpointError
    where weights or their tokenizer are missing.
    """

    family: ClassVar[TextFamily]
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(
        self,
        preset: str = "tiny",
        *,
        weights: str | os.PathLike[str] | None = None,
        layers: Sequence[int] = (),
        running: Running = USUAL,
    ) -> None:
        family = self.family
        choose(family.name, family.presets, preset)
        self._found = found = find_weights(family.name, preset, family.presets[preset].source, weights)
        depth = cast(int, found.config["num_hidden_layers"])
        self._parts = hidden.several(layers, depth, family.name) if layers else hidden.last(-1)
        self._longest = cast(int, found.config["max_position_embeddings"]) - family.kept
        self._view = TextView()
        self._tokenizer: Tokenizer | None = None
        self._model = FrozenModel(lambda: _load(family, found), running, small=found.folder is None)
        self.needs = frozenset({self._view})
        self.spec = FeatureSpec(
            encoder=family.name,
            weights=found.digests,
            recipe={
                "layers": list(layers) if layers else "last",
                "longest_tokens": self._longest,
                "frames": "tokens of the text, without those that the tokenizer adds",
                "utterance": "mean over tokens",
            },
            recipe_version=RECIPE_VERSION,
            arrays=hidden.frame_layouts(cast(int, found.config["hidden_size"]), self._parts),
            precision=running.precision,
            preset=found.preset,
            licence=found.licence,
        )

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (T, D) and `utterance` (D,) of each clip and layer, float32."""
        pieces = [self._pieces(str(views[self._view].array[0])) for views in batch]
        flat = [piece for clip in pieces for piece in clip]
        states = self._run_all(flat)
        results: list[dict[str, Array]] = []
        read = iter(states)
        for clip in pieces:
            found = [next(read) for _ in clip]
            features = [np.concatenate(part) for part in zip(*found, strict=True)]
            results.append(hidden.with_means(features, self._parts))
        return results

    def times(self, views: Views) -> dict[str, Json]:
        """Nothing: the words' moments are not known."""
        return {}

    def _pieces(self, text: str) -> list[Encoding]:
        if self._tokenizer is None:
            self._tokenizer = _tokenizer(self._found)
            self._tokenizer.enable_truncation(self._longest)
            self._tokenizer.no_padding()
        whole = self._tokenizer.encode(text)
        return [whole, *whole.overflowing]

    def _run_all(self, pieces: Sequence[Encoding]) -> list[list[NDArray[np.float32]]]:
        """The states of each part, (T, D), of each piece; pieces of one length go together."""
        states: dict[int, list[NDArray[np.float32]]] = {}
        rows: list[int] = []
        lengths = [len(piece.ids) for piece in pieces]
        for row in sorted(range(len(pieces)), key=lengths.__getitem__):
            if rows and (lengths[row] != lengths[rows[0]] or lengths[row] * (len(rows) + 1) > MOST_TOKENS):
                states |= zip(rows, self._run([pieces[one] for one in rows]), strict=True)
                rows = []
            rows.append(row)
        if rows:
            states |= zip(rows, self._run([pieces[one] for one in rows]), strict=True)
        return [states[row] for row in range(len(pieces))]

    def _run(self, pieces: Sequence[Encoding]) -> list[list[NDArray[np.float32]]]:
        several = "" not in self._parts
        ids = np.array([piece.ids for piece in pieces], np.int64)
        with self._model.running() as model:
            output = model(input_ids=self._model.tensor(ids), output_hidden_states=several)
            before = output.hidden_states[:-1] if several else ()
            states = [
                to_numpy(part) for part in hidden.picked([*before, output.last_hidden_state], self._parts)
            ]
        own = [np.array(piece.special_tokens_mask) == 0 for piece in pieces]
        return [[part[row][kept] for part in states] for row, kept in enumerate(own)]


def of_the_hub(
    stem: str, licence: str, paper: str, *, tiny: Mapping[str, Json] | None = None
) -> dict[str, TextPreset]:
    """The presets `base` and `large`, the hub's repositories `stem-base` and `stem-large`, and `tiny` with
    random weights; `tiny` says how its configuration differs from TINY_CONFIG."""

    def preset(size: str) -> TextPreset:
        repo = f"{stem}-{size}"
        held = Licence(name=licence, source=f"https://huggingface.co/{repo}")
        return TextPreset(source=Source(repo=repo, licence=held, paper=paper, also=(TOKENIZER,)))

    random = TextPreset(source=random_source({**TINY_CONFIG, **(tiny or {})}))
    return {"base": preset("base"), "large": preset("large"), "tiny": random}


def _tokenizer(found: Weights) -> Tokenizer:
    from tokenizers import Tokenizer

    if found.folder is None:
        return byte_tokenizer()
    try:
        return Tokenizer.from_file(str(found.folder / TOKENIZER))
    except Exception as error:  # the library raises plain Exception
        raise CheckpointError(f"{found.folder / TOKENIZER} is no tokenizer: {error}") from error


def byte_tokenizer() -> Tokenizer:
    """The tokenizer of tiny presets: one token a byte, between <s> (0) and </s> (2)."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "<pad>", "</s>", "<unk>", *letters]
    tokenizer = Tokenizer(models.BPE(vocab={name: at for at, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def _load(family: TextFamily, found: Weights) -> nn.Module:
    import transformers

    model_class = getattr(transformers, family.model_class)
    if found.folder is None:
        return fill(model_class(model_class.config_class(**found.config)))
    pooler = frozenset({"pooler.dense.weight", "pooler.dense.bias"})  # nothing here reads it
    return pretrained(model_class, os.fspath(found.folder), optional=pooler)
