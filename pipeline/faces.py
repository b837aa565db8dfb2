"""What a user says of the faces that encoders are to look at: `policy=active,margin=0.2` made into a view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from emo.errors import ConfigError
from emo.extractors.sampling import moment_count
from emo.views import FacesView

FACE_SETTINGS: dict[str, tuple[str, ...] | type[str] | type[float] | type[int]] = {
    "policy": ("largest", "central", "active", "listener"),
    "sampling": str,
    "box": ("tracked", "median"),
    "margin": float,
    "detect": int,
}
MOST_MARGIN = 2.0


def with_faces(view: FacesView, settings: Mapping[str, str]) -> FacesView:
    """The view with other settings, as text: policy, sampling, box, margin, detect.

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
    if not (0 <= made.margin <= MOST_MARGIN and made.detect >= 0):
        raise ConfigError(f"faces: margin is 0 to {MOST_MARGIN:g} and detect 0 or more.")
    before, after = moment_count(view.sampling), moment_count(made.sampling)
    if before is not None and before != after:
        raise ConfigError(f"faces: {made.sampling} is not of {before} frames, as the encoder reads.")
    return made
