"""RAVDESS: 24 actors say (or sing) two sentences in eight emotions; everything stands in the file name.

Layout: `Actor_XX/MM-CC-EE-II-SS-RR-AA.mp4` (or .wav) anywhere below the folder, as the archives of Zenodo
record 1188976 unpack. MM modality (01 with sound and picture, 02 picture, 03 sound), CC channel (01 speech,
02 song), EE emotion, II intensity, SS statement, RR repetition, AA actor (odd ones are male). Source:
Livingstone and Russo 2018, doi:10.1371/journal.pone.0196391. Folds: six of four actors in their order, as
MAE-DFER (saved/data/ravdess at commit 80b651d) and others cut them; MAE-DFER itself uses the picture-only
films.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from emo.clip import Clip
from emo.corpora.datasets.reading import Reader, Row, Tree

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
STATEMENTS = ("Kids are talking by the door.", "Dogs are sitting by the door.")
MODALITIES = {"av": "01", "video": "02", "audio": "03"}
CHANNELS = {"speech": "01", "song": "02"}
ACTORS_A_FOLD = 4
NAME = re.compile(
    r"0[123]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(?:0[1-9]|1\d|2[0-4])"  # modality to actor, see above
)


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    wanted = f"{MODALITIES[options['modality']]}-{CHANNELS[options['channel']]}-"
    found = tree.media("")
    named = {name: path for name, path in found.items() if NAME.fullmatch(name)}
    for odd in found.keys() - named.keys():
        tree.pass_over(odd)
    if not any(name.startswith(wanted) for name in named):
        others = sorted({name[:5] for name in named})
        lacks = (
            f"is not there; there are {', '.join(others)}: see --option modality and channel"
            if others
            else ""
        )
        raise tree.missing(f"Actor_01/{wanted}01-01-01-01-01.*", lacks=lacks or "is not there")
    for name, path in sorted(named.items()):
        if not name.startswith(wanted):
            continue
        emotion, intensity, statement, repetition, actor = map(int, name.split("-")[2:])
        clip = Clip(
            clip_id=name,
            path=path,
            text=STATEMENTS[statement - 1],
            label=EMOTIONS[emotion - 1],
            speaker=f"actor_{actor:02d}",
            split=_split(actor, options["fold"]),
        )
        yield Row(
            clip=clip,
            more={
                "intensity": ("normal", "strong")[intensity - 1],
                "repetition": repetition,
                "gender": "male" if actor % 2 else "female",
            },
        )


def _split(actor: int, fold: str) -> str | None:
    if fold == "none":
        return None
    return "test" if (actor - 1) // ACTORS_A_FOLD == int(fold) - 1 else "train"


READER = Reader(
    layout="Actor_XX/MM-CC-EE-II-SS-RR-AA.mp4 or .wav",
    read=_read,
    options={
        "modality": tuple(MODALITIES),
        "channel": tuple(CHANNELS),
        "fold": ("1", "2", "3", "4", "5", "6", "none"),
    },
)
