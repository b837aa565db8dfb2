"""A language model on this machine, asked like a server: greedy, nothing leaves the process.

Its answers are not held to a schema while they are made, only checked afterwards, so a weak model gives few.
transformers and torch are imported when it is first asked.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from emo.canonical import Json
from emo.errors import CheckpointError
from emo.merr.models.source import ModelSource
from emo.services import Message, Reply


class LocalModel:
    """A causal language model with its tokenizer."""

    def __init__(self, source: ModelSource, *, device: str = "cpu") -> None:
        source.refuse_other_formats()
        self.identity = source.name
        self._folder, self._device = source.folder, device
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def ask(self, messages: Sequence[Message], schema: Mapping[str, Json], *, most_tokens: int) -> Reply:
        """As Asker; `schema` is not used. One question at a time."""
        import torch

        with self._lock, torch.inference_mode():
            tokenizer, model = self._ready()
            prompt = tokenizer(_prompt(tokenizer, messages), return_tensors="pt", add_special_tokens=False)
            ids = prompt["input_ids"].to(model.device)
            made = model.generate(
                input_ids=ids,
                attention_mask=prompt["attention_mask"].to(model.device),
                max_new_tokens=most_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id or 0,
            )[0, ids.shape[1] :]
            ended = len(made) < most_tokens or int(made[-1]) == tokenizer.eos_token_id
            text = tokenizer.decode(made, skip_special_tokens=True).strip()
        return Reply(text=text, tokens=int(ids.shape[1] + len(made)), whole=ended)

    def _ready(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from transformers import AutoModelForCausalLM, AutoTokenizer

            own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            try:
                tokenizer = AutoTokenizer.from_pretrained(self._folder, **own)
                model = AutoModelForCausalLM.from_pretrained(self._folder, use_safetensors=True, **own)
            except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
                raise CheckpointError(
                    f"{self._folder}: cannot be loaded as a language model: {error}"
                ) from error
            self._loaded = (tokenizer, model.eval().to(self._device))
        return self._loaded


def _prompt(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The messages in the model's own chat form, or one after the other where it has none."""
    if getattr(tokenizer, "chat_template", None):
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))
    return "\n".join(f"{each['role']}: {each['content']}" for each in messages) + "\nassistant: "
