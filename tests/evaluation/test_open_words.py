"""Open-vocabulary scores: recorded and published numbers, dropped classes. Formulas: test_references.py."""

import json
from pathlib import Path

import pytest

from emo.errors import ConfigError
from emo.evaluation.answers_table import read_synonyms, read_table, words_of
from emo.evaluation.open_words import hit_rate, set_overlap, wheel_scores
from emo.evaluation.wheels import EmotionWheels, load_wheels

GOLDEN = Path(__file__).parents[2] / "../shared/golden/emotion_wheel/golden.json"
PUBLISHED = {
    "ew-2025": ((0.553706, 0.559395, 0.548516), (0.424486, 0.447421, 0.405040)),
    "ew-2026": ((0.554608, 0.560524, 0.549187), (0.424583, 0.448026, 0.404764)),
}


def small_wheels():
    """Five wheels of two sectors; the last has no place for what is sad."""
    inner = {"happy": "joy", "calm": "joy", "sad": "grief", "numb": "grief"}
    middle = {"happy": "bright", "calm": "quiet", "sad": "low", "numb": "still"}
    last = {word: place for word, place in inner.items() if place == "joy"}
    return EmotionWheels(
        version="ew-small",
        bases={
            "happy": ("happy",),
            "glad": ("happy",),
            "calm": ("calm",),
            "sad": ("sad",),
            "blue": ("sad",),
            "numb": ("numb",),
        },
        meanings={word: (word,) for word in inner},
        places=(*({1: inner, 2: middle},) * 4, {1: last, 2: middle}),
    )


def test_words_of_one_synonym_group_agree():
    alone = set_overlap([["happy", "tired"]], [["joyful"]])
    grouped = set_overlap([["happy", "tired"]], [["joyful"]], [[["happy", "joyful"], ["tired"]]])
    assert (alone.value("average"), grouped.value("average")) == (0, 0.75)
    assert "only equal words agree" in alone.notes[0]


def test_an_empty_answer_scores_nothing_and_counts_as_invalid():
    run = set_overlap([["sad"], ["sad"]], [["sad"], None])
    assert (run.value("set_recall"), run.invalid.tolist()) == (0.5, [False, True])
    assert wheel_scores([["sad"]], [None], small_wheels()).value("f_level1") == 0


def test_the_hit_rate_says_how_many_clips_each_wheel_counts_and_which_classes_it_drops():
    run = hit_rate(["happy", "sad", "neutral"], [["glad", "numb"], ["calm"], ["neutral"]], small_wheels())
    assert run.details["effective_n"] == [2, 2, 2, 2, 1]
    assert run.details["dropped"][0] == {"neutral": 1}
    assert run.details["dropped"][4] == {"neutral": 1, "sad": 1}
    assert run.value("hit_rate") == pytest.approx((4 * 0.5 + 1) / 5)
    assert run.details["labels_per_clip"] == pytest.approx(4 / 3)


def test_the_published_wheels_drop_neutral_everywhere_and_surprise_on_the_last(wheel_data):
    truth = ["neutral", "surprise", "happy", "worried"]
    run = hit_rate(truth, [["happy"]] * 4, load_wheels("ew-2025", wheel_data))
    assert run.details["effective_n"] == [3, 3, 3, 3, 2]
    assert "neutral (1 clips, wheel 1, 2, 3, 4, 5); surprise (1 clips, wheel 5)" in run.notes[0]


def test_a_clip_without_true_words_is_refused():
    with pytest.raises(ConfigError, match="1 of 2 clips have no true words, the first is number 2"):
        set_overlap([["sad"], []], [["sad"], ["sad"]])


@pytest.mark.skipif(not GOLDEN.exists(), reason="the recorded wheel scores are not on this machine")
@pytest.mark.parametrize("version", ["ew-2025", "ew-2026"])
def test_recorded_scores_and_maps_of_words_come_out(version, wheel_data):
    recorded = json.loads(GOLDEN.read_text())
    wheels = load_wheels(version, wheel_data)
    run = wheel_scores(list(recorded["true"].values()), list(recorded["predicted"].values()), wheels)
    for level in (1, 2):
        expected = recorded[version]["scores"][f"level{level}"]
        for name in ("f", "precision", "recall"):
            assert run.value(f"{name}_level{level}") == pytest.approx(expected[name], abs=1e-12)
        assert run.details[f"kept_level{level}"] == expected["kept"]
    for word, places in recorded[version]["level1_map_of_words"].items():
        assert [wheels.sector(word, wheel) or "" for wheel in range(5)] == places


def published_lists(request):
    given = request.config.getoption("--ov-data", default=None)
    if given is None:
        pytest.skip("needs --ov-data DIR with check-openset.csv, predict-openset.csv, openset-synonym.zip")
    folder = Path(given)
    truth, answers = (read_table(folder / f"{name}-openset.csv") for name in ("check", "predict"))
    lists = [[words_of(table.rows[clip]["openset"]) for clip in truth.rows] for table in (truth, answers)]
    groups = read_synonyms(folder / "openset-synonym.zip")
    return *lists, [groups[clip] for clip in truth.rows]


def test_published_lists_give_the_published_set_accuracy_and_recall(request):
    run = set_overlap(*published_lists(request))
    assert run.value("set_accuracy") == pytest.approx(0.581777108433735, abs=1e-12)
    assert run.value("set_recall") == pytest.approx(0.4977911646586345, abs=1e-12)
    assert run.value("average") == pytest.approx(0.5397841365461847, abs=1e-12)


@pytest.mark.parametrize("version", ["ew-2025", "ew-2026"])
def test_published_lists_give_the_published_wheel_scores(request, version, wheel_data):
    truth, predicted, _ = published_lists(request)
    run = wheel_scores(truth, predicted, load_wheels(version, wheel_data))
    for level, expected in enumerate(PUBLISHED[version], start=1):
        got = [run.value(f"{name}_level{level}") for name in ("f", "precision", "recall")]
        assert got == pytest.approx(expected, abs=5e-7)
    if version == "ew-2025":
        assert run.details["kept_level1"] == [327, 328, 324, 327, 316]
