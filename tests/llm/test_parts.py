"""Frozen parts: what a stage leaves as it is, and what the next one trains again."""

import pytest

from emo.config.llm import SLOTS
from emo.errors import ConfigError
from emo.llm.parts import freeze


def parts_of(model):
    return {name.split(".")[1] if name.startswith("projectors") else "lora" for name in model.trained()}


@pytest.mark.parametrize(
    ("frozen", "left"),
    [
        ((), {"lora", *SLOTS}),
        (("lora",), set(SLOTS)),
        (("projectors",), {"lora"}),
        (("eva_patches", "mae"), {"lora", "videomae", "hubert", "eva_class"}),
    ],
)
def test_frozen_parts_get_no_gradient(model, frozen, left):
    freeze(model, frozen)
    assert parts_of(model) == left


def test_a_later_stage_trains_again_what_an_earlier_one_froze(model):
    whole = set(model.trained())
    freeze(model, ("lora", "mae"))
    freeze(model, ())
    assert set(model.trained()) == whole


def test_nothing_left_to_train_is_refused(model):
    with pytest.raises(ConfigError, match="lora, projectors frozen"):
        freeze(model, ("lora", "projectors"))
