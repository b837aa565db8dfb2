"""MER2026: 9,395 clips with one label (track 1), word lists by people and by machine (track 2).

Layout: `video/`, `openface_face/`, `subtitle_chieng.csv` (name, chinese, english), `track1_train.csv` (name,
discrete), `track2_train_human.csv` and `track2_train_mercaptionplus.csv` (name, openset),
`track1_track2_candidate.csv` (name). The training clips of track 1 are those of MER2025 and its test; the
labels are of who speaks, the test asks about who listens. `track3_emoprefer.csv` and `track3_emopreferv2.csv`
(name, a1, a2, preference) hold pairs of descriptions: a row each, ids `NAME/pair1` and so on. Source:
MERTools, MER2026/README.md and MER2026_Track3/main_dpo_sample.py at commit 89120b7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from emo.clip import Clip
from emo.corpora.datasets.mer2025 import open_labels
from emo.corpora.datasets.mer_files import LANGUAGES, MerTree, Told, labels_in, names_in
from emo.corpora.datasets.reading import Reader, Row, Tree


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    mer = MerTree(tree, options["language"])
    tree.folder("video")
    media = tree.media("video")
    part = options["part"]
    if part == "track1":
        yield from mer.rows(labels_in(tree, tree.file("track1_train.csv")), "train", media, "video")
    elif part == "candidates":
        told = names_in(tree, tree.file("track1_track2_candidate.csv"))
        yield from mer.rows(told, "candidates", media, "video")
    elif part.startswith("emoprefer"):
        yield from _pairs(tree, f"track3_{part}.csv", media)
    else:
        more = open_labels(tree, f"track2_train_{part}.csv")
        yield from mer.rows(dict.fromkeys(more, Told()), "train", media, "video", more)


def _pairs(tree: Tree, table: str, media: Mapping[str, Path]) -> Iterator[Row]:
    seen: Counter[str] = Counter()
    for _, row in tree.table(tree.file(table), "name", "a1", "a2", "preference"):
        name = row["name"]
        seen[name] += 1
        clip = Clip(
            clip_id=f"{name}/pair{seen[name]}",
            path=media.get(name, tree.root / "video" / f"{name}.mp4"),
            split="train",
            group=name,
        )
        yield Row(clip=clip, more={"a1": row["a1"], "a2": row["a2"], "preference": row["preference"]})


READER = Reader(
    layout="video/ subtitle_chieng.csv track1_train.csv track2_train_{human,mercaptionplus}.csv",
    read=_read,
    options={
        "part": ("track1", "human", "mercaptionplus", "emoprefer", "emopreferv2", "candidates"),
        "language": LANGUAGES,
    },
)
