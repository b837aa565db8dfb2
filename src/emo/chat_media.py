"""Pictures and sounds in the messages of an OpenAI-compatible server, always as base64, never as addresses.

Knows bytes and messages, no models.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emo.canonical import Json
from emo.services import Message

_JPEG = "data:image/jpeg;base64,"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What messages hold: their words in order, JPEGs and WAVs."""

    words: str
    pictures: tuple[bytes, ...]
    sounds: tuple[bytes, ...]


def picture_part(jpeg: bytes) -> dict[str, Json]:
    """A JPEG as a part of a message."""
    return {"type": "image_url", "image_url": {"url": _JPEG + base64.b64encode(jpeg).decode()}}


def sound_part(wav: bytes) -> dict[str, Json]:
    """A WAV as a part of a message."""
    data = base64.b64encode(wav).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def spoken(messages: Sequence[Message]) -> Spoken:
    """The messages taken apart again."""
    words: list[str] = []
    pictures: list[bytes] = []
    sounds: list[bytes] = []
    for part in _parts(messages):
        match part:
            case {"type": "image_url", "image_url": {"url": str(url)}}:
                pictures.append(base64.b64decode(url.removeprefix(_JPEG)))
            case {"type": "input_audio", "input_audio": {"data": str(data)}}:
                sounds.append(base64.b64decode(data))
            case {"text": str(text)}:
                words.append(text)
    return Spoken("\n".join(words), tuple(pictures), tuple(sounds))


def _parts(messages: Sequence[Message]) -> Iterator[Json]:
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            yield from content
        else:
            yield {"type": "text", "text": content}
