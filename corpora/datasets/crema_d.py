"""CREMA-D: 91 actors say twelve sentences in six emotions; the file name tells which.

Layout: `VideoFlash/<actor>_<sentence>_<EMOTION>_<LEVEL>.flv` and `AudioWAV/*.wav`, `VideoDemographics.csv`
beside them (ActorID, Age, Sex, Race, Ethnicity), as in github.com/CheyneyComputerScience/CREMA-D. A clone
without Git LFS has files of three lines there, which are told as missing. Source: Cao et al. 2014,
doi:10.1109/TAFFC.2014.2336244. Folds: five blocks of actors in their order, as MAE-DFER cuts them
(saved/data/crema-d at commit 80b651d; tests of 1463, 1470, 1476, 1476 and 1557 clips).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.datasets.reading import Reader, Row, Tree

EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
FOLDERS = {"video": "VideoFlash", "audio": "AudioWAV"}
FIRST_ACTOR, ACTORS_A_FOLD, FOLDS = 1001, 18, 5  # the last fold has 19
NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX?)")
DEMOGRAPHICS = "VideoDemographics.csv"


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    folder = FOLDERS[options["media"]]
    tree.folder(folder)
    people = _people(tree)
    found = {name: NAME.fullmatch(name) for name in tree.media(folder)}
    if not any(found.values()):
        raise tree.missing(f"{folder}/1001_DFA_ANG_XX.*")
    media = tree.media(folder)
    for name, parts in sorted(found.items()):
        if parts is None or parts[2] not in SENTENCES or parts[3] not in EMOTIONS:
            tree.pass_over(name)
            continue
        actor, sentence, emotion, level = parts.groups()
        clip = Clip(
            clip_id=name,
            path=media[name],
            text=SENTENCES[sentence],
            label=EMOTIONS[emotion],
            speaker=actor,
            split=_split(int(actor), options["fold"]),
        )
        yield Row(clip=clip, more={"level": LEVELS[level], **people.get(actor, {})})


def _people(tree: Tree) -> dict[str, dict[str, Json]]:
    if not tree.has(DEMOGRAPHICS):
        return {}
    rows = tree.table(tree.file(DEMOGRAPHICS), "ActorID", "Age", "Sex", "Race", "Ethnicity")
    return {
        row["ActorID"]: {
            "age": row["Age"],
            "gender": row["Sex"].lower(),
            "race": row["Race"],
            "ethnicity": row["Ethnicity"],
        }
        for _, row in rows
    }


def _split(actor: int, fold: str) -> str | None:
    if fold == "none":
        return None
    own = min((actor - FIRST_ACTOR) // ACTORS_A_FOLD, FOLDS - 1)
    return "test" if own == int(fold) - 1 else "train"


READER = Reader(
    layout="VideoFlash/ACTOR_SENTENCE_EMOTION_LEVEL.flv, AudioWAV/*.wav, VideoDemographics.csv",
    read=_read,
    options={"media": tuple(FOLDERS), "fold": ("1", "2", "3", "4", "5", "none")},
)
