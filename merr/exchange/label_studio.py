"""Label Studio: tasks for annotators, and their choices back as verdicts.

Formats: labelstud.io/guide/tasks and labelstud.io/guide/export, JSON. Videos are named by address or path,
never sent along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo.canonical import Json
from emo.corpora.merr_files import Entry
from emo.errors import ConfigError
from emo.merr.verdicts import ACCEPT, REJECT, Verdict, text_digest

VERDICT, NOTE = "verdict", "note"
CONFIG = f"""<View>
  <Video name="video" value="$video"/>
  <Header value="$clip_id: $label"/>
  <Text name="caption" value="$caption"/>
  <Text name="reason" value="$reason"/>
  <Choices name="{VERDICT}" toName="video" choice="single" required="true">
    <Choice value="{ACCEPT}"/>
    <Choice value="{REJECT}"/>
  </Choices>
  <TextArea name="{NOTE}" toName="video"/>
</View>
"""


def tasks(
    coarse: Mapping[str, Entry], fine: Mapping[str, Entry], videos: Mapping[str, str]
) -> list[dict[str, Json]]:
    """One task a coarse entry; `videos` are their addresses by clip id."""
    found: list[dict[str, Json]] = []
    for clip_id, entry in coarse.items():
        reason = str(fine.get(clip_id, {}).get("smp_reason_caption", ""))
        data: dict[str, Json] = {
            "clip_id": clip_id,
            "video": videos.get(clip_id, ""),
            "label": entry.get("pseu_emotion", ""),
            "caption": entry.get("caption", ""),
            "reason": reason,
            "text": text_digest(str(entry.get("caption", "")), reason),
        }
        found.append({"data": data})
    return found


def verdicts_from(path: Path) -> dict[str, Verdict]:
    """The verdicts of an exported project, by clip id; the last finished annotation of a task counts.

    ConfigError where the file is no such export.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(rows, list):
            raise ValueError("not a list of tasks")
        found = {str(row["data"]["clip_id"]): _verdict(row) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: no JSON export of Label Studio: {error!r}.") from error
    return {clip_id: verdict for clip_id, verdict in found.items() if verdict is not None}


def _verdict(row: Mapping[str, Any]) -> Verdict | None:
    found, note = None, ""
    for annotation in row.get("annotations") or ():
        if annotation.get("was_cancelled"):
            continue
        for result in annotation["result"]:
            if result["from_name"] == VERDICT:
                found = result["value"]["choices"][0]
            elif result["from_name"] == NOTE:
                note = " ".join(map(str, result["value"]["text"]))
    if found is None:
        return None
    if found not in (ACCEPT, REJECT):
        raise ValueError(f"{found!r} is neither accept nor reject")
    return Verdict(verdict=found, text=str(row["data"].get("text", "")), note=note)
