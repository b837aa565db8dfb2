"""Clips with a sentiment: from a table of MMSA, a label npz of MERTools or a raw pickle.

The number becomes the column `valence`, its sign the label: negative, neutral at 0, positive. MMSA's table is
`label.csv` (video_id, clip_id, text, label, label_T, label_A, label_V, annotation, mode) beside
`Raw/<video_id>/<clip_id>.mp4`. Sources: github.com/thuiar/MMSA-FET, README; MERTools, toolkit/preprocess.
Knows no data set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.datasets.reading import Mistakes, Row, Tree
from emo.corpora.label_files import read_label_npz, read_raw_pickle

SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
ONE_MODALITY = {"label_T": "valence_words", "label_A": "valence_sound", "label_V": "valence_picture"}


def sign(valence: float) -> str:
    """The label of a sentiment."""
    return "neutral" if valence == 0 else "positive" if valence > 0 else "negative"


def of_table(tree: Tree, name: str) -> Iterator[Row]:
    """Rows of an MMSA table."""
    path, mistakes = tree.file(name), Mistakes()
    for number, row in tree.table(path, "video_id", "clip_id", "text", "label", "mode"):
        valence = mistakes.number(path, number, "label", row["label"])
        if not mistakes.one_of(path, number, "mode", row["mode"], SPLITS) or valence is None:
            continue
        place = tree.root / "Raw" / row["video_id"]
        film = place / f"{row['clip_id']}.mp4"
        if not film.exists() and row["clip_id"].isdecimal():  # spreadsheets cut the zeros of 0001
            film = next((each for each in _padded(place, row["clip_id"]) if each.exists()), film)
        clip = Clip(
            clip_id=f"{row['video_id']}_{film.stem}",
            path=film,
            text=row["text"],
            label=sign(valence),
            split=SPLITS[row["mode"]],
            group=row["video_id"],
        )
        yield Row(clip=clip, more={"valence": valence, **_by_modality(mistakes, path, number, row)})
    mistakes.refuse()


def _padded(place: Path, clip: str) -> list[Path]:
    return [place / f"{int(clip):0{digits}d}.mp4" for digits in (4, 5)]


def _by_modality(mistakes: Mistakes, path: Path, number: int, row: Mapping[str, str]) -> dict[str, Json]:
    told = {
        name: mistakes.number(path, number, column, row.get(column, ""))
        for column, name in ONE_MODALITY.items()
    }
    return {name: value for name, value in told.items() if value is not None}


def of_npz(tree: Tree, folders: tuple[str, ...] = ("subvideo", "video")) -> Iterator[Row]:
    """Rows of MERTools' `label.npz`."""
    path = tree.file("label.npz")
    folder = tree.folder(*folders).name
    media, said, mistakes = tree.media(folder), _said(tree), Mistakes()
    for corpus, labels in read_label_npz(path).items():
        split = SPLITS.get(corpus.removesuffix("_corpus"))
        for name, told in labels.items() if split else ():
            valence = mistakes.number(path, name, "val", str(told.get("val", "")))
            if valence is not None:
                film = media.get(name, tree.root / folder / f"{name}.mp4")
                yield _row(name, film, said.get(name, ""), valence, str(split))
    mistakes.refuse()


def of_raw(tree: Tree, pickle: str, films: Mapping[str, Path], folder: str) -> Iterator[Row]:
    """Rows of a raw pickle; `films` are cut clips by name, looked for in `folder`."""
    for split, rows in read_raw_pickle(tree.file(pickle)).items():
        for name, valence, text in rows:
            film = films.get(name, tree.root / folder / f"{name}.mp4")
            yield _row(name, film, text, float(valence), split)


def _row(name: str, film: Path, text: str, valence: float, split: str) -> Row:
    video = name.rpartition("_")[0]
    clip = Clip(clip_id=name, path=film, text=text, label=sign(valence), split=split, group=video or None)
    return Row(clip=clip, more={"valence": valence})


def _said(tree: Tree) -> dict[str, str]:
    for name in ("transcription-engchi-polish.csv", "transcription.csv"):
        if tree.has(name):
            rows = [row for _, row in tree.table(tree.file(name), "name")]
            column = next((each for each in ("english", "chinese") if rows and each in rows[0]), None)
            return {row["name"]: row[column] for row in rows} if column else {}
    return {}
