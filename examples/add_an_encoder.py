"""An encoder of your own: how loud a clip is and how often its wave crosses zero, 50 times a second.

    pytest add_an_encoder.py                 the contract that every encoder keeps, run over this one

It joins emo's own once a package of yours names it in its pyproject.toml and is installed:

    [project.entry-points."emo.encoders"]
    loudness = "my_package.add_an_encoder:Loudness"

    emo extract clips/ --encoder loudness
"""

import numpy as np
import pytest

from emo.spec import ArrayLayout, FeatureSpec, Licence
from emo.testing import EncoderTests
from emo.views import AudioView

SOUND = AudioView(rate=16_000)
WINDOW, HOP = 400, 320  # samples
QUIETEST = 1e-4  # so that silence has a logarithm


class Loudness:
    """Audio (S,) at 16 kHz to `frames` (T, 2) and `utterance` (2,): log of the energy, share of crossings.

    Everything that decides the values stands in the spec; raise `recipe_version` whenever the code below
    gives other ones. There are no weights, so the digest names the rule.
    """

    def __init__(self, preset="base"):
        self.needs = frozenset({SOUND})
        layout = {"dim": 2, "dtype": "float32"}
        self.spec = FeatureSpec(
            encoder="loudness",
            weights={"rule": "0" * 64},
            recipe={"rate": SOUND.rate, "window": WINDOW, "hop": HOP, "quietest": QUIETEST},
            recipe_version=1,
            arrays={
                "frames": ArrayLayout(kind="frames", **layout),
                "utterance": ArrayLayout(kind="utterance", **layout),
            },
            preset=preset,
            licence=Licence(name="MIT"),
        )

    def encode(self, batch):
        """One dict of float32 arrays for each clip; clips do not see each other."""
        return [self._one(views[SOUND].array) for views in batch]

    def times(self, views):
        """The middles of the windows, in seconds from the clip's start."""
        return {"frames": {"t0": WINDOW / 2 / SOUND.rate, "dt": HOP / SOUND.rate}}

    def _one(self, sound):
        sound = np.pad(sound, (0, max(0, WINDOW - len(sound))))
        windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]  # (T, WINDOW)
        energy = np.log(np.sqrt((windows**2).mean(axis=1)) + QUIETEST)
        crossings = (np.diff(np.signbit(windows), axis=1) != 0).mean(axis=1)
        frames = np.stack([energy, crossings], axis=1).astype(np.float32)
        return {"frames": frames, "utterance": frames.mean(axis=0)}


class TestLoudness(EncoderTests):
    """The contract: shapes, float32, finite, no zeros, the same twice, a batch of n as n batches of one."""

    @pytest.fixture
    def encoder(self):
        return Loudness()
