"""A model that looks at the picture of a peak and says what is in it, not what it means.

Pictures are sent as base64, never as addresses. Knows no clips.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from emo.canonical import Json
from emo.merr.asking import Asker, Ledger, without_label
from emo.merr.cases import Pending
from emo.services import Message

TOLD = (
    "Describe the picture in one or two plain sentences: place, people, posture, gestures. Name no emotion. "
    'Answer with one JSON object: {"description": text}.'
)
SCHEMA: dict[str, Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["description"],
    "properties": {"description": {"type": "string"}},
}


class ModelDescriber:
    """Describes pictures by asking a model."""

    def __init__(self, asker: Asker, ledger: Ledger, labels: Sequence[str]) -> None:
        self.name = asker.identity
        self._asker, self._ledger, self._labels = asker, ledger, labels

    def describe(self, picture: Path) -> str | None:
        """As Describer; an answer out of schema, or one that names a label, describes nothing."""
        data = base64.b64encode(picture.read_bytes()).decode()
        shown: Json = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}
        messages: list[Message] = [
            {"role": "system", "content": TOLD},
            {"role": "user", "content": [shown]},
        ]
        reply = self._ledger.ask(self._asker, messages, SCHEMA)
        if isinstance(reply, Pending):
            return None
        try:
            found = json.loads(reply.text) if reply.whole else None
        except (ValueError, RecursionError):
            return ""
        if not isinstance(found, dict) or not isinstance(found.get("description"), str):
            return ""
        return without_label(found["description"], self._labels)
