"""CMU-MOSI: opinions of people in front of a camera, sentiment from -3 to 3.

Layouts: `Raw/Video/Segmented/<video>_<i>.mp4` with `CMUMOSI_features_raw_2way.pkl` beside `Raw`; MMSA's
`label.csv` with `Raw/<video>/<i>.mp4`; or MERTools' `label.npz` with `subvideo/`. Source: arXiv:1606.06259;
MERTools, preprocess/cmumosi.py at commit 89120b7. Clips of one video are one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.corpora.datasets.reading import Reader, Row, Tree
from emo.corpora.datasets.sentiment import of_npz, of_raw, of_table

PICKLE = "CMUMOSI_features_raw_2way.pkl"
FILMS = "Raw/Video/Segmented"


def _read(tree: Tree, _: Mapping[str, str]) -> Iterator[Row]:
    if tree.has("label.csv"):
        return of_table(tree, "label.csv")
    if tree.has("label.npz"):
        return of_npz(tree)
    tree.file("label.csv", "label.npz", PICKLE)
    return of_raw(tree, PICKLE, tree.media(FILMS), FILMS)


READER = Reader(
    layout="label.csv with Raw/<video>/<i>.mp4 (MMSA); label.npz (MERTools); or the raw pickle", read=_read
)
