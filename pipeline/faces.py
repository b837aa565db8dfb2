"""What a user says of the faces that encoders are to look at: `policy=active,margin=0.2` made into a view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from emo.errors import CheckpointError, ConfigError
from emo.extractors.registry import make_encoder, trained_on_aligned
from emo.extractors.sampling import expressive, moment_count
from emo.spec import FeatureSpec
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


def unusual_faces(spec: FeatureSpec) -> dict[str, str]:
    """The settings, as `with_faces` takes them, by which the faces of `spec` differ from those that its
    encoder and preset look at by themselves. Empty where that encoder is not on this machine."""
    told = spec.recipe.get("faces")
    try:
        usual = make_encoder(spec.encoder, spec.preset).spec.recipe.get("faces")
    except (CheckpointError, ConfigError):
        return {}
    if not isinstance(told, Mapping) or not isinstance(usual, Mapping):
        return {}
    before = {"alignment": "box", **usual}
    after = {"alignment": "box", **told}
    return {
        name: str(after[name]) for name in FACE_SETTINGS if name in after and after[name] != before.get(name)
    }


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
