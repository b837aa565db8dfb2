"""`--allow-leak` and what stands behind it: what of the test is in training, printed before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from emo.cli.console import Voice
from emo.clip import TRAINING, VALIDATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from emo.cache import FeatureCache, Space
    from emo.clip import Clip
    from emo.run_data import RunData

    Sides: TypeAlias = tuple[Sequence[Clip], Sequence[Clip]]


def leak_option() -> Callable[[Any], Any]:
    """The option of every command that trains."""
    return click.option(
        "--allow-leak",
        is_flag=False,
        flag_value="all",
        default="",
        metavar="[KIND,...]",
        help="Train although test clips are in training: media, id, dataset, group, speaker.  [bare: all]",
    )


def checked_run_data(
    speaker: Voice,
    manifest: str,
    clips: Sequence[Clip],
    spaces: Mapping[str, Space],
    cache: FeatureCache | None,
    *,
    allowed: str,
    start: Path | None = None,
    folds: Sequence[Sides] = (),
) -> RunData:
    """What the run is trained on, after printing what of the test is in it; ConfigError unless `allowed`.

    `start` is a checkpoint of another run that this one begins with: what that saw counts. `folds` are the
    training and test clips of each fold, where the splits of the manifest do not say.
    """
    from emo.corpora.declared import declared_rights
    from emo.evaluation.leaks import find_leaks, refuse_leaks
    from emo.pipeline.seen import media_digests
    from emo.rights import united
    from emo.run_data import RunData, read_run_data, seen_clips

    digests = media_digests(spaces, clips)
    data = united(declared_rights(Path(manifest), clips), cache.data if cache else ())
    before = read_run_data(start) if start else RunData()
    whole = RunData(data).joined(before)
    for trained, tested in folds or [_sides(clips)]:
        run = RunData(data, seen_clips(trained, digests)).joined(before)
        leaks = find_leaks(run.clips, seen_clips(tested, digests))
        refuse_leaks(leaks, allowed)
        for line in leaks.lines():
            speaker.note(line)
        if tested and not leaks.found:
            speaker.note(f"no leak found: {len(run.clips)} training clips, {len(tested)} test clips")
        whole = whole.joined(run)
    return whole


def _sides(clips: Sequence[Clip]) -> Sides:
    """Clips that are trained or validated on, and those that are tested on, by their splits."""
    labelled = [clip for clip in clips if clip.label]
    known = (*TRAINING, *VALIDATION)
    trained = [clip for clip in labelled if clip.split in known]
    return trained, [clip for clip in labelled if clip.split not in known]
