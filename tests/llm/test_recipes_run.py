"""Every shipped recipe trains: two steps of each stage on a tiny LLaMA, fake texts and features."""

from dataclasses import replace

import pytest
import torch

from emo.config.llm import COARSE, FINE, LABELLED
from emo.llm.features import HeldFeatures
from emo.llm.recipe import load_recipe, recipe_names
from emo.llm.training.events import StageDone, StepDone
from emo.llm.training.runs import run_stages


def as_asked(texts, stages):
    """The texts with every set and every list that the stages name."""
    named = {
        name for stage in stages for name in (stage.clips, stage.labels_from, *stage.sample_ratios) if name
    }
    labels = {stage.labels_from for stage in stages if stage.labels_from}
    sets = tuple(sorted({COARSE, FINE, LABELLED, *named}))
    return [replace(text, sets=sets, list_labels=dict.fromkeys(labels, text.label)) for text in texts]


@pytest.mark.parametrize("name", recipe_names())
def test_two_steps_of_every_stage(name, kit, base, tmp_path):
    whole = load_recipe(name)
    short = {
        stage: replace(settings, steps=2, warmup_steps=1, validate_every=0)
        for stage, settings in whole.stages.items()
    }
    config = replace(whole, stages=short)
    texts = as_asked(kit.texts(24), list(short.values()))
    features = HeldFeatures(kit.features(texts))
    events = list(run_stages(base, features, texts[:18], texts[18:], config, tmp_path, seed=0))
    steps = [event for event in events if isinstance(event, StepDone)]
    assert len(steps) == 2 * len(short)
    assert all(torch.tensor(step.loss).isfinite() and not step.refused for step in steps)
    assert [event.stage for event in events if isinstance(event, StageDone)] == list(short)
    assert (tmp_path / "emo.json").exists()
