"""The mixture of a stage: which clips it trains on, under which labels, and how often each comes in an epoch.

An epoch is a function of (seed, epoch) alone. Knows no features, tokens or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from emo.clip import Example
from emo.config.llm import ALL, StageConfig
from emo.errors import ConfigError
from emo.llm.examples import ClipTexts, answerable, draw, generator_for


def labels_of(stage: StageConfig, labels: Sequence[str]) -> tuple[str, ...]:
    """The label set of a stage: its own, else the recipe's."""
    return tuple(stage.labels or labels)


def stage_clips(clips: Sequence[ClipTexts], stage: StageConfig) -> list[ClipTexts]:
    """The clips that a stage trains on, each with the label that it has there."""
    chosen = [clip for clip in clips if stage.clips == ALL or stage.clips in clip.sets]
    if stage.sample_ratios:
        drawn = _drawn_sets(stage)
        chosen = [clip for clip in chosen if any(name in clip.sets for name in drawn)]
    labelled = [relabelled(clip, stage) for clip in chosen]
    return [clip for clip in labelled if clip.label not in stage.leave_out]


def relabelled(clip: ClipTexts, stage: StageConfig) -> ClipTexts:
    """The clip as the stage sees it: labelled by the list of `labels_from` where there is one."""
    return replace(clip, label=clip.list_labels.get(stage.labels_from, "")) if stage.labels_from else clip


def validation_clips(clips: Sequence[ClipTexts], stage: StageConfig) -> list[ClipTexts]:
    """The clips that a stage is validated on: those of its own sets; all of them, under the manifest's
    labels, where none is in its sets, as when a validation split is labelled by hand."""
    return stage_clips(clips, stage) or list(clips)


def draw_each(
    clips: Sequence[ClipTexts], stage: StageConfig, labels: Sequence[str], *, seed: int, epoch: int
) -> list[Example]:
    """The examples of clips that come once each, in a shuffled order, a clip's own side by side.

    ConfigError where no clip has an answer.
    """
    return _in_shuffled_order([(clip, 0) for clip in clips], stage, labels, seed=seed, epoch=epoch)


def draw_epoch(
    clips: Sequence[ClipTexts], stage: StageConfig, labels: Sequence[str], *, seed: int, epoch: int
) -> list[Example]:
    """The examples of an epoch: clips in a shuffled order, a clip's own examples side by side.

    With `sample_ratios` a clip comes as often as its sets' shares say, a fraction being the chance of one
    more time. ConfigError where no clip has an answer.
    """
    inside = stage_clips(clips, stage)
    often = _times(inside, stage, labels_of(stage, labels))
    visits = []
    for clip in inside:
        more = generator_for(seed, epoch, f"visits of {clip.clip_id}").random() if often else 0.0
        visits += [(clip, visit) for visit in range(int(often.get(clip.clip_id, 1.0) + more))]
    return _in_shuffled_order(visits, stage, labels, seed=seed, epoch=epoch)


def _in_shuffled_order(
    visits: Sequence[tuple[ClipTexts, int]],
    stage: StageConfig,
    labels: Sequence[str],
    *,
    seed: int,
    epoch: int,
) -> list[Example]:
    labels = labels_of(stage, labels)
    groups = []
    for clip, visit in visits:
        name = f"{clip.clip_id} visit {visit}" if visit else clip.clip_id
        if group := draw(clip, stage, labels, generator_for(seed, epoch, name)):
            groups.append(group)
    if not groups:
        raise ConfigError(
            f"none of {len(visits)} clips has an answer for the tasks {', '.join(stage.tasks)}. "
            "Give MERR-style JSON with --merr, or labels in the manifest."
        )
    order = generator_for(seed, epoch, "").permutation(len(groups))
    return [example for place in order for example in groups[place]]


def _drawn_sets(stage: StageConfig) -> list[str]:
    return [name for name, share in stage.sample_ratios.items() if share > 0]


def _times(clips: Sequence[ClipTexts], stage: StageConfig, labels: Sequence[str]) -> Mapping[str, float]:
    """How often each clip comes in an epoch, by id; nothing without ratios.

    An epoch is as long as there are clips with an answer; a clip of several sets comes as often as all of
    them ask. Sets without such clips leave their share to the others.
    """
    ready = [clip for clip in clips if answerable(clip, stage, labels)]
    sizes = {name: sum(name in clip.sets for clip in ready) for name in _drawn_sets(stage)}
    whole = sum(stage.sample_ratios[name] for name, size in sizes.items() if size)
    often = {
        name: stage.sample_ratios[name] / whole * len(ready) / size for name, size in sizes.items() if size
    }
    return {
        clip.clip_id: sum(times for name, times in often.items() if name in clip.sets)
        for clip in ready
        if often
    }


def refuse_empty_stages(
    train: Sequence[ClipTexts],
    valid: Sequence[ClipTexts],
    stages: Mapping[str, StageConfig],
    labels: Sequence[str],
) -> None:
    """ConfigError with every stage that would have nothing to train or to be validated on.

    Asked before the first stage, so that a list forgotten for the last one costs no training.
    """
    mistakes = []
    for name, stage in stages.items():
        mistakes += [f"stage {name}: {fault}" for fault in _faults(train, valid, stage, labels)]
    if mistakes:
        raise ConfigError(*mistakes)


def _faults(
    train: Sequence[ClipTexts], valid: Sequence[ClipTexts], stage: StageConfig, labels: Sequence[str]
) -> list[str]:
    there = {ALL, *(name for clip in train for name in clip.sets)}
    missing = [name for name in (stage.clips, *_drawn_sets(stage)) if name not in there]
    if stage.labels_from and not any(stage.labels_from in clip.list_labels for clip in train):
        missing.append(stage.labels_from)
    if missing:
        return [
            f"no training clip is in {name!r}. Sets there are: {', '.join(sorted(there))}; give a list with "
            f"--list {name}=FILE, or MERR JSON with --merr."
            for name in dict.fromkeys(missing)
        ]
    faults = []
    for what, clips in (
        ("training", stage_clips(train, stage)),
        ("validation", validation_clips(valid, stage)),
    ):
        answered = any(answerable(clip, stage, labels_of(stage, labels)) for clip in clips)
        if not answered and (clips or what == "training"):
            faults.append(
                f"none of {len(clips)} {what} clips has an answer for the tasks {', '.join(stage.tasks)}. "
                "Give MERR-style JSON with --merr, or labels in the manifest."
            )
    return faults
