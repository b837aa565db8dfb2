"""Folds by speaker: everybody is answered once, by a head that never saw them."""

import json
from dataclasses import replace

import pytest

from emo.errors import ConfigError
from emo.evaluation.metrics import classification_scores
from emo.heads.folds import run_folds, split_folds, units_of, write_folds


@pytest.fixture
def clips(kit):
    return kit.clips(90, speakers=15)


def test_no_speaker_is_on_two_sides_and_every_clip_is_tested_once(kit, clips):
    folds = split_folds(clips, 5, kit.config)
    for splits in folds:
        sides = [{clip.speaker for clip in part} for part in (splits.train, splits.val, splits.test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert all(sides) and not splits.shared_speakers
        assert len(splits.train) + len(splits.val) + len(splits.test) == 90
    tested = [clip.clip_id for splits in folds for clip in splits.test]
    assert sorted(tested) == sorted(clip.clip_id for clip in clips)
    assert split_folds(clips, 5, kit.config) == folds
    assert split_folds(clips, 5, replace(kit.config, seed=1)) != folds


def test_clips_kept_for_testing_and_clips_without_a_label_take_no_part(kit, clips):
    kept = [replace(clip, split="test") if index < 20 else clip for index, clip in enumerate(clips)]
    kept[50] = replace(kept[50], label=None)
    tested = {clip.clip_id for splits in split_folds(kept, 3, kit.config) for clip in splits.test}
    assert len(tested) == 69 and not tested & {clip.clip_id for clip in kept[:20]}


def test_too_few_speakers_are_told(kit, clips):
    assert len(split_folds(clips, 15, kit.config)) == 15  # leave one speaker out
    with pytest.raises(ConfigError, match=r"15 speakers, 15 of them apart .* do not make 16 folds"):
        split_folds(clips, 16, kit.config)
    with pytest.raises(ConfigError, match="do not make 1 folds"):
        split_folds(clips, 1, kit.config)
    with pytest.raises(ConfigError, match=r"3 speakers, 3 of them apart .* do not make 2 folds"):
        split_folds([clip for clip in clips if clip.speaker in ("s0", "s1", "s2")], 2, kit.config)


def test_a_dialogue_is_on_one_side_and_so_is_everybody_who_speaks_in_it(kit, clips):
    talks = [replace(clip, group=f"dialogue {int(clip.speaker[1:]) // 2}") for clip in clips]
    for splits in split_folds(talks, 4, kit.config):
        sides = [{clip.group for clip in part} for part in ((*splits.train, *splits.val), splits.test)]
        assert not sides[0] & sides[1]
    chained = [replace(clip, group="one dialogue") for clip in clips]
    assert len(set(units_of(chained))) == 1
    with pytest.raises(ConfigError, match="15 speakers, 1 of them apart"):
        split_folds(chained, 4, kit.config)


def test_the_answers_are_those_out_of_fold_and_the_figures_those_of_the_folds(kit, clips, tmp_path):
    config = replace(kit.config, epochs=6, learning_rate=1e-2)
    seen = []
    folded = run_folds(
        clips, kit.spaces(clips), kit.labels, config, 3, on_epoch=lambda fold, _: seen.append(fold)
    )
    assert sorted(set(seen)) == [0, 1, 2]
    for run in folded.runs:
        for clip in run.splits.test:
            assert folded.predicted[clip.clip_id] == run.predicted[clip.clip_id]
    scores = [run.result.scores.weighted_f1 for run in folded.runs]
    mean, deviation = folded.mean_and_deviation("weighted_f1")
    assert mean == pytest.approx(sum(scores) / 3)
    assert deviation == pytest.approx((sum((score - mean) ** 2 for score in scores) / 2) ** 0.5)
    truth = {clip.clip_id: clip.label for clip in clips}
    again = classification_scores(
        [truth[clip_id] for clip_id in folded.predicted], list(folded.predicted.values()), kit.labels
    )
    assert folded.pooled.scores.weighted_f1 == pytest.approx(again.weighted_f1)
    assert folded.pooled.interval.clusters == 15
    write_folds(folded, tmp_path)
    written = json.loads((tmp_path / "folds.json").read_text())
    assert len(written["predicted"]) == 90 and written["over_folds"]["weighted_f1"]["sd"] == deviation
    assert (tmp_path / "fold3/head.safetensors").exists()
    table = (tmp_path / "folds.md").read_text()
    assert "all, out of fold" in table and f"Mean over 3 folds: weighted F1 {mean:.3f} (sd " in table
