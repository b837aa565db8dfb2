"""A model of transformers that is shown pictures, a video or a sound, and says words about it; greedy.

Knows no clips, no questions and no scores.
Sources of the layouts: the model cards of LanguageBind/Video-LLaVA-7B-hf and
llava-hf/llava-v1.6-mistral-7b-hf; a chat template that comes with the processor goes before them.

Axes: F frames, H height, W width, S samples.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emo.errors import CheckpointError, ConfigError
from emo.merr.models.source import ModelSource
from emo.services import Reply

RATE = 16_000  # hertz: what every model is played at
Look = Literal["video", "image", "audio"]


@dataclass(frozen=True, slots=True)
class Family:
    """A model type of transformers: its class, what it can be shown, best first, and its layout by that, for
    processors without a chat template."""

    model_class: str
    looks: tuple[Look, ...]
    layouts: Mapping[Look, str] = field(default_factory=dict)


FAMILIES: Mapping[str, Family] = {
    "video_llava": Family(
        "VideoLlavaForConditionalGeneration",
        ("video", "image"),
        {
            "video": "USER: <video>\n{words} ASSISTANT:",
            "image": "USER: <image>\n{words} ASSISTANT:",
        },
    ),
    "llava_next": Family(
        "LlavaNextForConditionalGeneration", ("image",), {"image": "[INST] <image>\n{words} [/INST]"}
    ),
    "qwen2_audio": Family("Qwen2AudioForConditionalGeneration", ("audio",)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """`frames` uint8 RGB (F, H, W, 3), or `sound` float32 (S,) at RATE; the other is None."""

    frames: NDArray[np.uint8] | None = None
    sound: NDArray[np.float32] | None = None


class MediaModel:
    """The model and the processor of `source`, loaded when it is first asked. One question at a time."""

    def __init__(
        self, source: ModelSource, *, look: Look | None = None, device: str = "cpu", dtype: str = "auto"
    ) -> None:
        self.source, self.family = source, family_of(source)
        source.refuse_other_formats()
        self.look: Look = look or self.family.looks[0]
        if self.look not in self.family.looks:
            raise ConfigError(
                f"{source.folder}: is shown {' or '.join(self.family.looks)}, not {self.look}. "
                f"Name a model for {self.look}."
            )
        self._device, self._dtype = device, dtype
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def say(self, words: str, seen: Shown, *, most_tokens: int) -> Reply:
        """What it says after `words`. CheckpointError where the model cannot be loaded."""
        import torch

        with self._lock, torch.inference_mode():
            processor, model = self._ready()
            given: dict[str, Any] = {"text": self._prompt(processor, words)}
            if self.look == "audio":
                given |= {"audio": [seen.sound], "sampling_rate": RATE}
            elif seen.frames is not None:
                given |= {"videos": [seen.frames]} if self.look == "video" else {"images": seen.frames[0]}
            batch = processor(**given, return_tensors="pt").to(model.device).to(dtype=model.dtype)
            made = model.generate(**batch, max_new_tokens=most_tokens, do_sample=False)
            asked = batch["input_ids"].shape[1]
            said = made[0, asked:]
            tokenizer = processor.tokenizer
            text = str(tokenizer.decode(said, skip_special_tokens=True)).strip()
        ended = len(said) < most_tokens or int(said[-1]) == tokenizer.eos_token_id
        return Reply(text=text, tokens=int(asked + len(said)), whole=ended)

    def _prompt(self, processor: Any, words: str) -> str:
        if getattr(processor, "chat_template", None):
            content = [{"type": self.look}, {"type": "text", "text": words}]
            turns = [{"role": "user", "content": content}]
            return str(processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
        if self.look not in self.family.layouts:
            raise CheckpointError(
                f"{self.source.folder}: its processor has no chat template, so nobody knows how it is asked. "
                "Save it with one (chat_template.jinja)."
            )
        return self.family.layouts[self.look].format(words=words)

    def _ready(self) -> tuple[Any, Any]:
        if self._loaded is None:
            import torch
            import transformers

            own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            folder = self.source.folder
            try:
                processor = transformers.AutoProcessor.from_pretrained(folder, **own)
                kind = getattr(transformers, self.family.model_class)
                dtype = self._dtype if self._dtype == "auto" else getattr(torch, self._dtype)
                model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **own)
            except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
                raise CheckpointError(f"{folder}: cannot be loaded: {error}") from error
            self._loaded = (processor, model.eval().to(self._device))
        return self._loaded


def family_of(source: ModelSource) -> Family:
    """The family of a model: one of ours, or any that transformers calls image-text-to-text.

    CheckpointError where it is of a type that emo does not ask.
    """
    kind = source.kind
    if kind in FAMILIES:
        return FAMILIES[kind]
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    name = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(kind)
    if name is None:
        found = f"of type {kind!r}" if kind else "no model: it has no config.json that names its type"
        raise CheckpointError(
            f"{source.folder}: is {found}. Asked can be {', '.join(FAMILIES)} and what transformers calls an "
            "image-text-to-text model."
        )
    return Family(str(name), ("image",))
