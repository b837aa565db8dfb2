"""What an extraction has to do: which clip and encoder pairs are stored, which are not, which cannot be.

Making a plan decodes nothing, loads no weights and, on a full cache, reads no media.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from emo.cache import FeatureCache, Space
from emo.cache.freshness import Compared
from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.digests import StatCache
from emo.errors import ConfigError
from emo.pipeline.inputs import InputDigests
from emo.records import usable
from emo.spec import FeatureSpec
from emo.views import Encoder

MOST_REPLACED = 0.05  # share of stored ids whose media may change before a run stops and asks


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A clip and encoder pair without a usable record, and why."""

    clip_id: str
    encoder: str
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Renewal:
    """What is done again: everything (`redo`), or what failed before; `replace_changed` goes on where many
    stored ids now name other media; `rehash` reads media and weights again that look unchanged."""

    redo: bool = False
    retry_failed: bool = False
    replace_changed: bool = False
    rehash: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderPlan:
    """One encoder's part: where it writes, what it has to encode, from which inputs."""

    encoder: Encoder
    space: Space
    inputs: dict[str, bytes]
    to_do: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractPlan:
    """Every pair of a run, sorted into to do, stored already, and failed before.

    `ignored` counts the files of the folder that are no media. `notes` are lines for people: what was left
    out and what does not fit.
    """

    clips: Sequence[Clip]
    parts: Sequence[EncoderPlan]
    already: int
    failed_before: Sequence[Failure] = field(default_factory=tuple)
    ignored: int = 0
    notes: tuple[str, ...] = ()

    @property
    def pairs(self) -> int:
        """How many clip and encoder pairs were asked for."""
        return len(self.clips) * len(self.parts)

    @property
    def to_do(self) -> int:
        """How many pairs have to be encoded."""
        return sum(len(part.to_do) for part in self.parts)

    @property
    def least_bytes(self) -> int:
        """Bytes that will surely be stored if every clip is sound: those of arrays of a known size."""
        return sum(len(part.to_do) * _fixed_bytes(part.encoder.spec) for part in self.parts)

    def encoders_of(self) -> Counter[str]:
        """How many encoders have yet to see each clip."""
        return Counter(clip_id for part in self.parts for clip_id in part.to_do)


def make_plan(
    clips: Sequence[Clip],
    encoders: Sequence[Encoder],
    cache: FeatureCache,
    files: StatCache,
    *,
    renewal: Renewal = Renewal(),
    limits: MediaLimits = DEFAULTS,
) -> ExtractPlan:
    """Compare what is asked with what is stored.

    Raises ConfigError where more than 5 % of the stored ids now name other media, unless `renewal` says to
    go on: that is usually another folder under the same cache.
    """
    parts = []
    already = 0
    failed: list[Failure] = []
    digests = InputDigests(clips, files, limits)
    for encoder in encoders:
        space = cache.create(encoder.spec)
        inputs = digests.of(encoder.needs)
        stored = space.compared(inputs)
        if not (renewal.replace_changed or renewal.redo):
            _refuse_other_media(space, stored)
        to_do = set(inputs) if renewal.redo else _missing(space, inputs, renewal)
        for clip_id, status, reason, _ in stored:
            if clip_id in to_do:
                continue
            if usable(status, accept_degraded=True):
                already += 1
            else:
                failed.append(
                    Failure(clip_id=clip_id, encoder=encoder.spec.encoder, status=status, reason=reason)
                )
        parts.append(EncoderPlan(encoder=encoder, space=space, inputs=inputs, to_do=frozenset(to_do)))
    return ExtractPlan(clips=clips, parts=parts, already=already, failed_before=tuple(failed))


def _missing(space: Space, inputs: dict[str, bytes], renewal: Renewal) -> set[str]:
    return set(space.missing(inputs, arrays=tuple(space.spec.arrays), retry_failed=renewal.retry_failed))


def _fixed_bytes(spec: FeatureSpec) -> int:
    fixed = [layout for layout in spec.arrays.values() if layout.kind != "frames"]
    return sum(layout.tokens * layout.dim * layout.item_bytes for layout in fixed)


def _refuse_other_media(space: Space, stored: Sequence[Compared]) -> None:
    changed = [one.clip_id for one in stored if not one.same_input]
    if len(changed) > max(1, MOST_REPLACED * len(stored)):
        raise ConfigError(
            f"{len(changed)} of {len(stored)} clips in {space.name} have other media than what is stored, "
            f"for example {changed[0]!r}. Is this the right cache? "
            "If the media really changed, run: emo extract --replace-changed"
        )
