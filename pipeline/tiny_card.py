"""The card beside the tiny weights: what they are and are not, how they were made, what was measured.

Knows figures, no arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emo.config.tiny_encoders import TinyEncodersConfig
from emo.extractors import tiny
from emo.pipeline.tiny_people import NAMESPACE
from emo.pipeline.tiny_probe import PROBED, Reading
from emo.pipeline.tiny_training import Progress

CARD = "card.md"
CLASSES = {
    "hubert": "transformers `HubertModel`",
    "mae": "timm `VisionTransformer`",
    "videomae": "transformers `VideoMAEModel`",
    "eva": "transformers `Blip2VisionModel`",
}
TARGETS = {
    "hubert": "tone, vocal tract and breath of a wave; loudness and pitch of each frame",
    "mae": "17 action units, pose, place and shape of one face",
    "videomae": "mean, peak and spread of each unit over a clip; units and pose of each tubelet",
    "eva": "17 action units, pose and shape of the face in a whole frame",
}
HEAD = """# Tiny encoders

Four small encoders of the real classes, so that `emo demo` and the tests run the whole road offline in
minutes. **They are a check of the pipeline. They have never seen or heard a person, and nothing they say
about people means anything.**

Licence: MIT, as the code. Made by `make tiny-encoders` (seed {seed}); half-precision safetensors, SHA-256 in
`weights.json`.

## What they were trained on

{clips} people seen and {voices} heard, drawn and sung by `emo.corpora.rendered` in the namespace
`{namespace}`; a corpus that a user renders is of the namespace `corpus` and shares no person with it.
Action units and tone are drawn at random, each alone. Targets are these planted numbers, and the pitch of
each frame as measured in the wave. No class of emotion is ever drawn, shown or taught. Faces are cut as a
jittering detector cuts them, frames have been through JPEG.

The first layer of the three vision encoders is set in closed form (whitened principal components of the
patches and ridge regressors of the targets) and stays; the rest is trained by AdamW with linear heads on
the very feature that `encode` gives. The heads are thrown away.
"""
TAIL = """
R squared is of the heads on people held out from training.

## What a linear reader makes of them

Weighted F1 of logistic regression over six classes, on {probed} clips of the namespace `corpus` (seed
{seed}), speakers apart, with weak and contradicting modalities as in `emo corpus render`; regularisation
chosen on the validation speakers. Chance is about 0.17.

| feature | validation | test |
|---|---|---|
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """How the training of one encoder ended, and the processor seconds it took."""

    progress: Progress
    cpu_seconds: float


def write_card(
    out: Path, config: TinyEncodersConfig, trained: Mapping[str, Trained], readings: Mapping[str, Reading]
) -> None:
    """Write card.md into `out`, where the weights already are."""
    lines = [
        HEAD.format(seed=config.seed, clips=config.clips, voices=config.voices, namespace=NAMESPACE),
        "| encoder | class | file | taught | steps | CPU seconds | R squared |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, run, out) for name, run in trained.items()),
        TAIL.format(probed=PROBED.clips, seed=PROBED.seed).rstrip(),
        *(f"| {name} | {reading.val:.2f} | {reading.test:.2f} |" for name, reading in readings.items()),
    ]
    (out / CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(name: str, run: Trained, out: Path) -> str:
    size = (out / f"{name}.safetensors").stat().st_size / 1e6
    scores = ", ".join(f"{group} {score:.2f}" for group, score in run.progress.scores.items())
    digest = str(tiny.entry(name, out)["sha256"])[:8]
    return (
        f"| {name} | {CLASSES[name]} | {size:.1f} MB, {digest} | {TARGETS[name]} | {run.progress.steps} "
        f"| {run.cpu_seconds:.0f} | {scores} |"
    )
