"""Lists of clips: text files that name clips and, where they know them, labels.

The lines are those of the lists that come with MERR and MER2023: `name`, `name label`, or
`name count label [valence]`, between spaces, tabs or commas. Judges no label.
Source of the columns: Emotion-LLaMA, minigpt4/datasets/datasets/first_face.py at commit 4ee28d2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.clip import normal_id
from emo.config.llm import SETS_WITHOUT_LIST, StageConfig
from emo.errors import ConfigError

LABEL_COLUMN = {1: None, 2: 1, 3: 2, 4: 2}  # number of columns -> where the label stands


def named_lists(values: Sequence[str]) -> dict[str, Path]:
    """The files of `NAME=FILE` values by name; ConfigError for other shapes and for names that are taken."""
    lists: dict[str, Path] = {}
    mistakes = []
    for value in values:
        name, _, file = value.partition("=")
        if not name or not file:
            mistakes.append(f"--list {value}: not NAME=FILE, as in --list pseudo=pseudo_labels.txt.")
        elif name in SETS_WITHOUT_LIST or name in lists:
            mistakes.append(f"--list {value}: the name {name!r} is taken. Choose another.")
        lists[name] = Path(file)
    if mistakes:
        raise ConfigError(*mistakes)
    return lists


def refuse_missing_lists(stages: Mapping[str, StageConfig], lists: Mapping[str, Path]) -> None:
    """ConfigError with every list that a stage names and that is not among `lists`."""
    mistakes = []
    for stage_name, stage in stages.items():
        named = dict.fromkeys((stage.clips, stage.labels_from, *stage.sample_ratios))
        mistakes += [
            f"stage {stage_name} asks for the list {name!r}. Give it with --list {name}=FILE."
            for name in named
            if name and name not in SETS_WITHOUT_LIST and name not in lists
        ]
    if mistakes:
        raise ConfigError(*mistakes)


def read_list(path: Path) -> Mapping[str, str]:
    """Labels by clip id, "" where a line gives none; empty lines are passed over.

    ConfigError where the file cannot be read, and with every line that has another number of columns,
    names a clip again with another label, or has an id that is none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a list of clips: {error}.") from error
    labels: dict[str, str] = {}
    mistakes = []
    for number, line in enumerate(lines, start=1):
        columns = line.replace(",", " ").split()
        if not columns:
            continue
        try:
            clip_id, label = _row(columns)
        except ConfigError as error:
            mistakes.append(f"{path}, line {number}: {error}")
            continue
        if labels.setdefault(clip_id, label) != label:
            mistakes.append(
                f"{path}, line {number}: {clip_id} is {labels[clip_id]!r} and {label!r}. Keep one."
            )
    if mistakes:
        raise ConfigError(*mistakes)
    return labels


def _row(columns: Sequence[str]) -> tuple[str, str]:
    if len(columns) not in LABEL_COLUMN:
        raise ConfigError(
            f"{len(columns)} columns; a line is `name`, `name label` or `name count label valence`."
        )
    place = LABEL_COLUMN[len(columns)]
    return normal_id(columns[0]), "" if place is None else columns[place]
