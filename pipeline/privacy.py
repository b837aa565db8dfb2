"""Privacy: how well the features of a cache give away who speaks, measured before they are shared.

`emo cache privacy` shows it, and whoever shares a cache can ask first. Knows caches and clips; what
re-identification is, `emo.evaluation` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emo.cache import FeatureCache, Space
from emo.clip import Clip
from emo.errors import ConfigError
from emo.evaluation.reidentification import Reidentification, reidentification
from emo.evaluation.tables import markdown_table

BATCH = 64
HEADERS = ("features", "speakers", "enrolled", "held out", "nearest", "linear probe", "chance", "equal error")


@dataclass(frozen=True, slots=True)
class SpacePrivacy:
    """What one space gives away by one `vector` of each clip; `found` is None where `why` it is not known."""

    space: str
    preset: str
    vector: str
    found: Reidentification | None
    why: str = ""

    @property
    def sentence(self) -> str:
        """What it means for sharing, in words."""
        if self.found is None:
            return f"{self.space}: not measured. {self.why}"
        found, best = self.found, self.found.nearest
        if found.probe.point > best.point:
            best = found.probe
        rate = f"{best.point:.0%} [{best.low:.0%}, {best.high:.0%}] of new clips (chance {found.chance:.1%})"
        if found.above_chance:
            return (
                f"{self.space}: these features tell who speaks. With {found.speakers} speakers enrolled, "
                f"{rate} were given to the right one. Share them only as you may share the recordings: they "
                "are personal data, whatever the ids are replaced by."
            )
        return (
            f"{self.space}: no re-identification was found: {rate} with {found.speakers} speakers and "
            f"{found.held_out} new clips. That is no proof of anonymity: more clips or another attack may."
        )

    def to_json(self) -> dict[str, object]:
        """Plain JSON of every field and the sentence."""
        return {
            "space": self.space,
            "preset": self.preset,
            "vector": self.vector,
            "found": self.found.to_json() if self.found else None,
            "why": self.why,
            "sentence": self.sentence,
        }


def cache_privacy(
    cache: FeatureCache, clips: Sequence[Clip], encoder: str | None = None, *, seed: int = 0
) -> list[SpacePrivacy]:
    """What each space of the cache, or that of `encoder`, gives away of the speakers of `clips`.

    Clips without a speaker or without features do not count. ConfigError where no space can be measured.
    """
    speakers = {clip.clip_id: clip.speaker for clip in clips if clip.speaker}
    if not speakers:
        raise ConfigError(f"none of the {len(clips)} clips of the manifest has a speaker. Add that column.")
    spaces = [cache.space(encoder)] if encoder else cache.spaces()
    found = [_space_privacy(space, speakers, seed) for space in spaces]
    if not any(each.found for each in found):
        raise ConfigError(*(each.sentence for each in found), *([] if found else [f"{cache.path} is empty."]))
    return found


def privacy_table(found: Sequence[SpacePrivacy]) -> str:
    """The measured spaces as a Markdown table: rates with their 95 % intervals over speakers."""
    return markdown_table(HEADERS, list(_rows(found)))


def _rows(found: Sequence[SpacePrivacy]) -> Iterator[tuple[str, ...]]:
    for each in found:
        if each.found is not None:
            told = each.found
            yield (
                f"{each.space} {each.vector}",
                *(str(count) for count in (told.speakers, told.enrolled, told.held_out)),
                str(told.nearest),
                str(told.probe),
                f"{told.chance:.3f}",
                str(told.eer),
            )


def _space_privacy(space: Space, speakers: Mapping[str, str], seed: int) -> SpacePrivacy:
    array = _array(space)
    ids = [clip_id for clip_id in speakers if clip_id in space and array in space[clip_id].names]
    vector = array if space.spec.arrays[array].kind == "utterance" else f"mean of {array}"
    try:
        told = reidentification(
            _vectors(space, array, ids), [speakers[clip_id] for clip_id in ids], seed=seed
        )
    except ConfigError as error:
        return SpacePrivacy(space.name, space.spec.preset, vector, None, str(error))
    return SpacePrivacy(space.name, space.spec.preset, vector, told)


def _array(space: Space) -> str:
    """The array that says most of a whole clip: the utterance's, else the first."""
    kinds = {name: layout.kind for name, layout in space.spec.arrays.items()}
    return next((name for name, kind in kinds.items() if kind == "utterance"), next(iter(kinds)))


def _vectors(space: Space, array: str, ids: Sequence[str]) -> NDArray[np.float32]:
    """One vector (D,) of each clip, (N, D): rows of frames and tokens are averaged."""
    pooled = []
    for first in range(0, len(ids), BATCH):
        for values in space.read_many(ids[first : first + BATCH], array):
            rows = values.reshape(-1, values.shape[-1])
            pooled.append(rows.mean(axis=0, dtype=np.float32))
    return np.stack(pooled) if pooled else np.zeros((0, space.spec.arrays[array].dim), np.float32)
