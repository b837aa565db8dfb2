"""A small LLaMA for machines without a real one: a LlamaForCausalLM directory with its own tokenizer.

It has read the texts of the clips it will be asked about (training clips only), with words in the places
of features, so that it knows the form of the answers; which clip shows what, it does not know. It is a check
of the road, not a language model. Knows no features.

Axes: B batch, S tokens, V vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.canonical import sha256_json
from emo.config.llm import TinyBaseConfig
from emo.errors import NonFiniteLoss
from emo.llm.examples import ClipTexts
from emo.llm.prompts import template_named
from emo.llm.splice import IGNORED
from emo.llm.tiny.documents import ClueWriter, Document
from emo.llm.tiny.tokenizer import train_tokenizer
from emo.llm.tokens import TextCodec
from emo.llm.training.events import BaseProgress
from emo.llm.training.plan import group_by_length
from emo.llm.training.schedule import WarmupCosine
from emo.llm.training.seen import clips_seen, note_beginning
from emo.run_clips import write_run_clips

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CARD = "tiny-base.json"
FLOOR = 0.05  # the learning rate ends at this share of its peak
TOKENIZER_DOCUMENTS = 3000
LOSSES_IN_CARD = 20


def make_tiny_base(
    texts: Sequence[ClipTexts],
    labels: Sequence[str],
    out: Path,
    config: TinyBaseConfig,
) -> Iterator[BaseProgress]:
    """Write a LLaMA and its tokenizer, trained on `texts`, into the folder `out`; yields as it goes. Its
    clips.json names the clips of the texts.

    The same texts and config give the same weights on one machine; the global random state is left as it
    was. A folder that holds the base of these documents and this config already is kept. ConfigError where
    a label has no clip with clues.
    """
    template = template_named(config.template)
    writer = ClueWriter(texts, labels, template, purity=config.clue_purity, most=config.max_clues)
    count = config.steps * config.batch_size
    documents = list(writer.documents(count, np.random.default_rng([config.seed, 1])))
    yield BaseProgress("documents", count, count)
    digest = sha256_json([asdict(document) for document in documents])
    out.mkdir(parents=True, exist_ok=True)
    seen = clips_seen(texts, (), ())
    note_beginning(out, seen)
    if _made_of(out, config) == digest:
        return
    words = ["".join((*document.prompt, " ", document.answer)) for document in documents]
    tokenizer = train_tokenizer(
        words[:TOKENIZER_DOCUMENTS], labels, vocabulary=config.vocabulary, positions=config.positions
    )
    yield BaseProgress("tokenizer", 1, 1)
    llama = _fresh_llama(tokenizer, config)
    losses = []
    for loss in _pretrain(llama, TextCodec(tokenizer), documents, labels, config):
        losses.append(loss)
        yield BaseProgress("pre-training", len(losses), config.steps, loss)
    facts = {"loss": float(np.mean(losses[-LOSSES_IN_CARD:])), "documents": digest}
    _save(llama, tokenizer, out, config, facts)
    write_run_clips(out, seen)


def _made_of(folder: Path, config: TinyBaseConfig) -> object:
    """Digest of the documents of the base in `folder`; None where there is none of this config."""
    card = folder / CARD
    facts = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    return facts.get("documents") if facts.get("config") == asdict(config) else None


def _fresh_llama(tokenizer: PreTrainedTokenizerFast, config: TinyBaseConfig) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden,
        intermediate_size=config.intermediate,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=config.positions,
        initializer_range=config.initializer_range,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return cast(nn.Module, LlamaForCausalLM(shape))


def _pretrain(
    llama: nn.Module,
    codec: TextCodec,
    documents: Sequence[Document],
    labels: Sequence[str],
    config: TinyBaseConfig,
) -> Iterator[float]:
    """Next-token training, answers at full weight and prompts at `prompt_weight`; yields each loss."""
    names = {codec.answer(label, end=False)[0] for label in labels}
    rows = [_row(codec, document, names, config) for document in documents]
    matrices = [value for value in llama.parameters() if value.ndim >= 2]
    vectors = [value for value in llama.parameters() if value.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=config.peak_lr, betas=(0.9, 0.98))
    start = config.peak_lr / config.warmup_steps
    rate = WarmupCosine(config.peak_lr, FLOOR * config.peak_lr, start, config.warmup_steps, config.steps)
    order = np.random.default_rng([config.seed, 2])
    llama.train()
    for step, batch in enumerate(group_by_length(rows, config.batch_size, lambda row: len(row[0]), order)):
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        loss = _weighted_loss(llama, batch)
        if not torch.isfinite(loss):
            raise NonFiniteLoss(f"tiny base: loss {float(loss)} at step {step + 1}. Lower peak_lr.")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(llama.parameters(), 1.0)
        optimiser.step()
        yield float(loss.detach())
    llama.eval()


def _row(
    codec: TextCodec, document: Document, names: Collection[int], config: TinyBaseConfig
) -> tuple[list[int], list[float]]:
    """Ids of a document, tokenised part by part as the splice does, and the weight of each.

    The one token that names a label weighs most: all the rest of a document is easier to learn.
    """
    prompt = [*codec.bos, *(token for part in document.prompt for token in codec.segment(part))]
    answer = codec.answer(document.answer)
    weights = [config.label_weight if token in names else 1.0 for token in answer]
    return [*prompt, *answer], [config.prompt_weight] * len(prompt) + weights


def _weighted_loss(llama: nn.Module, batch: Sequence[tuple[list[int], list[float]]]) -> Tensor:
    width = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in batch])
    weights = torch.tensor([row + [0.0] * (width - len(row)) for _, row in batch])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row, _ in batch])
    logits = llama(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, IGNORED)
    each = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    weight = weights[:, 1:].flatten()
    return (each * weight).sum() / weight.sum()


def _save(
    llama: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    out: Path,
    config: TinyBaseConfig,
    facts: Mapping[str, object],
) -> None:
    llama.save_pretrained(out)  # type: ignore[operator]
    tokenizer.save_pretrained(out)
    card = {
        "what": "a tiny LLaMA pre-trained on texts of training clips with clue words in the feature slots: "
        "a check of the pipeline, not a language model",
        "config": asdict(config),
        **facts,
    }
    (out / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
