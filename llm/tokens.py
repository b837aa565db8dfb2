"""TextCodec: a tokenizer seen as prompts need it, segment by segment. Knows no slots and no tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emo.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WORD_START = "▁"


class TextCodec:
    """Token ids of prompt segments and answers, and the text of generated ids.

    Every segment is tokenised alone, as the official code does, so a sentencepiece tokenizer starts each
    with its own word mark. A tokenizer without that habit (byte-level BPE) gets a space before the
    answer instead, which makes " happy" the same word everywhere.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if tokenizer.eos_token_id is None:
            raise ConfigError("the base's tokenizer has no end-of-sequence token. Take another base.")
        self.tokenizer = tokenizer
        self.bos: tuple[int, ...] = () if tokenizer.bos_token_id is None else (tokenizer.bos_token_id,)
        self.eos: int = tokenizer.eos_token_id
        first = tokenizer.convert_ids_to_tokens(self._ids("a"))[0]
        self._answer_prefix = "" if first.startswith(WORD_START) else " "
        self._known: dict[str, tuple[int, ...]] = {}

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def segment(self, text: str) -> tuple[int, ...]:
        """Ids of one piece of prompt text, without special tokens of the tokenizer's own adding."""
        if text not in self._known:
            if len(self._known) > 50_000:
                self._known.clear()
            self._known[text] = tuple(self._ids(text))
        return self._known[text]

    def answer(self, text: str, *, end: bool = True, limit: int | None = None) -> tuple[int, ...]:
        """Ids of an answer, closed by the end token unless `end` is off.

        `limit` keeps the first `limit` ids, the end token included only where it fits: the official cut.
        """
        ids = (*self.segment(self._answer_prefix + text), *((self.eos,) if end else ()))
        return ids[:limit]

    def text(self, ids: Sequence[int]) -> str:
        """What `ids` say up to the first end token, without special tokens and outer spaces."""
        stop = list(ids).index(self.eos) if self.eos in ids else len(ids)
        decoded: str = self.tokenizer.decode(list(ids[:stop]), skip_special_tokens=True)
        return decoded.strip()
