"""EmoBench-M: questions about clips of thirteen data sets.

Layout: `benchmark_json/<set>.json`, a list of `{"id", "video", "conversations": [{"from": "human", "value"},
{"from": "gpt", "value"}]}`, and `dataset/<set>/<video>`. The question becomes the column `question`, the
answer `answer`; where the task is to classify, the answer is the label too. MC-EIU asks for two things at
once and smile for a text: those have no label. Source: github.com/Emo-gml/EmoBench-M, README;
arXiv:2502.04424. Test only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emo.clip import Clip
from emo.corpora.datasets.reading import Mistakes, Reader, Row, Tree
from emo.errors import ConfigError

QUESTIONS, FILMS = "benchmark_json", "dataset"
NO_CLASS = ("MC-EIU", "smile")
MARK = "<video>"


def _read(tree: Tree, _: Mapping[str, str]) -> Iterator[Row]:
    tables = sorted(tree.folder(QUESTIONS).glob("*.json"))
    if not tables:
        raise tree.missing(f"{QUESTIONS}/MELD.json")
    mistakes = Mistakes()
    for path in tables:
        for number, entry in enumerate(_entries(tree, path), start=1):
            try:
                asked, told = (str(turn["value"]) for turn in entry["conversations"][:2])
                row = _row(tree, path.stem, str(entry["id"]), str(entry["video"]), asked, told)
            except (KeyError, TypeError, ValueError) as error:
                mistakes.add(path, number, f"no id, video and two turns ({error!r}).")
                continue
            yield row
    mistakes.refuse()


def _entries(tree: Tree, path: Path) -> list[Any]:
    try:
        found = json.loads(tree.text(path))
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}.") from error
    if not isinstance(found, list):
        raise ConfigError(f"{path}: not a list of questions.")
    return found


def _row(tree: Tree, name: str, number: str, video: str, asked: str, told: str) -> Row:
    clip = Clip(
        clip_id=f"{name}/{number}",
        path=_film(tree, name, video),
        label=None if name.startswith(NO_CLASS) else told.strip(),
        split="test",
    )
    question = asked.replace(MARK, "").strip()
    return Row(clip=clip, more={"task": name, "question": question, "answer": told})


def _film(tree: Tree, name: str, video: str) -> Path:
    """The film in the folder called as the questions are, or in one whose name begins so."""
    places = [tree.root / FILMS / name / video]
    places += [folder / video for folder in sorted((tree.root / FILMS).glob(f"{name}*"))]
    return next((place for place in places if place.is_file()), places[0])


READER = Reader(layout="benchmark_json/<set>.json, dataset/<set>/videos/...", read=_read)
