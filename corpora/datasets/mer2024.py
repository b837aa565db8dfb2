"""MER2024: MER2023's labelled clips as training data, tests SEMI (1,169) and NOISE (1,170), a large pool.

Layout: `video-labeled/` with `label-disdim.csv` (name, discrete, ...), `label-transcription.csv`,
`video-unlabeled-with-test2noise/`, and the references that came later: `reference-semi.csv`,
`reference-noise.csv`. Or as MERTools writes it: `video/` and `label-6way.npz`, where clips without a known
label are called neutral: only its training part is believed. Source: MERTools,
MER2024/toolkit/preprocess/mer2024.py at commit 89120b7; arXiv:2404.17113. The 332 clips with word lists are
the data set ov-merd.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.corpora.datasets.mer_files import (
    LANGUAGES,
    MerTree,
    labels_in,
    labels_of,
    unlabelled,
)
from emo.corpora.datasets.reading import Reader, Row, Tree
from emo.corpora.label_files import read_label_npz

NPZ = "label-6way.npz"
LABELS = "label-disdim.csv"
LABELED, UNLABELED = "video-labeled", "video-unlabeled-with-test2noise"


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    mer = MerTree(tree, options["language"])
    if tree.has(NPZ) and not tree.has(LABELS):
        path = tree.file(NPZ)
        held = read_label_npz(path)
        train = labels_of(path, held.get("train_corpus", {}))
        labeled = unlabeled = "video"
    else:
        train = labels_in(tree, tree.file(LABELS, NPZ))
        labeled, unlabeled = LABELED, UNLABELED
    tree.folder(labeled)
    tests = {
        split: labels_in(tree, tree.file(f"reference-{split}.csv"))
        for split in ("semi", "noise")
        if tree.has(f"reference-{split}.csv")
    }
    yield from mer.rows(train, "train", tree.media(labeled), labeled)
    media = tree.media(unlabeled)
    for split, labels in tests.items():
        yield from mer.rows(labels, split, media, unlabeled)
    if options["pool"] == "yes":
        yield from mer.rows(unlabelled(media, train, *tests.values()), "pool", media, unlabeled)


READER = Reader(
    layout="video-labeled/ label-disdim.csv video-unlabeled-*/ reference-*.csv; or MERTools",
    read=_read,
    options={"language": LANGUAGES, "pool": ("no", "yes")},
)
