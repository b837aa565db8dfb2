"""IEMOCAP: ten actors in five sessions of two, filmed side by side; utterances in 4 or 6 emotions.

Layout as released: `Session<N>/dialog/avi/DivX/<dialogue>.avi`, `dialog/transcriptions/*.txt` (lines `id
[start-end]: words`), `dialog/EmoEvaluation/*.txt` (lines `[start - end] id emotion [valence, activation,
dominance]`). Or as MERTools writes it: `label_4way.npz`, `label_6way.npz` and cut films in `subvideo-tgt/`
(the speaker's half) or `subvideo/`. The speaker sits left where the letter behind the session's number is the
speaker's own. 4-way counts excited as happy: 5,531 utterances either way. 6-way: 7,380 by the released files,
7,433 by MERTools' npz, whose source counts 53 more as happy. Folds leave one session out. Source: Busso et
al. 2008; MERTools, preprocess/iemocap.py at commit 89120b7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.datasets.reading import Mistakes, Reader, Row, Tree
from emo.corpora.label_files import read_label_npz

SIX = ("happy", "sad", "neutral", "angry", "excited", "frustrated")  # as MERTools numbers them
CODES = dict(zip(("hap", "sad", "neu", "ang", "exc", "fru"), SIX, strict=True))
OTHERS = ("fea", "sur", "dis", "oth", "xxx")  # rare, or no majority: no part of the 4 or 6
SESSIONS = ("1", "2", "3", "4", "5")
SPOKEN = re.compile(r"(Ses\d\d[FM]_\S+) \[(\d+\.?\d*)-(\d+\.?\d*)\]: ?(.*)")
JUDGED = re.compile(r"\[\S+ - \S+\]\s+(Ses\d\d[FM]_\S+)\s+(\w{3})\s+\[([\d., ]+)\]")


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    if tree.has(f"label_{options['labels']}.npz"):
        yield from _of_mertools(tree, options)
        return
    tree.folder("Session1", f"label_{options['labels']}.npz")
    for session in SESSIONS:
        if not tree.has(f"Session{session}"):
            continue
        dialog = tree.folder(f"Session{session}/dialog")
        judged = _judged(tree, tree.folder(f"Session{session}/dialog/EmoEvaluation"), options["labels"])
        for path in sorted(tree.folder(f"Session{session}/dialog/transcriptions").glob("Ses*.txt")):
            film = dialog / "avi" / "DivX" / f"{path.stem}.avi"
            for _, line in tree.lines(path):
                spoken = SPOKEN.fullmatch(line.strip())
                if spoken and spoken[1] in judged:
                    label, more = judged[spoken[1]]
                    times = (float(spoken[2]), float(spoken[3]))
                    yield _row(spoken[1], film, label, options["fold"], spoken[4], more, times)


def _judged(tree: Tree, folder: Path, labels: str) -> dict[str, tuple[str, dict[str, Json]]]:
    """Label and ratings by utterance, those of the 4 or 6 emotions."""
    found: dict[str, tuple[str, dict[str, Json]]] = {}
    mistakes = Mistakes()
    for path in sorted(folder.glob("Ses*.txt")):
        for number, line in tree.lines(path):
            judged = JUDGED.fullmatch(line.strip())
            if judged is None:
                continue
            if judged[2] in OTHERS or not mistakes.one_of(path, number, "emotion", judged[2], CODES):
                continue
            valence, activation, dominance = (float(part) for part in judged[3].split(","))
            label = CODES[judged[2]]
            if labels == "4way" and label == "frustrated":
                continue
            more: dict[str, Json] = {"valence": valence, "arousal": activation, "dominance": dominance}
            found[judged[1]] = ("happy" if (labels, label) == ("4way", "excited") else label, more)
    mistakes.refuse()
    return found


def _of_mertools(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    path = tree.file(f"label_{options['labels']}.npz")
    cut = tree.has("subvideo-tgt")
    folder = tree.folder("subvideo-tgt", "subvideo").name
    media, known = tree.media(folder), [str(place) for place in range(int(options["labels"][0]))]
    said = _said(tree)
    mistakes = Mistakes()
    for name, told in read_label_npz(path).get("whole_corpus", {}).items():
        if mistakes.one_of(path, name, "emo", str(told.get("emo")), known):
            film = media.get(name, tree.root / folder / f"{name}.{'avi' if cut else 'mp4'}")
            row = _row(name, film, SIX[int(str(told["emo"]))], options["fold"], said.get(name, ""), {})
            yield replace(row, clip=replace(row.clip, region=None)) if cut else row
    mistakes.refuse()


def _said(tree: Tree) -> dict[str, str]:
    for name in ("transcription-engchi-polish.csv", "transcription.csv"):
        if tree.has(name):
            return {row["name"]: row["english"] for _, row in tree.table(tree.file(name), "name", "english")}
    return {}


def _row(
    name: str,
    film: Path,
    label: str,
    fold: str,
    text: str,
    more: Mapping[str, Json],
    times: tuple[float | None, float | None] = (None, None),
) -> Row:
    """The row of an utterance such as `Ses01F_impro01_M003`, with its speaker's half of the picture."""
    session, gender = name[:5], name[-4]
    clip = Clip(
        clip_id=name,
        path=film,
        start=times[0],
        end=times[1],
        text=text,
        label=label,
        speaker=f"{session}{gender}",
        split="test" if session == f"Ses0{fold}" else "train",
        group=session,
        region="left-half" if name[5] == gender else "right-half",
    )
    return Row(clip=clip, more={"gender": gender, **more})


READER = Reader(
    layout="Session<N>/dialog/{avi/DivX,transcriptions,EmoEvaluation}; or label_{4,6}way.npz, subvideo-tgt/",
    read=_read,
    options={"labels": ("4way", "6way"), "fold": ("5", "1", "2", "3", "4")},
)
