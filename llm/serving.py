"""Answers by a serving engine: prompts as embeddings in a file, and vLLM fed with them.

The engine gets a plain LLaMA (a merged checkpoint) and knows no features: what they say is in the embeddings.
API: https://docs.vllm.ai/en/stable/features/prompt_embeds/. Knows no clips beyond their ids.

Axes: S tokens, H LLM hidden.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from emo.config.decoding import Decoding
from emo.errors import ConfigError, MissingDependency
from emo.heads.batches import FeatureBatch
from emo.llm.model import EmotionLlama
from emo.llm.prompts import Prompt

IDS = "clip_ids"


@torch.inference_mode()
def prompt_vectors(model: EmotionLlama, prompts: Sequence[Prompt], features: FeatureBatch) -> list[Tensor]:
    """The embeddings of each prompt without padding, (S, H) on the CPU in the LLaMA's precision."""
    spliced = model.embed(prompts, features)
    lengths = spliced.lengths.tolist()
    rows = zip(spliced.inputs_embeds, lengths, strict=True)
    return [row[:length].cpu().clone() for row, length in rows]


def write_prompts(vectors: Iterable[tuple[str, Tensor]], file: Path) -> int:
    """Write (clip id, embeddings (S, H)) to a safetensors file, numbered, with the ids in its header; the
    number of prompts. All are held in memory until the file is written."""
    rows = list(vectors)
    tensors = {str(number): vector.contiguous() for number, (_, vector) in enumerate(rows)}
    ids = json.dumps([clip_id for clip_id, _ in rows], ensure_ascii=False)
    save_file(tensors, file, metadata={IDS: ids})
    return len(rows)


def read_prompts(file: Path) -> dict[str, Tensor]:
    """What `write_prompts` wrote, by clip id; ConfigError where the file is none of that kind."""
    with safe_open(file, framework="pt") as opened:
        ids = (opened.metadata() or {}).get(IDS)
        if ids is None:
            raise ConfigError(
                f"{file}: no clip ids in its header. `emo llm export-prompts` writes such files."
            )
        return {clip_id: opened.get_tensor(str(number)) for number, clip_id in enumerate(json.loads(ids))}


def vllm_answers(
    llama: Path, prompts: Mapping[str, Tensor], decoding: Decoding, **engine: Any
) -> dict[str, str]:
    """Answers of vLLM by clip id; `llama` is the plain LLaMA of a merged checkpoint.

    `engine` goes to `vllm.LLM`, such as tensor_parallel_size. Draws are vLLM's own: the same seed gives other
    samples than `emo.llm.generation`. MissingDependency where vLLM is not installed.
    """
    try:
        from vllm import LLM, SamplingParams
    except ImportError as error:
        raise MissingDependency(f"vLLM is not installed: {error}. Run: pip install vllm") from error
    served = LLM(model=str(llama), enable_prompt_embeds=True, **engine)
    settings = SamplingParams(
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        repetition_penalty=decoding.repetition_penalty,
        max_tokens=decoding.max_new_tokens,
        seed=decoding.seed,
    )
    outputs = served.generate([{"prompt_embeds": vector} for vector in prompts.values()], settings)
    texts = [output.outputs[0].text.strip() for output in outputs]
    return dict(zip(prompts, texts, strict=True))
