"""A byte-level BPE tokenizer for a tiny base, trained on the texts it will see. Knows no model.

Each label is one token where it follows a space, and each tag of the prompts is one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emo.errors import ConfigError
from emo.llm.prompts import END_FEATURE, END_INST, END_VIDEO, FEATURE, INST, VIDEO

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
TAGS = (INST.strip(), END_INST.strip(), VIDEO, END_VIDEO, FEATURE, END_FEATURE)


def train_tokenizer(
    texts: Sequence[str], labels: Sequence[str], *, vocabulary: int, positions: int
) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `vocabulary` tokens. ConfigError where that is too few for the labels."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = [PAD, BOS, EOS, UNKNOWN]
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(TAGS),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Merges are made by frequency: labels more frequent than anything else become tokens first.
    often = [f" {label}" for label in labels] * (1 + len(texts))
    tokenizer.train_from_iterator([*texts, *often], trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False) for tag in TAGS])
    split = [label for label in labels if len(tokenizer.encode(f" {label}").ids) != 1]
    if split:
        raise ConfigError(
            f"{vocabulary} tokens do not hold the labels {', '.join(split)}. Raise the vocabulary."
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=positions,
    )
