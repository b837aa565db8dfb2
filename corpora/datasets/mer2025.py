"""MER2025: one label a clip (track 1), word lists (track 2) and reasons (track 3) over one folder of clips.

Layout: `video/`, `openface_face/`, `subtitle_chieng.csv` (name, chinese, english), `track1_train_disdim.csv`
(name, discrete, ...), `track1_test_dis.csv` where you have the answers, `track_all_candidates.csv` (name),
and for `ovmerd` and `mercaptionplus`: `track2_train_*.csv` (name, openset), `track3_train_*.csv` (name,
reason). Track 1 trains on 7,369 clips, which are MER2024's labelled ones and both its tests. Source:
MERTools, MER2025 at commit 89120b7; arXiv:2504.19423.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.canonical import Json
from emo.corpora.datasets.mer_files import LANGUAGES, MerTree, Told, labels_in, names_in
from emo.corpora.datasets.reading import Reader, Row, Tree
from emo.corpora.datasets.word_lists import words_of


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    mer = MerTree(tree, options["language"])
    tree.folder("video")
    media = tree.media("video")
    part = options["part"]
    if part == "track1":
        yield from mer.rows(labels_in(tree, tree.file("track1_train_disdim.csv")), "train", media, "video")
        if tree.has("track1_test_dis.csv"):
            yield from mer.rows(labels_in(tree, tree.file("track1_test_dis.csv")), "test", media, "video")
    elif part == "candidates":
        told = names_in(tree, tree.file("track_all_candidates.csv"))
        yield from mer.rows(told, "candidates", media, "video")
    else:
        more = open_labels(tree, f"track2_train_{part}.csv", f"track3_train_{part}.csv")
        yield from mer.rows(dict.fromkeys(more, Told()), "train", media, "video", more)


def open_labels(tree: Tree, words: str, reasons: str | None = None) -> dict[str, dict[str, Json]]:
    """By clip: `openset` of a table of word lists, and `reason` of one of reasons, where that is there."""
    found: dict[str, dict[str, Json]] = {
        row["name"]: {"openset": words_of(row["openset"])}
        for _, row in tree.table(tree.file(words), "name", "openset")
    }
    if reasons and tree.has(reasons):
        for _, row in tree.table(tree.file(reasons), "name", "reason"):
            found.setdefault(row["name"], {})["reason"] = row["reason"]
    return found


READER = Reader(
    layout="video/ subtitle_chieng.csv track1_train_disdim.csv track{2,3}_train_{ovmerd,mercaptionplus}.csv",
    read=_read,
    options={"part": ("track1", "ovmerd", "mercaptionplus", "candidates"), "language": LANGUAGES},
)
