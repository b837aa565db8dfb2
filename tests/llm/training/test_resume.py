"""A run that was killed anywhere and run again leaves what an uninterrupted one leaves, to the byte."""

import json
import random
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from emo.cache import fsops
from emo.errors import ConfigError, NonFiniteLoss
from emo.llm import weight_files
from emo.llm.features import HeldFeatures
from emo.llm.training import saving, stages, underway, validation
from emo.llm.training.events import Resumed, StepDone
from emo.llm.training.metrics import Metrics
from emo.llm.training.optimiser import CarefulStep
from emo.llm.training.record import alone_in
from emo.llm.training.runs import Manner, chosen_stages, run_stages

SEAM = (
    *((fsops, name) for name in ("pwrite", "write", "fdatasync", "rename", "sync_folder", "ftruncate")),
    *((saving, name) for name in ("remove", "sha256_file")),
    (weight_files, "save_file"),
    *((underway, name) for name in ("save_checkpoint", "put_in_place")),
    *((stages, name) for name in ("micro_loss", "validate")),
    (validation, "label_log_likelihoods"),
    (CarefulStep, "__call__"),
    (Metrics, "write"),
)


class Killed(BaseException):
    """What stands for SIGKILL inside the process: nothing catches it, and nothing is written after it."""


def count_calls(run, at=None):
    """Run with every call of the seam counted; from call number `at` on every call is the end."""
    calls = 0

    def counted(real):
        def call(*args, **settings):
            nonlocal calls
            calls += 1
            if at is not None and calls >= at:
                raise Killed
            # a kill of the process loses nothing that was written, so syncing would only take time
            return None if "sync" in real.__name__ else real(*args, **settings)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in SEAM:
            patch.setattr(owner, name, counted(getattr(owner, name)))
        run()
    return calls


@pytest.fixture
def recipe(config):
    """Two stages with dropout, validation on the way, and steps of several micro-batches."""
    coarse = replace(
        config.stages["coarse"],
        steps=5,
        validate_every=2,
        modality_dropout=0.3,
        batch_size=6,
        row_tokens=200,
    )
    fine = replace(coarse, steps=3, tasks={"emotion": 0.5, "explain": 0.5}, frozen=("mae",))
    return replace(config, stages={"coarse": coarse, "fine": fine})


@pytest.fixture
def train(base, features, texts, recipe):
    """Run into a folder, on a LLaMA without adapters every time; the events it gave."""

    def run(out, *, config=recipe, own=base, inputs=features, seed=3, start=None, **manner):
        fresh = replace(own, llama=deepcopy(own.llama))
        manner = Manner(**{"save_every": 2, **manner})
        return list(
            run_stages(
                fresh, inputs, texts[:20], texts[24:30], config, out, seed=seed, start=start, manner=manner
            )
        )

    return run


def left_by(out):
    """What a run leaves: weights of the run and of every stage, the last state's tensors, the metrics."""
    latest = out / "state" / (out / "state/latest").read_text()
    folders = [out, out / "coarse", out / "fine", latest]
    files = [file for folder in folders for file in folder.glob("*.safetensors")]
    assert {file.name for file in latest.glob("*.safetensors")} == {
        "weights.safetensors",
        "optimiser.safetensors",
        "best.safetensors",
    }
    return {str(file.relative_to(out)): file.read_bytes() for file in [*files, out / "metrics.jsonl"]}


@pytest.mark.slow
def test_a_kill_at_any_of_12_places_changes_nothing(train, cached, tmp_path):
    """Features come from a cache, by the thread that reads ahead."""

    def run(out):
        return train(out, inputs=cached)

    total = count_calls(lambda: run(tmp_path / "whole"))
    expected = left_by(tmp_path / "whole")
    assert len(expected) == 3 * 2 + 3 + 1
    for at in sorted(random.Random(0).sample(range(1, total), 12)):
        out = tmp_path / f"killed-{at}"
        with pytest.raises(Killed):
            count_calls(lambda out=out: run(out), at)
        count_calls(lambda out=out: run(out))
        assert left_by(out) == expected, f"killed at call {at} of {total}"


def test_the_kills_reach_into_steps_of_several_micro_batches(train, tmp_path, monkeypatch):
    numbers = []
    real = stages.micro_loss
    monkeypatch.setattr(stages, "micro_loss", lambda *given: numbers.append(given[-1]) or real(*given))
    train(tmp_path / "run")
    assert len(numbers) >= 2 * (5 + 3)
    assert max(numbers) >= 1


@pytest.fixture
def torn(train, tmp_path):
    """A folder whose run died a good way into its first stage."""
    out = tmp_path / "torn"
    calls = 0

    def dies(*given):
        nonlocal calls
        calls += 1
        if calls > 4:
            raise Killed
        return validate(*given)

    validate = stages.validate
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stages, "validate", dies)
        train(out, save_every=1)
    return out


def newest(out):
    return out / "state" / (out / "state/latest").read_text()


def test_three_states_are_kept_and_latest_names_the_newest(torn):
    names = [name for name in fsops.names_in(torn / "state") if name.startswith("step-")]
    assert len(names) == 3
    assert newest(torn).name == names[-1]
    listed = [line.split("  ")[1] for line in (newest(torn) / "SHA256SUMS").read_text().splitlines()]
    assert listed == ["best.safetensors", "optimiser.safetensors", "state.json", "weights.safetensors"]


@pytest.mark.parametrize("file", ["weights.safetensors", "optimiser.safetensors", "state.json", "SHA256SUMS"])
def test_a_damaged_state_is_passed_over_for_the_one_before(torn, train, file):
    damaged = newest(torn)
    data = bytearray((damaged / file).read_bytes())
    data[len(data) // 2] ^= 1
    (damaged / file).write_bytes(data)
    *_, resumed, first = train(torn)[:3]
    assert isinstance(resumed, Resumed)
    assert damaged.name in resumed.notes[0]
    assert resumed.step < int(damaged.name.split("-")[1])
    assert first.step == resumed.step + 1


def test_without_any_good_state_the_stage_starts_again_with_the_same_outcome(torn, train, tmp_path):
    for folder in (torn / "state").glob("step-*"):
        (folder / "SHA256SUMS").unlink()
    resumed = train(torn)[1]
    assert (resumed.stage, resumed.step, len(resumed.notes)) == ("fine", 0, 3)
    train(tmp_path / "whole")
    assert left_by(torn) == left_by(tmp_path / "whole")


def test_a_resumed_run_gives_the_events_that_were_still_to_come(torn, train, tmp_path):
    whole = train(tmp_path / "whole")
    started, resumed, *rest = train(torn)
    assert started == whole[0]
    assert rest == whole[-len(rest) :]
    assert next(event for event in rest if isinstance(event, StepDone)).step == resumed.step + 1


def test_another_run_is_refused_and_the_difference_named(torn, train, base, batch, recipe, kit):
    lora = replace(recipe, lora=replace(recipe.lora, rank=2))
    slower = {**recipe.stages, "coarse": replace(recipe.stages["coarse"], peak_lr=0.5)}
    sources = {**batch.sources, "mae": replace(batch.sources["mae"], spec=kit.spec("mae", version=2))}
    others = [
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"config": lora}, "recipe.lora.rank is 4 there and 2 here"),
        ({"config": replace(recipe, stages=slower)}, "stages.coarse.peak_lr is 0.001 there and 0.5 here"),
        ({"own": replace(base, digest="1" * 64)}, "base_digest"),
        ({"inputs": HeldFeatures(replace(batch, sources=sources))}, "features.mae.fingerprint"),
    ]
    before = (torn / "run.json").read_bytes()
    for change, named in others:
        with pytest.raises(ConfigError, match=named):
            train(torn, **change)
    assert (torn / "run.json").read_bytes() == before


def test_a_finished_run_is_refused_until_it_is_to_start_over(train, tmp_path):
    train(tmp_path / "run")
    expected = left_by(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"finished.*--fresh"):
        train(tmp_path / "run")
    events = train(tmp_path / "run", fresh=True)
    assert not any(isinstance(event, Resumed) for event in events)
    assert left_by(tmp_path / "run") == expected
    train(tmp_path / "run", fresh=True, seed=4)
    assert left_by(tmp_path / "run") != expected


def test_stages_of_two_commands_are_those_of_one(train, recipe, tmp_path):
    train(tmp_path / "whole")
    one_by_one = tmp_path / "apart"
    train(one_by_one, config=chosen_stages(recipe, "coarse"))
    train(one_by_one, config=chosen_stages(recipe, "fine"), start=one_by_one / "coarse")
    then_all = tmp_path / "then-all"
    train(then_all, config=chosen_stages(recipe, "coarse"))
    resumed = train(then_all)[1]
    assert (resumed.stage, resumed.step) == ("fine", 0)
    expected = left_by(tmp_path / "whole")
    assert left_by(one_by_one) == expected
    assert left_by(then_all) == expected
    assert json.loads((one_by_one / "recipe.json").read_text())["stages"].keys() == {"coarse", "fine"}


def test_a_folder_takes_one_process_at_a_time(train, tmp_path):
    with alone_in(tmp_path / "run"), pytest.raises(ConfigError, match="another process"):
        train(tmp_path / "run")


def test_a_checkpoint_of_unknown_origin_is_not_written_over(train, tmp_path):
    train(tmp_path / "run")
    (tmp_path / "run/run.json").unlink()
    with pytest.raises(ConfigError, match="no record"):
        train(tmp_path / "run")


def test_after_nan_the_last_sound_state_is_what_a_run_goes_on_from(train, tmp_path, monkeypatch):
    real = stages.micro_loss

    def spoilt(course, config, micro, moment, number):
        loss = real(course, config, micro, moment, number)
        return replace(loss, total=loss.total * torch.nan) if moment.step >= 2 else loss

    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(NonFiniteLoss, match="clip"):
        patch.setattr(stages, "micro_loss", spoilt)
        train(out, save_every=1)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    refused = [row for row in rows if row["event"] == "StepDone"][-3:]
    assert all(row["loss"] is None and row["refused"] for row in refused)
    assert json.loads((out / "run.json").read_text())["status"] == "failed"
    train(out)
    train(tmp_path / "whole")
    assert left_by(out) == left_by(tmp_path / "whole")


def test_run_json_says_what_the_run_is_made_of(train, tmp_path, batch):
    out = tmp_path / "run"
    train(out, options={"recipe": "tiny"})
    told = json.loads((out / "run.json").read_text())
    assert told["status"] == "finished"
    assert told["options"] == {"recipe": "tiny"}
    assert told["identity"]["seed"] == 3
    assert told["identity"]["base_digest"] == "0" * 64
    assert told["identity"]["train"]["clips"] == 20
    assert len(told["identity"]["valid"]["ids_sha256"]) == 64
    spec = batch.sources["hubert"].spec
    assert told["identity"]["features"]["hubert"]["fingerprint"] == spec.fingerprint
    assert told["circumstances"]["versions"]["torch"] == torch.__version__
    [session] = told["sessions"]
    assert session["started"] <= session["ended"]


def test_other_circumstances_are_allowed_and_told(torn, train):
    file = torn / "run.json"
    file.write_text(file.read_text().replace('"dtype": "float32"', '"dtype": "bfloat16"'))
    resumed = train(torn)[1]
    assert any("dtype was" in note for note in resumed.notes)
