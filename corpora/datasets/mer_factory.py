"""MER-Factory's output as clips: one `<id>_merr_data.json` a clip, with its source film and its label.

Layout: the output folder of MER-Factory. The film is `source_path`, from there or absolute, else a film of
the clip's name below the folder. The summary becomes the column `reason`. `emo merr import` makes MERR files
of the same folder. Source: github.com/Lum1104/MER-Factory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.clip import Clip
from emo.corpora.datasets.reading import Reader, Row, Tree
from emo.corpora.mer_factory import read_mer_factory
from emo.errors import ConfigError
from emo.labels import LABEL_SETS


def _read(tree: Tree, options: Mapping[str, str]) -> Iterator[Row]:
    found = read_mer_factory(tree.root, LABEL_SETS[options["labels"]], tree.encoding)
    if found.problems:
        raise ConfigError(*(f"{tree.root}: {problem}" for problem in found.problems))
    media = tree.media("")
    for name, entry in found.coarse.items():
        source = tree.root / found.sources.get(name, "")
        fine = found.fine.get(name, {})
        clip = Clip(
            clip_id=name,
            path=source if source.is_file() else media.get(name, source),
            label=str(entry["pseu_emotion"]),
        )
        yield Row(clip=clip, more={"reason": fine.get("smp_reason_caption", entry["caption"])})


READER = Reader(
    layout="<id>/<id>_merr_data.json", read=_read, options={"labels": tuple(sorted(LABEL_SETS, reverse=True))}
)
