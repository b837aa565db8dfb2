"""Who is learnt from and who is labelled by the pseudo-label loop. Knows clips and splits, no systems."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from emo.clip import Clip
from emo.errors import ConfigError
from emo.heads.splits import split_clips
from emo.pipeline.pseudo_labels import HELD_OUT, Drop


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Clips by role: `train` and `val` have labels, `unlabelled` have none that anything may see.

    `hidden` are labels that are known of them and only counted against; `drops` were left out beforehand.
    """

    train: tuple[Clip, ...]
    val: tuple[Clip, ...]
    unlabelled: tuple[Clip, ...]
    hidden: Mapping[str, str]
    drops: tuple[Drop, ...]


def pool_of(clips: Sequence[Clip], hide: Collection[str], *, val_share: float, seed: int) -> Pool:
    """Who is learnt from and who is to be labelled: training clips without a label, and those in `hide`.

    A clip of a speaker who is in validation or test is left out: its label would leak into the thresholds.
    ConfigError where `hide` names no training clip, or there is nothing to label.
    """
    training = {clip.clip_id for clip in clips if clip.split in (None, "", "train")}
    if wrong := sorted(set(hide) - training):
        raise ConfigError(
            f"{len(wrong)} clips of the pool are no training clips, the first is {wrong[0]!r}. "
            "Leave them out."
        )
    wanted = [c for c in clips if c.clip_id in training and (c.clip_id in hide or not c.label)]
    if not wanted:
        raise ConfigError("every training clip has a label. Name clips to label anew with --pool FILE.")
    if odd := [c.clip_id for c in wanted if len(c.clip_id.replace(",", " ").split()) != 1]:
        raise ConfigError(f"clip id {odd[0]!r} has a space or comma, which a list of clips cannot hold.")
    chosen = {clip.clip_id for clip in wanted}
    splits = split_clips([c for c in clips if c.clip_id not in chosen], val_share=val_share, seed=seed)
    held = {clip.speaker for clip in (*splits.val, *splits.test) if clip.speaker}
    held |= {clip.speaker for clip in clips if clip.clip_id not in training and clip.speaker}
    return Pool(
        train=tuple(replace(clip, split="train") for clip in splits.train),
        val=tuple(replace(clip, split="val") for clip in splits.val),
        unlabelled=tuple(
            replace(clip, label=None, split="train") for clip in wanted if clip.speaker not in held
        ),
        hidden={clip.clip_id: clip.label for clip in wanted if clip.label},
        drops=tuple(
            Drop(
                clip_id=clip.clip_id,
                round=0,
                step="pool",
                reason=HELD_OUT,
                detail=f"{clip.speaker} is in validation or test",
            )
            for clip in wanted
            if clip.speaker in held
        ),
    )


def refuse_few(pool: Pool, least: int) -> None:
    """ConfigError where validation has fewer than `least` clips: no threshold could ever rest on them."""
    if len(pool.val) < least:
        raise ConfigError(
            f"{len(pool.val)} validation clips are fewer than the {least} that a threshold must rest on. "
            "Give more of them a label, or lower --least-clips."
        )


def halves(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """`clips` in two parts of about the same size, without a speaker in common where there are two speakers.

    A clip of unknown speaker is one's own.
    """
    speakers = {clip.speaker or clip.clip_id for clip in clips}
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        alone = len(speakers) == 1 or not clip.speaker
        groups.setdefault(clip.clip_id if alone else str(clip.speaker), []).append(clip)
    first: list[Clip] = []
    second: list[Clip] = []
    for name in sorted(groups, key=lambda name: (-len(groups[name]), name)):
        min(first, second, key=len).extend(groups[name])
    return first, second
