"""MAFW: faces in films and series, eleven emotions, five official folds.

Layout: `split/single/no_caption/set_<fold>/{train,test}.txt`, lines `name.mp4 label` and maybe a caption
behind, and the films anywhere below `data/`, or, where there is none, frames in `data/frames/<id>/`. There is
no validation split. Source: arXiv:2208.00847; MAE-DFER, preprocess/mafw.py at commit 80b651d.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from emo.clip import Clip
from emo.corpora.datasets.reading import Mistakes, Reader, Row, Tree

EMOTIONS = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
    "contempt",
    "anxiety",
    "helplessness",
    "disappointment",
)


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    media = tree.media("data") or tree.frames("data/frames")
    mistakes = Mistakes()
    for split in ("train", "test"):
        path = tree.file(f"split/single/no_caption/set_{options['fold']}/{split}.txt")
        for number, line in tree.lines(path):
            name, label, caption = (*line.split(maxsplit=2), "", "")[:3]
            if not mistakes.one_of(path, number, "label", label, EMOTIONS):
                continue
            clip_id = Path(name).stem
            clip = Clip(
                clip_id=clip_id, path=media.get(clip_id, tree.root / "data" / name), label=label, split=split
            )
            yield Row(clip=clip, more={"caption": caption} if caption else {})
    mistakes.refuse()


READER = Reader(
    layout="split/single/no_caption/set_<fold>/{train,test}.txt, films below data/ or data/frames/<id>/*.jpg",
    read=_read,
    options={"fold": ("1", "2", "3", "4", "5")},
)
