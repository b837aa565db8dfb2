"""ShareGPT conversations, as LLaMA-Factory trains multimodal models on: JSON or one object a line.

Format: LLaMA-Factory, data/README.md: messages with role and content, videos by path, one tag for each in the
text. Written, never read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emo.canonical import Json
from emo.corpora.merr_files import Entry

QUESTION = "<video>What does the person in the video feel, and what shows it?{said}"


def conversations(
    entries: Mapping[str, Entry], videos: Mapping[str, str], *, fine: bool
) -> list[dict[str, Json]]:
    """One conversation an entry: the reason as the answer where `fine`, else caption and label."""
    return [_conversation(entry, videos.get(clip_id, ""), fine) for clip_id, entry in entries.items()]


def _conversation(entry: Mapping[str, Json], video: str, fine: bool) -> dict[str, Json]:
    said = str(entry.get("text", "")).replace("<", "(").replace(">", ")")  # a tag counts as a medium
    answer = str(entry["smp_reason_caption"]) if fine else f"{entry['caption']} {_conclusion(entry)}"
    question = QUESTION.format(said=f' The person says: "{said}"' if said else "")
    messages: Sequence[Json] = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer.replace("<", "(").replace(">", ")")},
    ]
    return {"messages": list(messages), "videos": [video]}


def _conclusion(entry: Mapping[str, Json]) -> str:
    return f"So the emotion is {entry['pseu_emotion']}."
