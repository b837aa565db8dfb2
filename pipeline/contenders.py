"""Systems of others, asked about the same clips and read by the same parser: a question, an answer, a line.

A contender is asked in the words of `question`, with the label set in them; each answer is written as it
comes, with what was asked, and what names no label stays invalid. Knows no models and no servers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from emo.canonical import Json, sha256_json
from emo.clip import Clip
from emo.digests import StatCache
from emo.errors import ConfigError, ServiceDown
from emo.labels import parse_label
from emo.merr.cases import Pending
from emo.merr.models.media import RATE, Look, Shown
from emo.pipeline.answer_file import AnswerFile
from emo.pipeline.answer_identity import DIGITS
from emo.pipeline.contender_media import MIDDLE, shown
from emo.pipeline.inputs import InputDigests
from emo.views import AudioView, TextView, ViewProblem

SCHEMA_VERSION = 1
SPOKEN = "The person says: {text} "
ASKED = "Which of these emotions does the person express: {labels}? Answer with one word of this list."
OUT_OF_BUDGET = "budget"


class Contender(Protocol):
    """A system that can be asked."""

    @property
    def look(self) -> Look:
        """What it is shown of a clip."""

    @property
    def at_once(self) -> int:
        """How many questions it takes at a time."""

    @property
    def identity(self) -> Mapping[str, Json]:
        """What decides its answers, as far as that can be told: weights, or model and address; settings."""

    def ask(self, words: str, seen: Shown, labels: Sequence[str]) -> str | Pending:
        """What it says, or why it says nothing yet."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How far a run has come: `done` of `total` clips; `clip_id` was answered last, without a label where it
    is `invalid`."""

    done: int
    total: int
    clip_id: str
    invalid: bool


def question(clip: Clip, labels: Sequence[str]) -> str:
    """The words that every contender is asked about a clip."""
    spoken = SPOKEN.format(text=json.dumps(clip.text, ensure_ascii=False)) if clip.text else ""
    return spoken + ASKED.format(labels=", ".join(labels))


def run_digest(contender: Contender, labels: Sequence[str], frames: int) -> str:
    """Of whom is asked, what is shown and in which words; 16 hex digits."""
    decides: dict[str, Json] = {
        "contender": dict(contender.identity),
        "look": contender.look,
        "frames": frames,
        "words": [SPOKEN, ASKED],
        "labels": list(labels),
    }
    return sha256_json(decides)[:DIGITS]


def ask_all(
    contender: Contender, clips: Sequence[Clip], labels: Sequence[str], file: AnswerFile, *, frames: int
) -> Iterator[Asked]:
    """Ask about the `clips` that `file` has no answer for yet, and write each answer there.

    A clip whose media cannot be shown is answered with nothing, and the row says why. ServiceDown where a
    server stopped answering, ConfigError where a budget is spent; the same call then goes on.
    """
    run = run_digest(contender, labels, frames)
    view = AudioView(RATE) if contender.look == "audio" else MIDDLE
    digests = InputDigests(clips, StatCache(None)).of(frozenset({view, TextView()}))
    inputs = {clip_id: digest.hex()[:DIGITS] for clip_id, digest in digests.items()}
    there = file.go_on(run, inputs)
    todo = [clip for clip in clips if clip.clip_id not in there]

    def one(clip: Clip) -> dict[str, Json] | Pending:
        words, seen = question(clip, labels), shown(clip, contender.look, frames)
        row: dict[str, Json] = {
            "schema_version": SCHEMA_VERSION,
            "run": run,
            "input": inputs[clip.clip_id],
            "clip_id": clip.clip_id,
        }
        if isinstance(seen, ViewProblem):
            return {**row, "label": None, "said": "", "asked": words, "problem": _told(seen)}
        said = contender.ask(words, seen, labels)
        if isinstance(said, Pending):
            return said
        return {**row, "label": parse_label(said, labels), "said": said, "asked": words, "problem": ""}

    done, waiting = len(there), []
    with ThreadPoolExecutor(contender.at_once, thread_name_prefix="asker") as pool:
        try:
            for row in pool.map(one, todo):
                if isinstance(row, Pending):
                    waiting.append(row)
                    continue
                done += 1
                file.write(row)
                yield Asked(done, len(clips), str(row["clip_id"]), row["label"] is None)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if waiting:
        raise _waiting(waiting[-1], len(waiting))


def _told(problem: ViewProblem) -> str:
    return f"{problem.status}: {problem.reason}"


def _waiting(pending: Pending, left: int) -> ServiceDown | ConfigError:
    if pending.detail.startswith(f"the {OUT_OF_BUDGET} "):
        return ConfigError(
            f"{left} clips wait: {pending.detail}. Raise it and run the same command: answers are kept."
        )
    return ServiceDown(f"{left} clips wait for an answer: {pending.detail}. Run the same command again.")
