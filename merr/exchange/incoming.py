"""What other tools made, into the folder of a set; what could not be read is told, a line a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.canonical import Json
from emo.corpora import merr_files
from emo.corpora.mer_factory import read_mer_factory
from emo.corpora.merr_files import Entry, json_text, list_text
from emo.errors import ConfigError
from emo.merr.exchange.label_studio import verdicts_from
from emo.merr.folder import BuildFolder
from emo.merr.verdicts import REVIEW, read_verdicts, verdicts_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """Where entries went, how many, and what could not be read."""

    file: Path
    entries: int
    problems: Sequence[str] = ()

    def to_json(self) -> dict[str, Json]:
        """What `emo merr import --json` prints."""
        return {"file": str(self.file), "entries": self.entries, "problems": list(self.problems)}


def import_mer_factory(source: Path, out: Path, labels: Sequence[str]) -> Taken:
    """MER-Factory's clips as coarse and fine files in `out`. ConfigError where `out` holds a set already."""
    if (out / merr_files.COARSE).exists():
        raise ConfigError(f"{out} holds a set already. Name another folder.")
    found = read_mer_factory(source, labels)
    folder = BuildFolder(out)
    with folder.held():
        for name, listed, entries, fine in (
            (merr_files.COARSE, merr_files.COARSE_LIST, found.coarse, False),
            (merr_files.FINE, merr_files.FINE_LIST, found.fine, True),
        ):
            rows = [(clip_id, 0, _label(entry)) for clip_id, entry in entries.items()]
            text = list_text(rows, fine=fine)
            folder.write_text(name, json_text(entries))
            folder.write_text(listed, text)
    return Taken(file=out / merr_files.COARSE, entries=len(found.coarse), problems=found.problems)


def import_verdicts(source: Path, out: Path) -> Taken:
    """Label Studio's choices into `out`'s review.json; a later verdict on a clip replaces an earlier one."""
    verdicts = {**read_verdicts(out / REVIEW), **verdicts_from(source)}
    folder = BuildFolder(out)
    with folder.held():
        folder.write_text(REVIEW, verdicts_json(verdicts.items()))
    return Taken(file=out / REVIEW, entries=len(verdicts))


def _label(entry: Entry) -> str:
    return str(entry["pseu_emotion"])
