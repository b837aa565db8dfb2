"""MERR-style JSON and lists beside clips, read into the texts that the LLaMA stage trains on.

Judges no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from emo.clip import Clip
from emo.corpora.merr_files import COARSE, FINE, read_entries
from emo.errors import ConfigError
from emo.llm.examples import ClipTexts, texts_from_merr
from emo.pipeline.clip_lists import read_list


def read_texts(
    folder: Path, clips: Sequence[Clip], lists: Mapping[str, Path] = MappingProxyType({})
) -> list[ClipTexts]:
    """Texts of `clips` from the coarse and fine JSON in `folder`, whichever are there, and from named lists.

    A clip in none keeps its label and words. ConfigError where a file is not JSON of the MERR shape, or a
    list cannot be read or names none of the clips.
    """
    texts = texts_from_merr(clips, read_entries(folder / COARSE), read_entries(folder / FINE))
    for name, path in lists.items():
        texts = _listed(texts, name, path)
    return texts


def labels_only(clips: Sequence[Clip]) -> list[ClipTexts]:
    """Texts of `clips` without anything but their labels and words: what there is where nobody described."""
    return texts_from_merr(clips, {}, {})


def _listed(texts: Sequence[ClipTexts], name: str, path: Path) -> list[ClipTexts]:
    """The texts with the membership and the labels of one list."""
    labels = read_list(path)
    if not any(clip.clip_id in labels for clip in texts):
        first = next(iter(labels), "none at all")
        raise ConfigError(
            f"{path}: none of its {len(labels)} clips is in the manifest, the first: {first}. Check the ids."
        )
    return [
        replace(
            clip,
            sets=(*clip.sets, name),
            list_labels={**clip.list_labels, **({name: label} if label else {})},
        )
        if (label := labels.get(clip.clip_id)) is not None
        else clip
        for clip in texts
    ]


def with_known_labels(clips: Sequence[Clip], texts: Sequence[ClipTexts]) -> list[Clip]:
    """`clips`, those without a label under the one that their texts give them, be it MERR's or a list's.

    So pseudo-labelled clips are split into training and validation as labelled ones are.
    """
    known = {
        text.clip_id: next(filter(None, (text.label, *text.list_labels.values())), None) for text in texts
    }
    return [clip if clip.label else replace(clip, label=known.get(clip.clip_id)) for clip in clips]
