"""MERR: clips of MER2023's unlabelled pool with pseudo labels, clues and captions (coarse) or reasons (fine).

Layout: `MERR_coarse_grained.json`, `MERR_fine_grained.json` (see `emo.corpora.merr_files`) and the films
anywhere below the folder. The label is `pseu_emotion`; the caption or the reason becomes the column `reason`.
Source: Emotion-LLaMA, MERR/README.md at commit 4ee28d2; arXiv:2406.11161. Its test is MER2023's SEMI, cut
from the same pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.datasets.reading import Mistakes, Reader, Row, Tree
from emo.corpora.merr_files import COARSE as COARSE_FILE
from emo.corpora.merr_files import FINE as FINE_FILE
from emo.corpora.merr_files import read_entries
from emo.labels import MERR


def _read(file: str, reason: str, tree: Tree, _: Mapping[str, str]) -> Iterator[Row]:
    path, mistakes = tree.file(file), Mistakes()
    media = tree.media("")
    for name, entry in read_entries(path, tree.encoding).items():
        label = str(entry.get("pseu_emotion", ""))
        if not mistakes.one_of(path, name, "pseu_emotion", label, (*MERR, "disgust")):
            continue
        clip = Clip(
            clip_id=name,
            path=media.get(name, tree.root / "video" / f"{name}.mp4"),
            text=str(entry.get("text", "")),
            label=label,
            split="train",
        )
        more: dict[str, Json] = {"reason": str(entry.get(reason, ""))}
        yield Row(clip=clip, more=more)
    mistakes.refuse()


COARSE = Reader(layout=f"{COARSE_FILE}, films below", read=partial(_read, COARSE_FILE, "caption"))
FINE = Reader(layout=f"{FINE_FILE}, films below", read=partial(_read, FINE_FILE, "smp_reason_caption"))
