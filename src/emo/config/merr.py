"""Settings of a MERR build. Knows no room's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emo.labels import MERR

RuleTable = Literal["mer-factory", "paper-copy"]
PeakRule = Literal["emotion", "frequent", "overall"]
AU, GIVEN = "au", "given"
NONE, TEMPLATE, LOCAL = "none", "template", "local:"
TEMPLATE_NAME = "template (rules and templates, no model)"  # as cards name it


@dataclass(frozen=True, kw_only=True, slots=True)
class MerrConfig:
    """What decides the bytes of a build, its clips and the answers of models aside.

    Labels: `labels_from` is `au` (the rules alone), `given` (the manifest's) or the folder of a trained run.
    A label is kept where, at the peak, at least `least_share` of its units are present and their mean
    intensity is at least `least_intensity` (0..5); `neutral` where no unit of any label is present, those
    that speech moves left out.

    Peaks: `emotion` sums the units of the label, `frequent` those most often present, `overall` all of them.

    Sizes: `per_label` is the most that is kept of a label in the coarse set; 0 keeps all. In the fine set a
    label may have `most_over_median` times the entries of the median label. As many neutral clips are drawn
    into it as the mean of the other labels, times `neutral_share`. Of two reasons that share
    `duplicate_share` of their three-word pieces one is kept.
    """

    labels: tuple[str, ...] = MERR
    labels_from: str = AU
    rules: RuleTable = "mer-factory"
    peak: PeakRule = "emotion"
    least_intensity: float = 0.8
    least_share: float = 0.5
    per_label: int = 0
    most_over_median: float = 3.0
    neutral_share: float = 1.0
    duplicate_share: float = 0.95
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceConfig:
    """How models are asked: none of it decides what an answer means.

    `explain` writes the reasons: `none`, `template` (rules and templates, no model), `local:MODEL`, or the
    base URL of an OpenAI-compatible server with its `model`. A local model is a folder, or OWNER/NAME@COMMIT
    of the hub, and runs on `device`. `describe` and `listen`, a local model or such a URL with
    `describe_model` and `listen_model`, look at the picture of the peak and hear the voice; empty is nobody.
    `key_env` names the environment variable with the key. An answer out of schema is asked for again,
    `attempts` times in all; a server that fails, `tries` times. `most_requests` and `most_tokens` bound what
    is paid for, earlier runs included; 0 is no bound. `send_media_to` is the only other machine that pictures
    and sounds may go to.
    """

    explain: str = TEMPLATE
    model: str = ""
    describe: str = ""
    describe_model: str = ""
    listen: str = ""
    listen_model: str = ""
    device: str = "cpu"
    key_env: str = "OPENAI_API_KEY"
    concurrency: int = 4
    timeout_s: float = 120.0
    tries: int = 5
    attempts: int = 2
    most_requests: int = 0
    most_tokens: int = 0
    send_media_to: str = ""
