"""EMER: clips of MER2023 with reasons by people: v1 has 100 clips, v2 332.

Layout: v1 `gt-eng.csv` or `gt-chi.csv` (names, emotions, subtitles, reasons); v2 `final-EMER-reason.csv`
(name, chinese, english). The films are MER2023's, anywhere below the folder. Source: arXiv:2306.15401;
AffectGPT. Test only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.canonical import Json
from emo.clip import Clip
from emo.corpora.datasets.mer_files import LANGUAGES
from emo.corpora.datasets.reading import Reader, Row, Tree
from emo.corpora.datasets.word_lists import words_of

V2 = "final-EMER-reason.csv"


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    first = f"gt-{options['language'][:3]}.csv"
    media = tree.media("")
    path = tree.file(V2, first) if options["version"] == "v2" else tree.file(first, V2)
    second = path.name == V2
    columns = ("name", options["language"]) if second else ("names", "emotions", "subtitles", "reasons")
    for _, row in tree.table(path, *columns):
        name = row[columns[0]]
        more: dict[str, Json] = {"reason": row[columns[-1]]}
        if not second:
            more["openset"] = words_of(row["emotions"])
        clip = Clip(
            clip_id=name,
            path=media.get(name, tree.root / "video" / f"{name}.mp4"),
            text="" if second else row["subtitles"],
            split="test",
        )
        yield Row(clip=clip, more=more)


READER = Reader(
    layout="gt-eng.csv or gt-chi.csv (v1), final-EMER-reason.csv (v2); films of MER2023 below",
    read=_read,
    options={"version": ("v1", "v2"), "language": ("english", *LANGUAGES[:1])},
)
