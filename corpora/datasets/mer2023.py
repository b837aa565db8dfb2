"""MER2023: clips of Chinese films and series in six emotions, three tests, and a large unlabelled pool.

Layout as sent by the organisers: `train/ test1/ test2/ test3/` with media, and `train-label.csv`,
`test1-label.csv`, ... (name, discrete, valence; test3 has no valence). Or as MERTools writes it: `video/` and
`label-6way.npz`. test1 is MULTI, test2 NOISE, test3 SEMI (834 of 73,148 clips of the pool). Source: MERTools,
MER2024/toolkit/preprocess/ mer2023.py at commit 89120b7; arXiv:2304.08981.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.corpora.datasets.mer_files import (
    LANGUAGES,
    MerTree,
    Told,
    labels_in,
    labels_of,
    unlabelled,
)
from emo.corpora.datasets.reading import Reader, Row, Tree
from emo.corpora.label_files import read_label_npz

SPLITS = ("train", "test1", "test2", "test3")
NPZ = "label-6way.npz"


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    mer = MerTree(tree, options["language"])
    if tree.has(NPZ):
        told = _of_npz(tree)
        places = dict.fromkeys(SPLITS, "video")
        tree.folder("video")
    else:
        tree.file("train-label.csv", NPZ)
        told = {
            split: labels_in(tree, tree.file(f"{split}-label.csv"))
            for split in SPLITS
            if split == "train" or tree.has(f"{split}-label.csv")
        }
        places = {split: split for split in SPLITS}
    for split, labels in told.items():
        yield from mer.rows(labels, split, tree.media(places[split]), places[split])
    if options["pool"] == "yes":
        pool = tree.media(places["test3"])
        yield from mer.rows(unlabelled(pool, *told.values()), "pool", pool, places["test3"])


def _of_npz(tree: Tree) -> dict[str, dict[str, Told]]:
    path = tree.file(NPZ)
    held = read_label_npz(path)
    return {split: labels_of(path, held[f"{split}_corpus"]) for split in SPLITS if f"{split}_corpus" in held}


READER = Reader(
    layout="train/ test1/ test2/ test3/ with SPLIT-label.csv; or video/ with label-6way.npz (MERTools)",
    read=_read,
    options={"language": LANGUAGES, "pool": ("no", "yes")},
)
