"""A data set read into a manifest: ids that are one's own, media that is there, and rights beside it.

A row whose media file is missing is left out and listed, or kept where that is asked: its features may come
from elsewhere. Knows no layout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emo.corpora.comparison import catalogue
from emo.corpora.datasets import reader
from emo.corpora.datasets.reading import MISTAKES_SHOWN, Row, Tree
from emo.corpora.declared import known_rights, write_rights
from emo.corpora.manifest import COLUMNS, manifest_row, read_manifest
from emo.corpora.manifest_text import csv_text, json_lines
from emo.errors import ConfigError
from emo.frames import frames_in
from emo.rights import DataRights
from emo.text_files import replace_text

POINTER = b"version https://git-lfs.github.com/"  # what stands for a file where Git LFS did not fetch it
MOST_POINTER = 200  # bytes
MISSING_SUFFIX = ".missing.txt"
SUFFIXES = (".jsonl", ".csv")


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A manifest that was written. `missing` are rows without a media file, kept or left out; `listed` is the
    file that names them."""

    manifest: Path
    rows: Sequence[Row]
    missing: Sequence[Row]
    listed: Path | None
    rights: DataRights | None

    def to_json(self) -> dict[str, object]:
        """What `emo corpus read --json` prints."""
        clips = [row.clip for row in self.rows]
        return {
            "manifest": str(self.manifest),
            "clips": len(clips),
            "splits": dict(Counter(clip.split or "none" for clip in clips)),
            "labels": dict(Counter(clip.label for clip in clips if clip.label)),
            "speakers": len({clip.speaker for clip in clips if clip.speaker}),
            "without_label": sum(clip.label is None for clip in clips),
            "without_text": sum(not clip.text for clip in clips),
            "missing": len(self.missing),
            "missing_listed": str(self.listed) if self.listed else None,
            "rights": self.rights.to_json() if self.rights else None,
        }


def read_dataset(
    name: str,
    folder: Path,
    options: Mapping[str, str],
    *,
    encoding: str = "utf-8",
    columns: Mapping[str, str] | None = None,
    rights: DataRights | None = None,
    pass_over: Callable[[str], None] | None = None,
) -> tuple[list[Row], DataRights | None]:
    """Rows of the data set `name` in `folder`, and what its owner allows.

    `columns` maps columns of one's own table. `rights` goes before the catalogue.
    `pass_over` is called with the name of each media file that a reader which goes by names passes over.
    ConfigError for an unknown name or option, for files that are missing or wrong, and for ids that repeat.
    """
    how = reader(name)
    chosen = how.chosen(options)
    if columns and name != "own":
        raise ConfigError(f"--column is for one's own tables. {name} knows its columns.")
    if not folder.exists():
        raise ConfigError(f"{folder} does not exist. Name the folder of {name}.")
    facts = next((one for one in catalogue() if one.key == name), None)
    tree = Tree(
        folder,
        facts.name if facts else name,
        (facts.eula_url or facts.source) if facts else "where it was made",
        encoding,
        columns or {},
        **({"pass_over": pass_over} if pass_over else {}),
    )
    allowed = rights or known_rights().get(name)
    key = name if facts else allowed.name if allowed else None
    rows = [replace(row, clip=replace(row.clip, dataset=key)) for row in how.read(tree, chosen)]
    if not rows:
        raise ConfigError(f"{folder}: no clips of {tree.title} in it. Expected: {how.layout}.")
    _refuse_repeated(rows, tree.title)
    return rows, allowed


def _refuse_repeated(rows: Iterable[Row], title: str) -> None:
    count = Counter(row.clip.clip_id for row in rows)
    twice = [f"{title}: {times} rows have the id {name!r}." for name, times in count.items() if times > 1]
    if twice:
        raise ConfigError(*twice[:MISTAKES_SHOWN])


def write_dataset(
    rows: Sequence[Row], out: Path, rights: DataRights | None, *, keep_missing: bool = False
) -> Written:
    """Write `rows` as a manifest, JSON lines or CSV as `out` ends, and their rights beside it.

    ConfigError for another ending, for rows that no manifest may have, and where none of the media files is
    there unless they are kept.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out {out}: a manifest ends in {' or '.join(SUFFIXES)}.")
    missing = [row for row in rows if not _is_media(row.clip.path)]
    if len(missing) == len(rows) and not keep_missing:
        first = rows[0].clip
        raise ConfigError(
            f"none of the {len(rows)} media files is there; that of {first.clip_id!r} was expected at "
            f"{first.path}. --keep-missing writes the manifest all the same, for features from elsewhere."
        )
    gone = {row.clip.clip_id for row in missing}
    kept = [row for row in rows if keep_missing or row.clip.clip_id not in gone]
    out.parent.mkdir(parents=True, exist_ok=True)
    cells = [{**manifest_row(row.clip, out.parent), **row.more} for row in kept]
    _write_readable(out, csv_text(cells, COLUMNS) if out.suffix.lower() == ".csv" else json_lines(cells))
    if rights is not None:
        write_rights(out, [rights])
    listed = out.with_name(out.name + MISSING_SUFFIX)
    if missing:
        replace_text(listed, "".join(f"{row.clip.clip_id}\t{row.clip.path}\n" for row in missing))
    else:
        listed.unlink(missing_ok=True)
    return Written(
        manifest=out, rows=kept, missing=missing, listed=listed if missing else None, rights=rights
    )


def _write_readable(out: Path, text: str) -> None:
    """Write a manifest. ConfigError, with `out` as it was, where no command could read it afterwards."""
    partial = out.with_name(f"{out.stem}.partial{out.suffix}")
    partial.write_text(text, encoding="utf-8", newline="")
    try:
        read_manifest(partial)
    except ConfigError as error:
        partial.unlink()
        raise ConfigError(
            *(mistake.replace(str(partial), f"{out} to be written") for mistake in error.mistakes)
        ) from error
    partial.replace(out)


def _is_media(path: Path) -> bool:
    """Whether a media file or a folder of frames is there, and not what Git LFS leaves in its place."""
    try:
        if not path.is_file():
            return bool(frames_in(path))
        if path.stat().st_size > MOST_POINTER:
            return True
        with path.open("rb") as stream:
            return stream.read(len(POINTER)) != POINTER
    except OSError:
        return False
