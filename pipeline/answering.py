"""Answering clips into a file or onto a stream: what is left to answer, and answers with what they rest on.

Knows prepared systems and files of answers; draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.cache import Space
from emo.canonical import Json
from emo.clip import Clip
from emo.config.hardware import WHOLE_BITS
from emo.heads.models import code_digest
from emo.pipeline.answer_file import AnswerFile
from emo.pipeline.answer_identity import DIGITS, clip_digest, run_digest
from emo.pipeline.answers import Answer
from emo.pipeline.predict import Prepared
from emo.pipeline.systems import answer_all


@dataclass(frozen=True, kw_only=True, slots=True)
class Answering:
    """What `ready` is still to answer, in `todo`; `run` and `inputs`, by clip, tell answers apart."""

    ready: Prepared
    todo: Sequence[Clip]
    run: str
    inputs: Mapping[str, str]

    def rows(self, *, reasons: bool, abstain_below: float) -> Iterator[tuple[Answer, dict[str, Any]]]:
        """Each answer, withheld where its confidence is below `abstain_below`, and its row of a file."""
        for answer in answer_all(self.ready.system, self.todo, self.ready.spaces, reasons=reasons):
            shown = answer.unless_below(abstain_below)
            told = {"run": self.run, "input": self.inputs[shown.clip_id]}
            yield shown, {**told, **shown.to_json()}


def answering(
    ready: Prepared,
    model: Path,
    loading: Mapping[str, Any],
    file: AnswerFile | None,
    *,
    force: bool,
    **settings: Json,
) -> Answering:
    """What is left to answer of the clips of `ready`, those in `file` left out.

    `loading` are the options of `load_system`, `settings` the others that decide what is answered.
    ConfigError where the answers in `file` are of other weights, settings or media.
    """
    run = answers_run(model, ready.spaces, loading, force=force, **settings)
    inputs = {clip.clip_id: clip_digest(clip, ready.spaces)[:DIGITS] for clip in ready.clips}
    done = file.go_on(run, inputs) if file is not None else frozenset()
    todo = [clip for clip in ready.clips if clip.clip_id not in done]
    return Answering(ready=ready, todo=todo, run=run, inputs=inputs)


def answers_run(
    model: Path, spaces: Mapping[str, Space], loading: Mapping[str, Any], *, force: bool, **settings: Json
) -> str:
    """The digest of all that decides what `model` answers, its features included.

    `loading` are the options of `load_system`, `settings` the others.
    """
    decides: dict[str, Json] = dict(settings)
    if loading["labels"]:
        decides["labels"] = list(loading["labels"])
    if loading["head"]:
        decides["head_code"] = code_digest(loading["head"])
    if loading["bits"] != WHOLE_BITS:
        decides["bits"] = loading["bits"]
    return run_digest(model, spaces, base=loading["base"], force=force, dtype=loading["dtype"], **decides)
