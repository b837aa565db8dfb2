"""CH-SIMS: clips of Chinese films and shows, sentiment from -1 to 1, whole and by modality.

Layout: `Raw/video_XXXX/0001.mp4`, `metadata/sentiment/label_M.csv` and label_T, label_A, label_V (video_id,
clip_id, label), `metadata/{train,val,test}_index.csv` (index: the row of label_M, from 0),
`metadata/Translation.csv` (video_id, clip_id, Chinese, English). Or MMSA's `label.csv`, or MERTools'
`label.npz` with `video/`. Source: Yu et al., ACL 2020; MERTools, preprocess/sims.py at commit 89120b7. Clips
of one film are one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.datasets.mer_files import LANGUAGES
from emo.corpora.datasets.reading import Cells, Mistakes, Reader, Row, Tree
from emo.corpora.datasets.sentiment import ONE_MODALITY, of_npz, of_table, sign

WHOLE = "metadata/sentiment/label_M.csv"
SPLITS = ("train", "val", "test")


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    if tree.has("label.csv"):
        return of_table(tree, "label.csv")
    if tree.has("label.npz"):
        return of_npz(tree, ("video",))
    tree.file(WHOLE, "label.csv", "label.npz")
    return _of_release(tree, options["language"])


def _of_release(tree: Tree, language: str) -> Iterator[Row]:
    path, mistakes = tree.file(WHOLE), Mistakes()
    splits = _splits(tree)
    said = {
        _key(row): row[language.title()]
        for _, row in tree.table(
            tree.file("metadata/Translation.csv"), "video_id", "clip_id", language.title()
        )
    }
    single = {name: _labels(tree, column, mistakes) for column, name in ONE_MODALITY.items()}
    for place, (number, row) in enumerate(tree.table(path, "video_id", "clip_id", "label")):
        valence, name = mistakes.number(path, number, "label", row["label"]), _key(row)
        if valence is None or place not in splits:
            continue
        clip = Clip(
            clip_id=name,
            path=tree.root / "Raw" / row["video_id"] / f"{name.rpartition('_')[2]}.mp4",
            text=said.get(name, ""),
            label=sign(valence),
            split=splits[place],
            group=row["video_id"],
        )
        more: dict[str, Json] = {each: held[name] for each, held in single.items() if name in held}
        yield Row(clip=clip, more={"valence": valence, **more})
    mistakes.refuse()


def _splits(tree: Tree) -> dict[int, str]:
    found, mistakes = {}, Mistakes()
    for split in SPLITS:
        path = tree.file(f"metadata/{split}_index.csv")
        for number, row in tree.table(path, "index"):
            index = mistakes.number(path, number, "index", row["index"])
            if index is not None:
                found[int(index)] = split
    mistakes.refuse()
    return found


def _labels(tree: Tree, column: str, mistakes: Mistakes) -> dict[str, float]:
    """The sentiment of one modality by clip, where its table is there."""
    name = f"metadata/sentiment/{column}.csv"
    if not tree.has(name):
        return {}
    path, found = tree.file(name), {}
    for number, row in tree.table(path, "video_id", "clip_id", "label"):
        value = mistakes.number(path, number, "label", row["label"])
        if value is not None:
            found[_key(row)] = value
    return found


def _key(row: Cells) -> str:
    """`video_0001_0003` of video_0001 and 3."""
    clip = row["clip_id"]
    return f"{row['video_id']}_{int(clip):04d}" if clip.isdecimal() else f"{row['video_id']}_{clip}"


READER = Reader(
    layout="Raw/video_XXXX/0001.mp4, metadata/sentiment/label_*.csv, metadata/*_index.csv; or label.csv, npz",
    read=_read,
    options={"language": LANGUAGES},
)
