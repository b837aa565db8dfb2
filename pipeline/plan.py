"""What an extraction has to do: which clip and encoder pairs are stored, which are not, which cannot be.

Making a plan decodes nothing, loads no weights and, on a full cache, reads no media.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from emo.cache import FeatureCache, Space
from emo.cache.freshness import Compared
from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.digests import StatCache
from emo.errors import ConfigError
from emo.extractors.augment import Augmented, parse_augmentation
from emo.extractors.registry import trained_on_aligned
from emo.extractors.sampling import expressive, moment_count
from emo.pipeline.inputs import InputDigests
from emo.records import usable
from emo.views import Encoder, FacesView

FACE_SETTINGS: dict[str, tuple[str, ...] | type[str] | type[float] | type[int]] = {
    "policy": ("largest", "central", "active", "listener"),
    "sampling": str,
    "box": ("tracked", "median"),
    "margin": float,
    "detect": int,
    "alignment": ("box", "openface"),
}
OF_ALIGNED = ("alignment", "sampling")  # settings that mean something for faces cut out beforehand
MOST_MARGIN = 2.0
MOST_REPLACED = 0.05  # share of stored ids whose media may change before a run stops and asks


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A clip and encoder pair without a usable record, and why."""

    clip_id: str
    encoder: str
    status: str
    reason: str


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


def with_faces(view: FacesView, settings: Mapping[str, str]) -> FacesView:
    """The view with other settings, as text: policy, sampling, box, margin, detect, alignment.

    ConfigError where a setting is unknown, or a sampling takes another number of frames than the view's.
    """
    changed = asdict(view)
    for name, value in settings.items():
        known = FACE_SETTINGS.get(name)
        if known is None or (isinstance(known, tuple) and value not in known):
            what = f"{name}={value}" if known else name
            choices = " | ".join(known) if isinstance(known, tuple) else ", ".join(FACE_SETTINGS)
            raise ConfigError(f"faces: unknown {what!r}. Known: {choices}.")
        try:
            changed[name] = value if isinstance(known, tuple) or known is str else known(value)
        except ValueError as error:
            raise ConfigError(f"faces: {name}={value} is no number.") from error
    made = FacesView(**changed)
    if made.alignment == "openface":
        _refuse_of_aligned(made, settings)
    if not (0 <= made.margin <= MOST_MARGIN and made.detect >= 0):
        raise ConfigError(f"faces: margin is 0 to {MOST_MARGIN:g} and detect 0 or more.")
    before, after = moment_count(view.sampling), moment_count(made.sampling)
    if before is not None and before != after:
        raise ConfigError(f"faces: {made.sampling} is not of {before} frames, as the encoder reads.")
    return made


def _refuse_of_aligned(view: FacesView, settings: Mapping[str, str]) -> None:
    if expressive(view.sampling):
        raise ConfigError(f"faces: {view.sampling} looks for faces itself; alignment=openface has them.")
    if idle := [name for name in settings if name not in OF_ALIGNED]:
        raise ConfigError(f"faces: {', '.join(idle)} decides nothing with alignment=openface. Leave it out.")


def alignment_notes(encoders: Sequence[Encoder]) -> list[str]:
    """A line for each encoder whose weights were trained on aligned faces and that is shown others."""
    return [
        f"{encoder.spec.encoder}@{encoder.spec.preset} was trained on faces aligned by OpenFace and is shown "
        "crops: its features are off what it learned. Aligned faces: a faces_path in the manifest and "
        "--faces alignment=openface."
        for encoder in encoders
        if trained_on_aligned(encoder)
        and any(isinstance(view, FacesView) and view.alignment == "box" for view in encoder.needs)
    ]


def augmented_too(encoders: Sequence[Encoder], names: Sequence[str]) -> tuple[list[Encoder], list[str]]:
    """The encoders, each followed by its augmented versions, and a note for each that would change nothing.

    ConfigError for an augmentation that is none.
    """
    augmentations = {str(one): one for one in map(parse_augmentation, names)}.values()
    found: list[Encoder] = []
    notes = []
    for encoder in encoders:
        found.append(encoder)
        for augmentation in augmentations:
            if any(augmentation.changes(view) for view in encoder.needs):
                found.append(Augmented(encoder, augmentation))
            else:
                notes.append(f"{encoder.spec.encoder} reads nothing that {augmentation} changes: left out.")
    return found, notes


def make_plan(
    clips: Sequence[Clip],
    encoders: Sequence[Encoder],
    cache: FeatureCache,
    files: StatCache,
    *,
    retry_failed: bool = False,
    redo: bool = False,
    replace_changed: bool = False,
    limits: MediaLimits = DEFAULTS,
    ignored: int = 0,
) -> ExtractPlan:
    """Compare what is asked with what is stored.

    Raises ConfigError where more than 5 % of the stored ids now name other media, unless
    `replace_changed`: that is usually another folder under the same cache.
    """
    parts = []
    already = 0
    failed: list[Failure] = []
    digests = InputDigests(clips, files, limits)
    for encoder in encoders:
        space = cache.create(encoder.spec)
        inputs = digests.of(encoder.needs)
        stored = space.compared(inputs)
        if not (replace_changed or redo):
            _refuse_other_media(space, stored)
        wanted = tuple(encoder.spec.arrays)
        to_do = set(inputs) if redo else set(space.missing(inputs, arrays=wanted, retry_failed=retry_failed))
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
    return ExtractPlan(
        clips=clips, parts=parts, already=already, failed_before=tuple(failed), ignored=ignored
    )


def _refuse_other_media(space: Space, stored: Sequence[Compared]) -> None:
    changed = [one.clip_id for one in stored if not one.same_input]
    if len(changed) > max(1, MOST_REPLACED * len(stored)):
        raise ConfigError(
            f"{len(changed)} of {len(stored)} clips in {space.name} have other media than what is stored, "
            f"for example {changed[0]!r}. Is this the right cache? "
            "If the media really changed, run: emo extract --replace-changed"
        )
