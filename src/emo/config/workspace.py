"""The workspace: what `emo.yaml` may say, so that commands typed inside it need no options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Preset = Literal["paper", "base", "tiny"]
ENCODER_NAMES = ("hubert", "mae", "videomae", "eva")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """Paths are relative to the folder of `emo.yaml`. Every key is optional."""

    clips: str = "."
    """Folder of clips, or a manifest (.jsonl, .csv) with labels and splits."""
    cache: str = "features.zarr"
    """The feature store."""
    encoders: tuple[str, ...] = ENCODER_NAMES
    """Encoders whose features are extracted and used."""
    preset: Preset = "base"
    """Which weights: paper, base, or tiny (a check of the pipeline, no claim about real emotion)."""
    merr: str = ""
    """Folder with MERR-style coarse and fine JSON; empty means the folder of the manifest."""
    base: str = ""
    """LLaMA-family directory or hub id for `emo train-llm`."""
    recipe: str = "tiny"
    """Training recipe: a name from `llm/recipes` or a YAML file."""
    runs: str = "runs"
    """Where trained heads and LLaMA stages go."""
    seed: int = 0
    """Seed of training."""
    labels: str = "mer2023"
    """Label set: mer2023, merr or dfew."""
    head: str = "attention"
    """Classifier head of `emo train-head`: a name of docs/heads.md, or `module:Class`."""
