"""A reviewer's verdicts: what is accepted and what is rejected, tied to the very text that was read.

    {"schema_version": 1, "verdicts": {"<clip id>": {"verdict": "reject", "text": "<digest>", "note": "..."}}}

A rejection is about the caption, an acceptance about caption and reason; where these have changed since, it
no longer counts. Knows no page and no filters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emo.canonical import Json
from emo.errors import ConfigError

REVIEW = "review.json"
SCHEMA_VERSION = 1
Word = Literal["accept", "reject"]
ACCEPT: Word = "accept"
REJECT: Word = "reject"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a reviewer said of one clip; `text` is the digest of what was read, "" stands for any text."""

    verdict: Word
    text: str = ""
    note: str = ""

    def on(self, caption: str, reason: str | None = None) -> bool:
        """Whether it is about this caption, and about this reason where one is named."""
        if not self.text:
            return True
        asked = text_digest(caption, reason or "")
        return self.text == asked if reason is not None else self.text.split("-")[0] == asked.split("-")[0]


def text_digest(caption: str, reason: str = "") -> str:
    """What ties a verdict to its texts: 16 hex digits of the caption, a dash, 16 of the reason."""
    return "-".join(hashlib.sha256(text.encode()).hexdigest()[:16] for text in (caption, reason))


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """Verdicts by clip id, none where there is no file. ConfigError where it is no such file."""
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))["verdicts"].items()
        found = {str(clip_id): _verdict(row) for clip_id, row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: no file of verdicts: {error!r}. It is what the button in review.html downloads."
        ) from error
    return found


def verdicts_json(verdicts: Iterable[tuple[str, Verdict]]) -> str:
    """The file of verdicts."""
    rows = {
        clip_id: {"verdict": each.verdict, "text": each.text, "note": each.note} for clip_id, each in verdicts
    }
    value = {"schema_version": SCHEMA_VERSION, "verdicts": rows}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def of_kind(verdicts: Mapping[str, Verdict], word: Word) -> dict[str, Verdict]:
    """The verdicts that accept, or those that reject."""
    return {clip_id: each for clip_id, each in verdicts.items() if each.verdict == word}


def _verdict(row: Mapping[str, Json]) -> Verdict:
    word = row["verdict"]
    if word not in (ACCEPT, REJECT):
        raise ValueError(f"{word!r} is neither accept nor reject")
    return Verdict(verdict=word, text=str(row.get("text") or ""), note=str(row.get("note") or ""))
