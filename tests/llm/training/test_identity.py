"""A run is known by all that its result depends on, and by nothing else."""

from dataclasses import replace

import pytest

from emo.heads.batches import Source
from emo.llm.training.record import identity


@pytest.fixture
def given(config, batch, texts):
    return {
        "config": config,
        "seed": 0,
        "base_digest": "0" * 64,
        "sources": batch.sources,
        "train": texts[:4],
        "valid": texts[4:6],
        "start": None,
    }


def identified(given):
    given = dict(given)
    return identity(given.pop("config"), **given)


CHANGES = {
    "recipe": lambda g: {"config": replace(g["config"], template="chatml")},
    "seed": lambda g: {"seed": 1},
    "base": lambda g: {"base_digest": "1" * 64},
    "array": lambda g: {"sources": {**g["sources"], "mae": Source(g["sources"]["mae"].spec, "frames:mean")}},
    "clips": lambda g: {"train": g["train"][:3]},
    "split": lambda g: {"train": g["valid"], "valid": g["train"]},
    "words": lambda g: {"train": [replace(g["train"][0], caption="Otherwise."), *g["train"][1:]]},
    "list labels": lambda g: {"valid": [replace(g["valid"][0], list_labels={"a": "sad"}), *g["valid"][1:]]},
    "start": lambda g: {"start": "2" * 64},
    "projectors": lambda g: {"projectors": "3" * 64},
    "kinds": lambda g: {"config": replace(g["config"], projectors={"mae": "mlp"})},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_another_result_is_another_identity(given, change):
    assert identified({**given, **change(given)}) != identified(given)


def test_runs_of_releases_without_aligned_projectors_are_known_again(given):
    assert identified(given).keys().isdisjoint({"projectors"})
    assert identified(given)["recipe"].keys().isdisjoint({"projectors"})


def test_the_order_of_clips_and_sets_is_none_of_it(given):
    given["train"] = [replace(clip, sets=("fine", "coarse")) for clip in given["train"]]
    turned = [replace(clip, sets=clip.sets[::-1]) for clip in given["train"][::-1]]
    assert identified({**given, "train": turned}) == identified(given)
