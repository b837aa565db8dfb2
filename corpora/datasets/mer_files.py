"""What the folders of the MER challenges and of MERTools have in common: words, faces, label tables.

Layout of MERTools (github.com/zeroQiaoba/MERTools): `video/NAME.mp4`, `openface_face/NAME/NAME.npy`, a table
of what is said, label files as CSV (name, discrete[, valence]) or npz. Knows no year.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.datasets.reading import Mistakes, Row, Tree
from emo.corpora.label_files import Labels
from emo.labels import MER2023

LANGUAGES = ("chinese", "english")
NO_VALENCE = -10.0  # stands for "not known" in the label files
# Tables of what is said: which column holds which language.
SAID: Mapping[str, Mapping[str, str]] = {
    "transcription-engchi-polish.csv": {"chinese": "chinese", "english": "english"},
    "subtitle_chieng.csv": {"chinese": "chinese", "english": "english"},
    "transcription.csv": {"chinese": "sentence"},
    "label-transcription.csv": {"chinese": "sentence"},
    "transcription_en_all.csv": {"english": "sentence"},
    "transcription_all_new.csv": {"english": "sentence_en"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a label file says of a clip."""

    label: str | None = None
    valence: float | None = None


class MerTree:
    """Rows of clips in a folder of MER: words and faces are looked up by name."""

    def __init__(self, tree: Tree, language: str) -> None:
        self._tree = tree
        self._said = _said(tree, language)
        self._faces = tree.root / "openface_face" if tree.has("openface_face") else None

    def rows(
        self,
        told: Mapping[str, Told],
        split: str,
        media: Mapping[str, Path],
        expected: str,
        more: Mapping[str, Mapping[str, Json]] | None = None,
    ) -> Iterator[Row]:
        """Rows of these clips; one that `media` lacks is an mp4 in the folder `expected`."""
        for name, one in told.items():
            clip = Clip(
                clip_id=name,
                path=media.get(name, self._tree.root / expected / f"{name}.mp4"),
                text=self._said.get(name, ""),
                label=one.label,
                split=split,
                faces_path=self._faces_of(name),
            )
            beyond: dict[str, Json] = {} if one.valence is None else {"valence": one.valence}
            yield Row(clip=clip, more={**beyond, **(more or {}).get(name, {})})

    def _faces_of(self, name: str) -> Path | None:
        if self._faces is None:
            return None
        places = (self._faces / name / f"{name}.npy", self._faces / f"{name}.npy")
        return next((place for place in places if place.is_file()), None)


def labels_in(tree: Tree, path: Path) -> dict[str, Told]:
    """Labels by name of a CSV file with name and discrete, valence too where there is such a column."""
    found, mistakes = {}, Mistakes()
    for number, row in tree.table(path, "name", "discrete"):
        mistakes.one_of(path, number, "discrete", row["discrete"], MER2023)
        valence = mistakes.number(path, number, "valence", row.get("valence", ""))
        found[row["name"]] = Told(label=row["discrete"], valence=valence)
    mistakes.refuse()
    return found


def labels_of(path: Path, held: Labels) -> dict[str, Told]:
    """Labels by name out of one part of a label npz."""
    found, mistakes = {}, Mistakes()
    for name, said in held.items():
        label, valence = str(said.get("emo", "")), said.get("val")
        mistakes.one_of(path, name, "emo", label, MER2023)
        if not isinstance(valence, int | float) or valence == NO_VALENCE:
            valence = None
        found[name] = Told(label=label, valence=valence)
    mistakes.refuse()
    return found


def names_in(tree: Tree, path: Path) -> dict[str, Told]:
    """The clips of a CSV file with a column name, without labels."""
    return {row["name"]: Told() for _, row in tree.table(path, "name")}


def unlabelled(media: Mapping[str, Path], *labelled: Mapping[str, Told]) -> dict[str, Told]:
    """Media files that no label file names."""
    return {name: Told() for name in media if not any(name in each for each in labelled)}


def _said(tree: Tree, language: str) -> dict[str, str]:
    for name, columns in SAID.items():
        if tree.has(name) and language in columns:
            column = columns[language]
            return {row["name"]: row[column] for _, row in tree.table(tree.file(name), "name", column)}
    return {}
