"""DFEW: faces in films, seven emotions, ten votes a clip, five official folds.

Layout: `EmoLabel_DataSplit/{train,test}(single-labeled)/set_<fold>.csv` (video_name, label 1 to 7), films in
`Clip/original/<n>.mp4` or, where there is none, frames in `Clip/jpg_256/<00000>/`, and `annotation.xlsx` with
ten votes a clip (order, 1happy ... 7fear), wherever it lies below. The votes become the column `votes`, for
soft labels. There is no validation split: the official code takes the test fold for it, emo does not. Source:
arXiv:2008.05924; MAE-DFER, preprocess/dfew.py at commit 80b651d.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.datasets.reading import Mistakes, Reader, Row, Tree
from emo.errors import ConfigError
from emo.labels import DFEW
from emo.safety.sheets import read_sheet

SPLITS = "EmoLabel_DataSplit"
FILMS, FRAMES = "Clip/original", "Clip/jpg_256"
VOTES = "annotation.xlsx"


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    tree.folder(SPLITS)
    media = _media(tree)
    votes = _votes(tree)
    mistakes = Mistakes()
    for split in ("train", "test"):
        path = tree.file(f"{SPLITS}/{split}(single-labeled)/set_{options['fold']}.csv")
        for number, row in tree.table(path, "video_name", "label"):
            known = [str(place) for place in range(1, len(DFEW) + 1)]
            if not mistakes.one_of(path, number, "label", row["label"], known):
                continue
            name = row["video_name"]
            clip = Clip(
                clip_id=name,
                path=media.get(name.lstrip("0"), tree.root / FILMS / f"{name}.mp4"),
                label=DFEW[int(row["label"]) - 1],
                split=split,
            )
            yield Row(clip=clip, more={"votes": votes[name]} if name in votes else {})
    mistakes.refuse()


def _media(tree: Tree) -> dict[str, Path]:
    """Films by the number of their clip, or folders of frames where there is no film."""
    found = tree.media(FILMS) or tree.frames(FRAMES)
    return {name.lstrip("0"): path for name, path in found.items()}


def _votes(tree: Tree) -> dict[str, dict[str, Json]]:
    """Votes by clip and label, none where there is no table of them."""
    path = next(iter(sorted(tree.root.rglob(VOTES))), None)
    if path is None:
        return {}
    header, *rows = read_sheet(path) or [[]]
    names = [cell.strip().lower().lstrip("1234567 ") for cell in header]
    if lacking := [label for label in DFEW if label not in names]:
        raise ConfigError(f"{path}, row 1: there is no column for {', '.join(lacking)}; there are {header}.")
    found = {}
    mistakes = Mistakes()
    for number, cells in enumerate(rows, start=2):
        counts = {
            label: mistakes.number(path, number, label, cells[names.index(label)]) or 0 for label in DFEW
        }
        found[_plain(cells[0])] = {label: int(count) for label, count in counts.items() if count}
    mistakes.refuse()
    return {name: dict(counts) for name, counts in found.items()}


def _plain(cell: str) -> str:
    """A clip's number as the splits write it: spreadsheets may hold 1.0 for 1."""
    return cell.strip().removesuffix(".0")


READER = Reader(
    layout="EmoLabel_DataSplit/*/set_<fold>.csv, Clip/{original/<n>.mp4,jpg_256/<00000>/}, annotation.xlsx",
    read=_read,
    options={"fold": ("1", "2", "3", "4", "5")},
)
