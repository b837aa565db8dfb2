"""The LLaMA a stage starts from: a local directory or a hub id, and what identifies it later.

Loads safetensors only and runs no code of the repository it loads. Knows no features and no adapters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from emo.canonical import sha256_json
from emo.config.hardware import WHOLE_BITS
from emo.digests import StatCache
from emo.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_BASE = (
    "no LLaMA to train on. Give --base with a LLaMA-family directory or hub id, or make a small one: "
    "emo llm tiny-base"
)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_DECIDES = ("config.json", "tokenizer.json", "tokenizer.model")


@dataclass(frozen=True, slots=True)
class Base:
    """A loaded causal LM with its tokenizer. `digest` is a SHA-256 of its files, or the hub's commit."""

    llama: nn.Module
    tokenizer: PreTrainedTokenizerBase
    reference: str
    digest: str


def load_base(reference: str, *, dtype: str = "float32", device: str = "cpu", bits: int = WHOLE_BITS) -> Base:
    """The causal LM at `reference`, frozen; its linear layers quantised where `bits` is 8 or 4.

    ConfigError where there is none or it cannot be loaded, MissingDependency where bitsandbytes is needed
    and absent.
    """
    from transformers import AutoModelForCausalLM

    local = _is_local(reference)
    quantised = _quantised(bits, dtype, device)
    tokenizer = load_tokenizer(reference)
    try:
        llama = AutoModelForCausalLM.from_pretrained(
            reference,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=local,
            **quantised,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{reference}: cannot be loaded as a LLaMA: {error}. {NO_BASE}") from error
    llama = cast(nn.Module, llama).requires_grad_(False)
    if bits == WHOLE_BITS:  # a quantised one is where it belongs already
        llama = llama.to(device)
    commit = getattr(llama.config, "_commit_hash", None)
    digest = directory_digest(Path(reference)) if local else str(commit)
    return Base(llama, tokenizer, reference, digest)


def load_tokenizer(reference: str) -> PreTrainedTokenizerBase:
    """The tokenizer of the causal LM at `reference`; ConfigError where there is none."""
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(reference, local_files_only=_is_local(reference))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{reference}: cannot be loaded as a LLaMA: {error}. {NO_BASE}") from error
    return cast("PreTrainedTokenizerBase", found)


def load_shape(reference: str) -> Base:
    """The causal LM at `reference` without its weights, on the meta device; only config and tokenizer are
    read. ConfigError where there are none."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    local = _is_local(reference)
    try:
        tokenizer = AutoTokenizer.from_pretrained(reference, local_files_only=local)
        config = AutoConfig.from_pretrained(reference, local_files_only=local)
        with torch.device("meta"):
            llama = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{reference}: has no config and tokenizer of a LLaMA: {error}. {NO_BASE}"
        ) from error
    return Base(cast(nn.Module, llama).requires_grad_(False), tokenizer, reference, digest="")


def _is_local(reference: str) -> bool:
    """Whether it is a directory; ConfigError where it is no hub id either, so that the hub is not asked."""
    if not reference:
        raise ConfigError(NO_BASE)
    local = Path(reference).is_dir()
    if not local and (not _HUB_ID.fullmatch(reference) or reference.startswith(".")):
        raise ConfigError(
            f"{reference}: there is no such folder, and a hub id is OWNER/NAME. Give --base the LLaMA's "
            "folder or id, or make a small one: emo llm tiny-base"
        )
    return local


def _quantised(bits: int, dtype: str, device: str) -> dict[str, Any]:
    """What `from_pretrained` has to know to quantise: nothing for 16 bits.

    4 bits are NF4 with quantised scales, as in QLoRA (arXiv 2305.14314); 8 bits are LLM.int8().
    """
    if bits == WHOLE_BITS:
        return {}
    if find_spec("bitsandbytes") is None:
        raise MissingDependency(
            f"a base of {bits} bits needs bitsandbytes: pip install 'emo-toolkit[lowbit]'"
        )
    from transformers import BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_8bit=bits == 8,
        load_in_4bit=bits == 4,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
    return {"quantization_config": settings, "device_map": {"": device}}


def directory_digest(folder: Path, memory: Path | None = None) -> str:
    """SHA-256 over the names and digests of the files that decide what the model says.

    `memory` is a StatCache file, so that 13 GB are read once.
    """
    digests = StatCache(memory)
    files = [*sorted(folder.glob("*.safetensors")), *(folder / name for name in _DECIDES)]
    return sha256_json({file.name: digests.sha256(file) for file in files if file.exists()})
