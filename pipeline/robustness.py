"""What a trained system loses where its input is worse: noise at a fixed ratio, blur, a modality missing.

A condition changes the features that the system is given and nothing else: noisy and blurred ones come from
spaces of augmented views, a dropped one is masked. The same clips are scored in every condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from emo.cache import FeatureCache, Space
from emo.clip import Clip
from emo.errors import CacheMiss, ConfigError
from emo.evaluation.intervals import Difference, paired_bootstrap
from emo.evaluation.scored import Scored
from emo.evaluation.tables import markdown_table
from emo.heads.batches import FeatureBatch
from emo.heads.loader import load_features
from emo.pipeline.answers import Answer
from emo.pipeline.score import score_answers
from emo.pipeline.systems import System, batches

CLEAN = "as it is"
HEADERS = ("condition", "weighted F1", "95 % interval", f"minus {CLEAN}", "UAR", "WAR", "invalid")


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """`views` are the augmented spaces that stand in for a feature, by its name; `dropped` are masked."""

    name: str
    views: Mapping[str, Space]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionScores:
    """Scores under a condition and the difference to the input as it is, None for that itself."""

    condition: Condition
    scored: Scored
    change: Difference | None


def conditions(
    system: System, cache: FeatureCache, spaces: Mapping[str, Space], views: Sequence[str]
) -> list[Condition]:
    """The input as it is, each of `views` (all that the cache has of these features where none is named), and
    each feature dropped.

    CacheMiss where the cache has no such augmented view of any feature that the system reads.
    """
    there: dict[str, dict[str, Space]] = {}
    for feature, space in spaces.items():
        for augmented in cache.augmented(space):
            there.setdefault(str(augmented.spec.recipe["augment"]), {})[feature] = augmented
    if missing := [view for view in views if view not in there]:
        raise CacheMiss(
            f"{cache.where} has no features of the views {', '.join(missing)}. "
            f"Run: emo extract --encoder {','.join(spaces)} --views {','.join(missing)}"
        )
    changed = [Condition(name=view, views=there[view]) for view in (views or sorted(there))]
    dropped = [Condition(name=f"without {name}", views={}, dropped=(name,)) for name in system.arrays]
    return [Condition(name=CLEAN, views={}), *changed, *dropped]


def under_conditions(
    system: System,
    clips: Sequence[Clip],
    spaces: Mapping[str, Space],
    chosen: Sequence[Condition],
    *,
    seed: int = 0,
) -> list[ConditionScores]:
    """Scores of `system` on `clips` under each condition, of which the first is the input as it is.

    CacheMiss where a clip was not extracted under a view; ConfigError where a clip has no label.
    """
    for condition in chosen:
        _refuse_unextracted(condition, clips, spaces)
    said: list[list[Answer]] = [[] for _ in chosen]
    for part, batch in batches(system, clips, spaces):
        for answers, condition in zip(said, chosen, strict=True):
            answers += system.answers(part, _changed(batch, condition, system), reasons=False)
    scored = [score_answers(clips, answers, system.labels, seed=seed) for answers in said]
    clean = scored[0]
    return [
        ConditionScores(
            condition=condition,
            scored=one,
            change=None if one is clean else _change(one, clean, seed),
        )
        for condition, one in zip(chosen, scored, strict=True)
    ]


def _changed(batch: FeatureBatch, condition: Condition, system: System) -> FeatureBatch:
    """The batch with the features of the condition's views, under the recipes of the plain ones."""
    values, masks = dict(batch.values), dict(batch.masks)
    for name, space in condition.views.items():
        array = {name: system.arrays[name]}
        worse = load_features({name: space}, batch.clip_ids, array, missing_ok=True)
        values[name], masks[name] = worse.values[name], worse.masks[name]
    for name in condition.dropped:
        masks[name] = torch.zeros_like(masks[name])
    return replace(batch, values=values, masks=masks)


def _refuse_unextracted(condition: Condition, clips: Sequence[Clip], spaces: Mapping[str, Space]) -> None:
    """A clip that nobody extracted under a view must not pass for one without the feature."""
    for name, space in condition.views.items():
        never = [
            clip.clip_id
            for clip in clips
            if space.info(clip.clip_id) is None and spaces[name].info(clip.clip_id) is not None
        ]
        if never:
            raise CacheMiss(
                f"{name}: {len(never)} of {len(clips)} clips were not extracted under {condition.name}, the "
                f"first is {never[0]!r}. Run: emo extract --encoder {space.spec.encoder} "
                f"--views {condition.name}"
            )


def _change(one: Scored, clean: Scored, seed: int) -> Difference:
    return paired_bootstrap(one.truth, one.predicted, clean.predicted, one.labels, one.speakers, seed=seed)


def robustness_json(found: Sequence[ConditionScores]) -> dict[str, Any]:
    """Conditions by name under `pooled`, differences to the clean input under `gains`: as of an ablation."""
    if not found:
        raise ConfigError("no condition was scored.")
    return {
        "metric": "weighted_f1",
        "n": found[0].scored.scores.n,
        "rows": [],
        "pooled": {
            each.condition.name: {
                **each.scored.to_json(),
                "views": sorted(each.condition.views),
                "dropped": list(each.condition.dropped),
            }
            for each in found
        },
        "gains": {
            each.condition.name: {
                "difference": each.change.value,
                "ci": [each.change.low, each.change.high],
                "p_value": each.change.p_value,
            }
            for each in found
            if each.change
        },
    }


def robustness_markdown(found: Sequence[ConditionScores]) -> str:
    """The table with what a reader must know below it."""
    lines = []
    for each in found:
        scores, interval, change = each.scored.scores, each.scored.interval, each.change
        lines.append(
            (
                each.condition.name,
                f"{interval.point:.3f}",
                interval.bounds,
                f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]" if change else "-",
                f"{scores.uar:.3f}",
                f"{scores.war:.3f}",
                f"{100 * scores.invalid_rate:.1f} %",
            )
        )
    first = found[0].scored
    return (
        f"{markdown_table(HEADERS, lines)}\n"
        f"n = {first.scores.n} clips, {first.interval.clusters} speakers or clips of unknown speaker; 95 % "
        "bootstraps over speakers, paired for differences. A view changes the features that read it; a "
        "dropped feature is masked.\n"
    )
