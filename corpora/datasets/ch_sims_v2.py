"""CH-SIMS v2, the labelled part: 4,403 clips, CH-SIMS' own relabelled among them.

Layout: `Raw/<video_id>/<clip_id>.mp4` and `meta.csv` (video_id, clip_id, text, label, label_T, label_A,
label_V, annotation, mode), also called `label.csv` by MMSA. Or MERTools' `label.npz` with `video/`. Source:
arXiv:2209.02604; MERTools, preprocess/simsv2.py at commit 89120b7. Clips of one film are one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.corpora.datasets.reading import Reader, Row, Tree
from emo.corpora.datasets.sentiment import of_npz, of_table


def _read(tree: Tree, _: Mapping[str, str]) -> Iterator[Row]:
    if tree.has("label.npz"):
        return of_npz(tree, ("video",))
    return of_table(tree, tree.file("meta.csv", "label.csv", "label.npz").name)


READER = Reader(layout="Raw/<video_id>/<clip_id>.mp4 and meta.csv; or label.npz (MERTools)", read=_read)
