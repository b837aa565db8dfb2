"""CMU-MOSEI: monologues of the web, sentiment from -3 to 3.

Layouts: MMSA's `label.csv` with `Raw/<video>/<i>.mp4`; MERTools' `label.npz` with `subvideo/`; or the
release: `Videos/Full/Combined/<video>.mp4` whole, `Transcript/Segmented/Combined/<video>.txt` (lines
`video___i___start___end___words`) and `CMUMOSEI_features_raw_2way.pkl`; clips are then cut by their times.
Source: Zadeh et al., ACL 2018; MERTools, preprocess/cmumosei.py at commit 89120b7. Clips of one video are one
group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from emo.corpora.datasets.reading import Mistakes, Reader, Row, Tree
from emo.corpora.datasets.sentiment import of_npz, of_raw, of_table

PICKLE = "CMUMOSEI_features_raw_2way.pkl"
FILMS, WORDS = "Videos/Full/Combined", "Transcript/Segmented/Combined"


def _read(tree: Tree, _: Mapping[str, str]) -> Iterator[Row]:
    if tree.has("label.csv"):
        return of_table(tree, "label.csv")
    if tree.has("label.npz"):
        return of_npz(tree)
    tree.file("label.csv", "label.npz", PICKLE)
    return _of_release(tree)


def _of_release(tree: Tree) -> Iterator[Row]:
    times = _times(tree)
    for row in of_raw(tree, PICKLE, {}, FILMS):
        clip = row.clip
        start, end = times.get(clip.clip_id, (None, None))
        film = tree.root / FILMS / f"{clip.group}.mp4"
        yield replace(row, clip=replace(clip, path=film, start=start, end=end))


def _times(tree: Tree) -> dict[str, tuple[float | None, float | None]]:
    """Start and end in seconds by clip."""
    found, mistakes = {}, Mistakes()
    for path in sorted(tree.folder(WORDS).glob("*.txt")):
        for number, line in tree.lines(path):
            parts = line.split("___", 4)
            if len(parts) != 5:
                mistakes.add(path, number, "not video___i___start___end___words.")
                continue
            start, end = (
                mistakes.number(path, number, what, parts[place].strip())
                for what, place in (("start", 2), ("end", 3))
            )
            found[f"{parts[0]}_{parts[1]}"] = (start, end)
    mistakes.refuse()
    return found


READER = Reader(
    layout="label.csv with Raw/<video>/<i>.mp4 (MMSA); label.npz (MERTools); or Videos/, Transcript/, pickle",
    read=_read,
)
