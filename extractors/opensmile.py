"""openSMILE's eGeMAPS: 88 functionals of a clip and its 25 low-level descriptors every 10 ms.

Source: Eyben et al. 2016, doi 10.1109/TAFFC.2015.2457417; the library by Eyben et al. 2010 and audEERING,
which is free for research and not for commercial use. Needs the extra `opensmile`. There are no weights: the
library's own files stand for them. Knows audio views, no files, no store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json, sha256_json
from emo.digests import sha256_file
from emo.errors import ConfigError
from emo.extractors.running import USUAL, Running
from emo.extractors.sources import Source
from emo.extractors.weights import choose
from emo.records import Array
from emo.spec import ArrayLayout, FeatureSpec, Licence
from emo.views import AudioView, Views

RECIPE_VERSION = 1
FEATURES = "eGeMAPSv02"
FUNCTIONALS, DESCRIPTORS = 88, 25
SHORTEST = 1_600  # samples: below that openSMILE gives NaN
WINDOW_S, HOP_S = 0.02, 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenSmilePreset:
    """What may be done with the library."""

    source: Source


_SOURCE = Source(
    licence=Licence(
        name="audEERING openSMILE licence (research only, non-commercial)",
        source="https://github.com/audeering/opensmile-python/blob/main/LICENSE",
    ),
    paper="doi 10.1109/TAFFC.2015.2457417",
    library="opensmile",
    note="The library has no weights to fetch. Install it with: pip install 'emo-toolkit[opensmile]'",
)
PRESETS: dict[str, OpenSmilePreset] = {
    "base": OpenSmilePreset(source=_SOURCE),
    "tiny": OpenSmilePreset(source=_SOURCE),
}


class OpenSmile:
    """Audio (S,) at 16 kHz to `frames` (T, 25), 100 a second, and `utterance` (88,), the functionals.

    Sounds shorter than a tenth of a second are padded with zeros up to it. `base` and `tiny` are the same: it
    is small. Making one raises ConfigError where the library is not installed.
    """

    presets: ClassVar[Mapping[str, OpenSmilePreset]] = PRESETS
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, preset: str = "base", *, running: Running = USUAL) -> None:
        choose("opensmile", PRESETS, preset)
        if running.precision != "float32":
            raise ConfigError(f"opensmile computes in float32, not in {running.precision}.")
        self._extractors: tuple[Any, Any] | None = None
        self._view = AudioView(rate=16_000)
        self.needs = frozenset({self._view})
        self.spec = FeatureSpec(
            encoder="opensmile",
            weights=_library_digests(),
            recipe={
                "features": FEATURES,
                "rate": self._view.rate,
                "resampler": "soxr HQ",
                "shortest": SHORTEST,
                "frames": "low-level descriptors",
                "utterance": "functionals",
            },
            recipe_version=RECIPE_VERSION,
            arrays={
                "frames": ArrayLayout(kind="frames", dim=DESCRIPTORS, dtype="float32"),
                "utterance": ArrayLayout(kind="utterance", dim=FUNCTIONALS, dtype="float32"),
            },
            preset="base",
            licence=_SOURCE.licence,
        )

    def encode(self, batch: Sequence[Views]) -> list[dict[str, Array]]:
        """`frames` (T, 25) and `utterance` (88,) of each clip, float32."""
        return [self._one(views[self._view].array) for views in batch]

    def times(self, views: Views) -> dict[str, Json]:
        """The middles of the windows."""
        return {"frames": {"t0": WINDOW_S / 2, "dt": HOP_S}}

    def _one(self, sound: NDArray[np.float32]) -> dict[str, Array]:
        functionals, descriptors = self._ready()
        sound = np.pad(sound, (0, max(0, SHORTEST - len(sound))))
        rate = self._view.rate
        return {
            "frames": descriptors.process_signal(sound, rate).to_numpy(np.float32),
            "utterance": functionals.process_signal(sound, rate).to_numpy(np.float32)[0],
        }

    def _ready(self) -> tuple[Any, Any]:
        if self._extractors is None:
            from opensmile import FeatureLevel, FeatureSet, Smile

            features = FeatureSet[FEATURES]
            self._extractors = (
                Smile(features, FeatureLevel.Functionals),
                Smile(features, FeatureLevel.LowLevelDescriptors),
            )
        return self._extractors


def _library_digests() -> dict[str, str]:
    """SHA-256 of the compiled library and of every file that configures the features."""
    spec = find_spec("opensmile")
    if spec is None or spec.origin is None:
        raise ConfigError(f"opensmile is not installed. {_SOURCE.note.partition('. ')[2]}")
    core = Path(spec.origin).parent / "core"
    configs = [
        path
        for folder in ("egemaps", "shared")
        for path in sorted((core / "config").rglob("*"))
        if path.is_file() and folder in path.parts
    ]
    libraries = sorted(path for path in core.rglob("*SMILEapi*") if path.is_file())
    return {
        "library": _joint(core, libraries),
        "config": _joint(core, configs),
    }


def _joint(root: Path, paths: Sequence[Path]) -> str:
    digests = {path.relative_to(root).as_posix(): sha256_file(path) for path in paths}
    return sha256_json(cast("dict[str, Json]", digests))
