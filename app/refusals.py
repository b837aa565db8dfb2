"""What a stranger is told when something does not work: an id and words of ours, no path and no trace.

The whole error goes to the server's log under the same id. Knows HTTP's status numbers, no web library.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from emo.errors import EmoError

logger = logging.getLogger("emo.app")

OURS = "Something went wrong on this side. Whoever runs this server finds it in the log under the id."
SAID: dict[str, str] = {
    "failed:unreadable": "This is no clip that can be read here: mp4, mkv, webm, avi, ts, flv, wav, mp3, "
    "aac, flac and ogg can.",
    "failed:no_frames": "No picture of this clip can be decoded.",
    "failed:nonfinite": "The sound has values that are no numbers.",
    "failed:timeout": "Decoding the clip takes longer than is allowed here.",
    "failed:out_of_memory": "Decoding the clip takes more memory than is allowed here.",
    "failed:crashed": "The decoder broke on this clip.",
    "failed:encoder_error": "An encoder could not use this clip.",
    "degraded:truncated": "The file stops before the end that it claims.",
    "missing:no_audio": "The clip has no sound.",
    "missing:no_video": "The clip has no moving pictures.",
    "missing:no_face": "No face was found.",
    "missing:no_person": "The person was not found.",
    "missing:no_text": "Nothing is said of the words in this clip.",
}


class Refused(EmoError):
    """What was asked is not done. The message is ours and may be read by anybody; `status` is HTTP's."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An error as it is told: `id` is what the server's log has it under."""

    id: str
    status: int
    kind: str
    message: str

    def to_json(self) -> dict[str, dict[str, str]]:
        """The body of a refusal."""
        return {"error": {"id": self.id, "kind": self.kind, "message": self.message}}

    def sentence(self) -> str:
        """The refusal in a line for people."""
        return f"{self.message} (id {self.id})"


def refusal_of(error: BaseException) -> Refusal:
    """What is told of `error`: its own words where it is Refused, else that something went wrong."""
    name = secrets.token_hex(4)
    if isinstance(error, Refused):
        logger.info("%s: %s %s: %s", name, error.status, error.kind, error)
        return Refusal(id=name, status=error.status, kind=error.kind, message=str(error))
    logger.error("%s: %s", name, type(error).__name__, exc_info=error)
    return Refusal(id=name, status=500, kind="internal", message=OURS)


def said_of(status: str) -> str:
    """The words for a record's status, without anything of the file's name or place."""
    if status.startswith("degraded:decode_errors"):
        return "The file is damaged."
    return SAID.get(status, f"It could not be used ({status}).")
