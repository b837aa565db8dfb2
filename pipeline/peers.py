"""Zero-shot peers of transformers as contenders: Video-LLaVA, LLaVA-NeXT and Qwen2-Audio.

Loaded from a folder, or from the hub at a pinned commit; only safetensors, and never code that comes with
weights. Knows no clips and no scores.
Sources of the layouts: the model cards of LanguageBind/Video-LLaVA-7B-hf and
llava-hf/llava-v1.6-mistral-7b-hf; a chat template that comes with the processor goes before them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo.canonical import Json, sha256_json
from emo.digests import StatCache
from emo.errors import CheckpointError, ConfigError
from emo.extractors.weights import read_json
from emo.merr.cases import Pending
from emo.pipeline.contender_media import RATE, Look, Shown

MOST_NEW_TOKENS = 32
HUB_FILES = ("*.json", "*.jinja", "*.model", "*.safetensors", "*.txt")
DECIDES = (".json", ".jinja", ".model", ".safetensors", ".txt")
_PINNED = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{40})")


@dataclass(frozen=True, slots=True)
class PeerFamily:
    """A model type of transformers: its class, what it can be shown, best first, and its layout by that, for
    processors without a chat template."""

    model_class: str
    looks: tuple[Look, ...]
    layouts: Mapping[Look, str] = field(default_factory=dict)


PEERS: Mapping[str, PeerFamily] = {
    "video_llava": PeerFamily(
        "VideoLlavaForConditionalGeneration",
        ("video", "image"),
        {
            "video": "USER: <video>\n{words} ASSISTANT:",
            "image": "USER: <image>\n{words} ASSISTANT:",
        },
    ),
    "llava_next": PeerFamily(
        "LlavaNextForConditionalGeneration", ("image",), {"image": "[INST] <image>\n{words} [/INST]"}
    ),
    "qwen2_audio": PeerFamily("Qwen2AudioForConditionalGeneration", ("audio",)),
}


class Peer:
    """A model and its processor in `folder`, greedy; loaded when it is first asked."""

    at_once = 1

    def __init__(
        self,
        folder: Path,
        *,
        source: Mapping[str, Json],
        look: Look | None = None,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        self._family = family_of(folder)
        self.look: Look = look or self._family.looks[0]
        if self.look not in self._family.looks:
            raise ConfigError(
                f"{folder}: is shown {' or '.join(self._family.looks)}, not {self.look}. Change --look."
            )
        if not any(folder.glob("*.safetensors")):
            raise CheckpointError(
                f"{folder}: holds no *.safetensors. Weights in other formats are not opened."
            )
        self._folder, self._source, self._device, self._dtype = folder, source, device, dtype
        self._loaded: tuple[Any, Any] | None = None

    @property
    def identity(self) -> Mapping[str, Json]:
        """Where the weights are from, or what they are; the device is left out."""
        return {
            "weights": dict(self._source),
            "dtype": self._dtype,
            "most_new_tokens": MOST_NEW_TOKENS,
            "layouts": {str(look): layout for look, layout in self._family.layouts.items()},
        }

    def ask(self, words: str, seen: Shown, labels: Sequence[str]) -> str | Pending:
        """As Contender: the words that are generated after the question."""
        import torch

        processor, model = self._ready()
        given: dict[str, Any] = {"text": self._prompt(processor, words)}
        if self.look == "audio":
            given |= {"audio": [seen.sound], "sampling_rate": RATE}
        elif seen.frames is not None:
            given |= {"videos": [seen.frames]} if self.look == "video" else {"images": seen.frames[0]}
        with torch.inference_mode():
            batch = processor(**given, return_tensors="pt").to(model.device)
            batch = batch.to(dtype=model.dtype)
            made = model.generate(**batch, max_new_tokens=MOST_NEW_TOKENS, do_sample=False)
        said = made[0, batch["input_ids"].shape[1] :]
        return str(processor.tokenizer.decode(said, skip_special_tokens=True)).strip()

    def _prompt(self, processor: Any, words: str) -> str:
        if not getattr(processor, "chat_template", None):
            return self._family.layouts[self.look].format(words=words)
        content = [{"type": self.look}, {"type": "text", "text": words}]
        turns = [{"role": "user", "content": content}]
        return str(processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))

    def _ready(self) -> tuple[Any, Any]:
        if self._loaded is None:
            import torch
            import transformers

            own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            try:
                processor = transformers.AutoProcessor.from_pretrained(self._folder, **own)
                kind = getattr(transformers, self._family.model_class)
                dtype = getattr(torch, self._dtype)
                model = kind.from_pretrained(self._folder, dtype=dtype, use_safetensors=True, **own)
            except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
                raise CheckpointError(f"{self._folder}: cannot be loaded: {error}") from error
            self._loaded = (processor, model.eval().to(self._device))
        return self._loaded


def family_of(folder: Path) -> PeerFamily:
    """The family of the model in `folder` by its config.json.

    CheckpointError where there is none or it is of a type that emo does not ask.
    """
    config = read_json(folder / "config.json")
    kind = str(config.get("model_type"))
    if kind not in PEERS:
        found = f"of type {kind!r}" if config else "no model: it has no config.json"
        raise CheckpointError(f"{folder}: is {found}. Asked can be {', '.join(PEERS)}.")
    return PEERS[kind]


def peer(named: str, *, look: Look | None = None, device: str = "cpu", dtype: str = "float32") -> Peer:
    """The peer in a folder, or OWNER/NAME@COMMIT of the hub, which is fetched once.

    ConfigError where the name is neither, or the hub's without a commit; CheckpointError as `Peer`.
    """
    folder = Path(named)
    if folder.is_dir():
        source: dict[str, Json] = {"sha256": _digest(folder)}
        return Peer(folder, source=source, look=look, device=device, dtype=dtype)
    pinned = _PINNED.fullmatch(named)
    if pinned is None:
        raise ConfigError(
            f"{named!r} is no folder and no OWNER/NAME@COMMIT of the hub (40 hex digits: a branch moves)."
        )
    source = {"repo": pinned["repo"], "commit": pinned["commit"]}
    return Peer(_fetched(**pinned.groupdict()), source=source, look=look, device=device, dtype=dtype)


def _digest(folder: Path) -> str:
    """SHA-256 over the names and digests of all files that may decide what is said."""
    files = sorted(path for path in folder.iterdir() if path.suffix in DECIDES)
    memory = StatCache(None)
    return sha256_json({path.name: memory.sha256(path) for path in files})


def _fetched(repo: str, commit: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=commit, allow_patterns=list(HUB_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise CheckpointError(f"{repo}@{commit[:12]}: cannot be fetched: {error}") from error
