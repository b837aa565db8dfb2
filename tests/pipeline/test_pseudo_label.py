"""The pseudo-label loop: hidden labels stay hidden, validation sets thresholds, every drop has a reason."""

import json

import pytest
from click.testing import CliRunner

from emo.cli.main import emo as command
from emo.clip import Clip
from emo.corpora import clips_in
from emo.errors import ConfigError
from emo.pipeline.answers import Answer
from emo.pipeline.clip_lists import read_list
from emo.pipeline.pseudo_labels import Threshold, believed, share_right, threshold_on
from emo.pipeline.pseudo_pool import halves, pool_of, refuse_few
from emo.run_clips import read_run_clips

RECIPE = """\
labels: [neutral, angry, happy, sad, worried, surprise]
standardise: true
projector_scale: 0.1
stages:
  fine: {tasks: {emotion: 1.0}, steps: 2, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
  pseudo:
    {tasks: {emotion: 1.0}, clips: pseudo, labels_from: pseudo, steps: 1, batch_size: 4, warmup_steps: 1}
"""


def answer(clip, label, confidence=0.9, features=("mae",)):
    return Answer(
        clip_id=clip, label=label, probabilities={}, confidence=confidence, features=features, missing=("x",)
    )


def clips(*names):
    return [Clip(clip_id=name, path=f"{name}.mp4") for name in names]


def test_a_threshold_is_the_lowest_confidence_that_validation_bears_out():
    answers = [answer(str(n), "sad", confidence) for n, confidence in enumerate((0.9, 0.8, 0.8, 0.6, 0.5))]
    truth = ["sad", "sad", "happy", "sad", "happy"]
    found = threshold_on(answers, truth, precision=0.75, least=1)
    assert found == Threshold(confidence=0.6, n=4, right=0.75)
    assert threshold_on(answers, truth, precision=0.7, least=1).confidence == 0.6
    assert threshold_on(answers, truth, precision=0.6, least=1).confidence == 0.5
    assert threshold_on(answers, truth, precision=1.0, least=1).confidence == 0.9  # not the tie at 0.8
    assert threshold_on(answers, truth, precision=1.0, least=2).confidence is None


def test_a_clip_is_believed_where_both_are_sure_and_agree_and_else_has_a_reason():
    sure = Threshold(confidence=0.7, n=9, right=1.0)
    head = [
        answer("a", "sad"),
        answer("b", "sad", 0.6),
        answer("c", "sad"),
        answer("d", "sad", features=()),
        answer("e", "sad"),
    ]
    llm = [
        answer(clip, label) for clip, label in zip("abcde", ("sad", "sad", "happy", "sad", None), strict=True)
    ]
    pool = clips(*"abcde")
    labels, drops = believed(
        pool, {"head": head, "llm": llm}, {"head": sure, "llm": sure}, number=1, step="both"
    )
    assert labels == {"a": "sad"}
    assert {drop.clip_id: drop.reason for drop in drops} == {
        "b": "unsure",
        "c": "disagree",
        "d": "no_features",
        "e": "no_label",
    }
    none = Threshold(confidence=None, n=0, right=0.0)
    labels, drops = believed(pool[:1], {"head": head[:1]}, {"head": none}, number=1, step="head")
    assert (labels, [drop.reason for drop in drops]) == ({}, ["no_threshold"])
    assert share_right({"a": "sad", "b": "sad", "c": "sad"}, {"a": "sad", "b": "happy"}) == 0.5
    assert share_right({"a": "sad"}, {}) is None


def test_speakers_of_validation_and_test_are_not_labelled(study):
    every = clips_in(study)[0]
    hide = [clip.clip_id for clip in every if clip.speaker in ("s0", "s1")]
    found = pool_of(every, hide, val_share=0.2, seed=0)
    assert {clip.clip_id for clip in found.unlabelled} == set(hide)
    assert not any(clip.label for clip in found.unlabelled)
    assert set(found.hidden) == set(hide)
    assert {clip.split for clip in (*found.train, *found.val)} == {"train", "val"}
    shared = [
        Clip(clip_id="new", path="n.mp4", speaker="s8", split="train"),  # s8 is a test speaker
        Clip(clip_id="other", path="o.mp4", speaker="s9", split="train"),
        Clip(clip_id="asked", path="a.mp4", speaker="t1", split="test"),  # no label is known of it
        Clip(clip_id="also", path="b.mp4", speaker="t1", split="train"),
    ]
    found = pool_of([*every, *shared], [], val_share=0.2, seed=0)
    assert [clip.clip_id for clip in found.unlabelled] == ["other"]
    assert [(drop.clip_id, drop.reason) for drop in found.drops] == [
        ("new", "held_out_speaker"),
        ("also", "held_out_speaker"),
    ]
    with pytest.raises(ConfigError, match="no training clips"):
        pool_of(every, [every[-1].clip_id], val_share=0.2, seed=0)
    with pytest.raises(ConfigError, match="every training clip has a label"):
        pool_of(every, [], val_share=0.2, seed=0)


def test_the_pool_is_halved_by_speaker():
    spoken = [
        Clip(clip_id=f"{speaker}{number}", path="x.mp4", speaker=speaker)
        for speaker, count in (("a", 4), ("b", 3), ("c", 2))
        for number in range(count)
    ]
    parts = [{clip.speaker for clip in part} for part in halves(spoken)]
    assert parts == [{"a"}, {"b", "c"}]
    assert [len(part) for part in halves(spoken[:4])] == [2, 2]  # of one speaker alone
    assert [len(part) for part in halves(clips("x", "y", "z"))] == [2, 1]
    assert halves(spoken[:1]) == (spoken[:1], [])


def test_too_few_validation_clips_for_any_threshold_are_told_before_training(study, tmp_path):
    found = pool_of(clips_in(study)[0], ["c0"], val_share=0.2, seed=0)
    refuse_few(found, len(found.val))
    with pytest.raises(ConfigError, match=r"fewer than the 99 .* --least-clips"):
        refuse_few(found, 99)
    (tmp_path / "pool.txt").write_text("c0\n")
    words = ["pseudo-label", "--manifest", str(study), "--cache", str(study / "f.zarr"), "--base", "none"]
    words += ["--features", "mae", "--pool", str(tmp_path / "pool.txt"), "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(command, ["-q", *words, "--dry-run"])
    assert said.exit_code == 0, (said.output, said.exception)
    assert f"{len(found.val)} of validation, 1 to label; 0 left out" in said.stdout
    told = json.loads(CliRunner().invoke(command, ["-q", *words, "--dry-run", "--json"]).stdout)
    assert (told["pool"], told["val"]) == (1, len(found.val))
    assert not (tmp_path / "out").exists()
    few = CliRunner().invoke(command, ["-q", *words, "--least-clips", "99"])
    assert "--least-clips" in str(few.exception)


@pytest.mark.slow
def test_two_rounds_give_a_list_that_train_llm_takes(study, tiny_llama, tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    hidden = [clip for clip in clips_in(study)[0] if clip.speaker in ("s0", "s1")]
    (tmp_path / "pool.txt").write_text("".join(f"{clip.clip_id}\n" for clip in hidden))
    out = tmp_path / "out"
    where = ["--manifest", str(study), "--cache", str(study / "f.zarr"), "--base", str(tiny_llama)]
    where += ["--recipe", str(tmp_path / "recipe.yaml"), "--features", "hubert,mae"]
    loop = ["--pool", str(tmp_path / "pool.txt"), "--precision", "0", "--epochs", "15", "--out", str(out)]
    ran = CliRunner().invoke(command, ["-q", "pseudo-label", *where, *loop, "--json"])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    told = json.loads(ran.stdout)
    assert (told["pool"], len(told["rounds"])) == (16, 2)
    first, second = told["rounds"]
    assert second["pseudo_labels_learnt_from"] == first["agreed"]
    assert first["right"]["head"] > 0.5  # the features tell the label
    labels = read_list(out / "pseudo.txt")
    assert len(labels) == second["agreed"]
    drops = [json.loads(line) for line in (out / "drops.jsonl").read_text().splitlines()]
    last = {drop["clip_id"] for drop in drops if (drop["round"], drop["step"]) == (2, "both")}
    unsure = {drop["clip_id"] for drop in drops if (drop["round"], drop["step"]) == (2, "head")}
    assert last | unsure | set(labels) == {clip.clip_id for clip in hidden}
    assert not last & set(labels)
    assert all(drop["reason"] and drop["detail"] for drop in drops)
    runs = sorted((out / "round-1").glob("llm-*"))
    learnt = [set(read_run_clips(run)["train"]) for run in runs]
    one, other = ({clip.clip_id for clip in hidden} & seen for seen in learnt)
    assert one and other and not one & other  # each is asked about what only the other has learnt
    assert not any("c70" in seen for seen in learnt)  # a test clip
    again = CliRunner().invoke(command, ["-q", "pseudo-label", *where, *loop, "--json"])
    assert json.loads(again.stdout) == told  # kept LLaMA stages, the same labels
    assert sorted((out / "round-1").glob("llm-*")) == runs

    (tmp_path / "pool.txt").write_text("".join(f"{clip.clip_id}\n" for clip in hidden[:6]))
    other = CliRunner().invoke(command, ["-q", "pseudo-label", *where, *loop, "--rounds", "1", "--json"])
    assert other.exit_code == 0, (other.output, other.exception)
    assert json.loads(other.stdout)["pool"] == 6
    assert len(list((out / "round-1").glob("llm-*"))) > len(runs)  # other labels, another LLaMA stage

    list_file = tmp_path / "list.txt"
    list_file.write_text("".join(f"{clip.clip_id} {clip.label}\n" for clip in hidden[:6]))
    words = ["train-llm", *where, "--list", f"pseudo={list_file}", "--out", str(tmp_path / "llm"), "--json"]
    trained = CliRunner().invoke(command, ["-q", *words])
    assert trained.exit_code == 0, (trained.output, trained.exception)
