"""Says what is wrong with clips that cannot be learnt from or scored, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.clip import Clip


def refuse_unlabelled(manifest: str, clips: Sequence[Clip]) -> None:
    """ConfigError where none of the `clips` found at `manifest` has a label."""
    if not any(clip.label for clip in clips):
        found = f"{len(clips)} clips, none of them with a label" if clips else "no clips"
        raise ConfigError(
            f"{manifest}: {found}. Give --manifest a .jsonl or .csv with labels, or the folder that holds "
            "its manifest.jsonl or manifest.csv."
        )


def of_split(manifest: str, clips: Sequence[Clip], split: str) -> list[Clip]:
    """The clips of a split, every one for `all`; ConfigError where there are none."""
    refuse_unlabelled(manifest, clips)
    chosen = [clip for clip in clips if split in ("all", clip.split)]
    if not chosen:
        known = ", ".join(sorted({clip.split for clip in clips if clip.split})) or "none"
        raise ConfigError(
            f"{manifest}: no clips in split {split!r}. Splits: {known}. `--split all` takes every clip."
        )
    return chosen
