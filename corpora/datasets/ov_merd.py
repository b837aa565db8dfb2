"""OV-MERD and OV-MERD+: clips of MER2024 with word lists by people, 332 and 532.

Layout: `ovlabel.csv` (name, openset; 532) or `track2_train_ovmerd.csv` (332), `subtitle_chieng.csv` (name,
chinese, english) where it is there, the films in `video/`, the faces in `openface_face/`. Source:
arXiv:2410.01495, arXiv:2501.16566. Test only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.corpora.datasets.mer2025 import open_labels
from emo.corpora.datasets.mer_files import LANGUAGES, MerTree, Told
from emo.corpora.datasets.reading import Reader, Row, Tree

TABLES = ("ovlabel.csv", "track2_train_ovmerd.csv")


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    mer = MerTree(tree, options["language"])
    more = open_labels(tree, tree.file(*TABLES).name, "track3_train_ovmerd.csv")
    yield from mer.rows(dict.fromkeys(more, Told()), "test", tree.media("video"), "video", more)


READER = Reader(
    layout="ovlabel.csv or track2_train_ovmerd.csv, subtitle_chieng.csv, video/",
    read=_read,
    options={"language": LANGUAGES},
)
