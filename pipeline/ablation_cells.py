"""The cells of an ablation: what each is allowed to read and to learn, against the whole system.

Knows names of features, slots and stages; trains nothing and scores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from emo.canonical import Json
from emo.config.llm import LlmConfig
from emo.errors import ConfigError
from emo.heads.projectors import slot_source

Kind = Literal["head", "llm"]

WHOLE = "all"
MERR, LABELS_ONLY = "merr", "labels"  # texts that a cell learns from; others are named by the user
SCENE, SCENE_SLOT = "eva", "eva_patches"  # what MiniGPT-v2 sees of a clip: one frame's patches
AXES: Mapping[str, tuple[Kind, ...]] = {
    "emotion-encoders": ("head", "llm"),
    "subsets": ("head", "llm"),
    "stages": ("llm",),
    "pretraining": ("llm",),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One system of an ablation.

    `features` are read, and the subtitle where `text`. `slots` are those of the prompt, () for the recipe's.
    `stages` are trained, None for the recipe's and () for none at all. `texts` names what is learnt from.
    """

    name: str
    features: tuple[str, ...]
    text: bool = True
    slots: tuple[str, ...] = ()
    stages: tuple[str, ...] | None = None
    texts: str = MERR

    def recipe(self, whole: LlmConfig) -> LlmConfig:
        """The recipe of this cell's LLaMA stage."""
        stages = whole.stages if self.stages is None else {name: whole.stages[name] for name in self.stages}
        slots = self.slots or whole.slots
        read = {slot_source(slot)[0] for slot in slots}
        arrays = {name: array for name, array in whole.arrays.items() if name in read}
        text = whole.text and self.text
        return replace(whole, text=text, slots=slots, arrays=arrays, stages=stages)

    def to_json(self) -> dict[str, Json]:
        """What it reads and learns."""
        return {
            "features": list(self.features),
            "text": self.text,
            "slots": list(self.slots),
            "stages": None if self.stages is None else list(self.stages),
            "texts": self.texts,
        }


def cells_by_axis(
    axes: Sequence[str],
    features: Sequence[str],
    kind: Kind,
    *,
    recipe: LlmConfig | None = None,
    other_texts: Sequence[str] = (),
) -> dict[str, list[Cell]]:
    """The cells of each axis, the whole system left out. `recipe` is that of the LLaMA stage.

    Axes: `emotion-encoders` leaves the scene's patches alone, as in MiniGPT-v2 without feature slots (a head
    keeps the scene's encoder); `subsets` are all others of the encoders, and for a LLaMA stage the words
    alone; `stages` trains each stage by itself, and none; `pretraining` learns from the labels alone, and
    from each of `other_texts`. ConfigError for an axis that is unknown or says nothing here.
    """
    found = {}
    for axis in dict.fromkeys(axes):
        if kind not in AXES.get(axis, ()):
            known = ", ".join(name for name, kinds in AXES.items() if kind in kinds)
            raise ConfigError(f"an ablation of a {kind} has no {axis!r}. Known: {known}.")
        found[axis] = _cells(axis, tuple(features), kind, recipe, other_texts)
    return found


def whole_cell(features: Sequence[str]) -> Cell:
    """The system that every cell is compared with."""
    return Cell(WHOLE, tuple(features))


def _cells(
    axis: str, features: tuple[str, ...], kind: Kind, recipe: LlmConfig | None, other_texts: Sequence[str]
) -> list[Cell]:
    if axis == "emotion-encoders":
        return [_without_emotion(features, kind)]
    if axis == "subsets":
        return _subsets(features, words=kind == "llm" and recipe is not None and recipe.text)
    if axis == "stages":
        names = list(recipe.stages) if recipe else []
        alone = [Cell(f"{name} alone", features, stages=(name,)) for name in names if len(names) > 1]
        return [*alone, Cell("no stage", features, stages=())]
    named = [Cell(f"from {name}", features, texts=name) for name in other_texts]
    return [Cell("from labels", features, texts=LABELS_ONLY), *named]


def _without_emotion(features: tuple[str, ...], kind: Kind) -> Cell:
    if SCENE not in features:
        raise ConfigError(
            f"without emotion encoders {SCENE} is what is left, but the features are {', '.join(features)}. "
            f"Add {SCENE} to --features, or leave out --vary emotion-encoders."
        )
    slots = (SCENE_SLOT,) if kind == "llm" else ()
    return Cell("no emotion encoders", (SCENE,), slots=slots)


def _subsets(features: tuple[str, ...], *, words: bool) -> list[Cell]:
    sizes = range(len(features) - 1, 0, -1)
    some = [Cell("+".join(one), one) for size in sizes for one in combinations(features, size)]
    return [*some, *([Cell("words alone", ())] if words else [])]
