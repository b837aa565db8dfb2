"""emo train-llm --augment: steps draw which version of a feature they see; nothing is ever chosen on one."""

import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.train_llm import train_llm
from emo.errors import ConfigError
from emo.heads.batches import FeatureBatch
from emo.labels import MER2023
from emo.llm.build import assemble
from emo.llm.features import HeldFeatures
from emo.llm.prompts import TEMPLATES
from emo.llm.training.course import Course
from emo.llm.training.forward import Moment, clips_of, micro_loss
from emo.llm.training.plan import epoch_steps
from emo.llm.training.stopping import Stop
from emo.llm.training.validation import validate
from emo.records import Record

RECIPE = """
labels: mer2023
lora: {rank: 2, alpha: 2}
stages:
  only: {tasks: {emotion: 1.0}, steps: 3, batch_size: 8, warmup_steps: 1}
"""


@pytest.fixture(scope="module")
def noisy(batch):
    """Versions of hubert and eva, 100 higher; the first clip has none of hubert."""
    masks = {name: batch.masks[name].clone() for name in ("hubert", "eva")}
    masks["hubert"][0] = False
    values = {name: batch.values[name] + 100.0 for name in masks}
    values["hubert"][0] = float("nan")
    return FeatureBatch(batch.clip_ids, values, masks, {name: batch.sources[name] for name in masks})


@pytest.fixture
def course(base, batch, noisy, texts, config, kit):
    config = replace(config, lora=replace(config.lora, dropout=0.0), standardise=False)
    return Course(
        model=assemble(base, kit.dims, config, None, seed=0),
        features=HeldFeatures(batch),
        template=TEMPLATES["emo"],
        labels=MER2023,
        train=texts,
        valid=texts[:6],
        augmented=[HeldFeatures(noisy)],
    )


def seen_by(course, stage, micro, moment):
    """What the model is given: (plain or not) by clip and feature."""
    given = []
    pack = course.model.pack
    course.model.pack = lambda *told: given.append(told) or pack(*told)
    try:
        micro_loss(course, stage, micro, moment, 0)
    finally:
        course.model.pack = pack
    return given[0][1]


def drawn(course, features):
    plain = course.features.read(list(features.clip_ids))
    return {
        (clip_id, name): bool((features.values[name][row] != plain.values[name][row]).any())
        for row, clip_id in enumerate(features.clip_ids)
        for name in features.names
    }


def test_each_clip_draws_each_feature_by_itself_whatever_batch_it_is_in(course, config):
    stage = replace(config.stages["coarse"], tasks={"emotion": 1.0}, batch_size=30)
    micro = epoch_steps(course, stage, 0)[0][0]
    found = drawn(course, seen_by(course, stage, micro, Moment("coarse", 5)))
    assert {name for (_, name), other in found.items() if other} == {"hubert", "eva"}
    hubert = [other for (clip_id, name), other in found.items() if name == "hubert"]
    assert 0.2 < sum(hubert) / len(hubert) < 0.8
    assert hubert != [other for (_, name), other in found.items() if name == "eva"]
    half = micro[: len(micro) // 2]
    part = drawn(course, seen_by(course, stage, half, Moment("coarse", 5)))
    assert part == {key: found[key] for key in part} and len(part) < len(found)
    assert found != drawn(course, seen_by(course, stage, micro, Moment("coarse", 6)))


def test_a_clip_that_has_no_other_version_stays_as_it_is(course, config):
    stage = replace(config.stages["coarse"], tasks={"emotion": 1.0}, batch_size=36)
    micro = next(micro for micro in epoch_steps(course, stage, 0)[0] if "clip0" in clips_of(micro))
    for number in range(12):
        features = seen_by(course, stage, micro, Moment("coarse", number))
        assert not drawn(course, features)["clip0", "hubert"]
        assert all(bool(torch.isfinite(values).all()) for values in features.values.values())


def test_validation_reads_the_plain_features_alone(course, config):
    class Refusing:
        def read(self, clip_ids):
            raise AssertionError("an augmented feature was read")

    stage = config.stages["coarse"]
    course = replace(course, augmented=[Refusing()])
    validate(course, stage, Stop())
    with pytest.raises(AssertionError, match="augmented"):
        micro_loss(course, stage, epoch_steps(course, stage, 0)[0][0], Moment("coarse", 1), 0)


@pytest.fixture(scope="module")
def spaces(place, batch, noisy):
    """The folder's cache, with a noisy hubert of the training clips beside the plain one."""
    cache = open_cache(place / "features.zarr", "a")
    spec = batch.sources["hubert"].spec
    other = replace(
        spec,
        recipe={**spec.recipe, "augment": "noise@10dB", "parent": spec.fingerprint},
        preset=f"{spec.preset}+noise@10dB",
    )
    with cache.create(other).writer("none") as sink:
        for row, clip_id in enumerate(batch.clip_ids[1:24], start=1):
            values = noisy.values["hubert"][row].numpy().astype("float16")
            sink.put(Record(clip_id=clip_id, arrays={batch.sources["hubert"].array: values}))
    (place / "short.yaml").write_text(RECIPE)
    return other


def trained(place, out, *more):
    files = {"manifest": "manifest.jsonl", "cache": "features.zarr", "recipe": "short.yaml", "base": "base"}
    words = [word for name, file in files.items() for word in (f"--{name}", str(place / file))]
    given = [*words, "--features", "hubert", "--out", str(out), "--json", *more]
    return CliRunner().invoke(train_llm, given, catch_exceptions=False)


def test_the_command_says_what_it_drew_from_and_a_run_without_it_is_another(place, spaces, tmp_path):
    told = trained(place, tmp_path / "run", "--augment")
    assert json.loads(told.stdout)["augmented"] == {"hubert": [spaces.preset]}
    assert f"hubert: training also draws from {spaces.preset}" in told.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["identity"]["augmented"] == [
        spaces.fingerprint
    ]
    with pytest.raises(ConfigError, match="holds another run: augmented is"):
        trained(place, tmp_path / "run")
    plain = json.loads(trained(place, tmp_path / "plain").stdout)
    assert plain["augmented"] == {}
    assert "augmented" not in json.loads((tmp_path / "plain" / "run.json").read_text())["identity"]
    with pytest.raises(ConfigError, match="--features none names none"):
        trained(place, tmp_path / "words", "--augment", "--features", "none")
