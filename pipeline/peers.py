"""Zero-shot peers of transformers as contenders: Video-LLaVA, LLaVA-NeXT, Qwen2-Audio and others.

Loaded and asked as `emo merr` asks its local models. Knows no clips and no scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emo.canonical import Json
from emo.merr.cases import Pending
from emo.merr.models.media import Look, MediaModel, Shown
from emo.merr.models.source import source_of

MOST_NEW_TOKENS = 32


class Peer:
    """A model that is asked for a label; greedy, loaded when it is first asked."""

    at_once = 1

    def __init__(self, model: MediaModel, dtype: str) -> None:
        self.look = model.look
        self._model, self._dtype = model, dtype

    @property
    def identity(self) -> Mapping[str, Json]:
        """Where the weights are from, or what they are; the device is left out."""
        layouts = self._model.family.layouts
        return {
            "weights": dict(self._model.source.origin),
            "dtype": self._dtype,
            "most_new_tokens": MOST_NEW_TOKENS,
            "layouts": {str(look): layout for look, layout in layouts.items()},
        }

    def ask(self, words: str, seen: Shown, labels: Sequence[str]) -> str | Pending:
        """As Contender: the words that are generated after the question."""
        return self._model.say(words, seen, most_tokens=MOST_NEW_TOKENS).text


def peer(named: str, *, look: Look | None = None, device: str = "cpu", dtype: str = "float32") -> Peer:
    """The peer in a folder, or OWNER/NAME@COMMIT of the hub, which is fetched once.

    ConfigError where the name is neither, the hub's without a commit, or the model is not shown what `look`
    says; CheckpointError where it is none that can be asked.
    """
    return Peer(MediaModel(source_of(named), look=look, device=device, dtype=dtype), dtype)
