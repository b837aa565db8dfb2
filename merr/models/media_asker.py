"""A media model asked with the messages that a server would get: the one road for both.

Its answers are not held to a schema, and it is asked for words, not for JSON. Knows no clips.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

from emo.canonical import Json
from emo.chat_media import spoken
from emo.merr.models.media import MediaModel, Shown
from emo.merr.sounds import read_wav
from emo.services import Message, Reply


class MediaAsker:
    """Asks `model` about the picture or the sound in the messages."""

    def __init__(self, model: MediaModel) -> None:
        self.identity = model.source.name
        self._model = model

    def ask(self, messages: Sequence[Message], schema: Mapping[str, Json], *, most_tokens: int) -> Reply:
        """As Asker; `schema` is not used."""
        asked = spoken(messages)
        if self._model.look == "audio":
            seen = Shown(sound=read_wav(asked.sounds[0]))
        else:
            from PIL import Image

            picture = Image.open(io.BytesIO(asked.pictures[0])).convert("RGB")
            seen = Shown(frames=np.array(picture)[None])
        return self._model.say(asked.words, seen, most_tokens=most_tokens)
