"""`emo score`, as a user types it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.errors import ConfigError

CLIPS = [f"clip {place}" for place in range(12)]
TRUTH = ["happy", "sad", "angry"] * 4


def said(*arguments):
    done = CliRunner().invoke(emo, ["score", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def truth(tmp_path):
    return jsonl(
        tmp_path / "truth.jsonl",
        [
            {
                "clip_id": clip,
                "path": "x.mp4",
                "label": label,
                "speaker": f"s{place % 6}",
                "gender": "man" if place % 6 < 3 else "woman",
                "valence": place % 3 - 1,
                "openset": ["happy", "glad"],
                "split": "test" if place < 9 else "train",
            }
            for place, (clip, label) in enumerate(zip(CLIPS, TRUTH, strict=True))
        ],
    )


def answers(path, wrong=(), **columns):
    rows = [
        {"clip_id": clip, "label": "sad" if place in wrong else TRUTH[place], **columns}
        for place, clip in enumerate(CLIPS)
    ]
    return jsonl(path, rows)


def test_labels_are_scored_with_n_clusters_and_invalid_rate(tmp_path, truth):
    given = answers(tmp_path / "a.jsonl", wrong=(0,))
    found = json.loads(said(given, "--truth", truth, "--json").stdout)
    assert (found["metric"], found["n"], found["clusters"], found["invalid_rate"]) == ("labels", 12, 6, 0)
    assert found["scores"]["war"]["value"] == pytest.approx(11 / 12)
    shown = said(given, "--truth", truth).stdout
    assert "n 12, 6 by speaker, invalid 0.0%" in shown and "weighted_f1" in shown


def test_a_clip_without_an_answer_counts_as_invalid_and_wrong(tmp_path, truth):
    given = jsonl(
        tmp_path / "a.jsonl", [{"clip_id": "clip 0", "label": "happy"}, {"name": "x", "label": "sad"}]
    )
    found = json.loads(said(given, "--truth", truth, "--json").stdout)
    assert found["invalid_rate"] == pytest.approx(11 / 12)
    assert found["scores"]["war"]["value"] == pytest.approx(1 / 12)
    assert "11 of 12 clips have no answer" in found["notes"][0] and "1 answers" in found["notes"][1]


def test_seeds_and_another_system_are_told(tmp_path, truth):
    first = [answers(tmp_path / f"{seed}.jsonl", wrong=(seed,)) for seed in (0, 2)]
    other = answers(tmp_path / "other.jsonl", wrong=(0, 2, 3, 5, 6))
    done = said(*first, "--truth", truth, "--against", other, "--json")
    found = json.loads(done.stdout)
    assert found["seeds"]["war"]["runs"] == 2 and len(found["runs"]) == 2
    assert found["against"]["war"]["difference"] == pytest.approx(4 / 12)
    shown = said(*first, "--truth", truth, "--against", other).stdout
    assert "± 0.000 over 2 runs" in shown and "+0.333" in shown


def test_groups_come_from_a_column_or_from_a_side_file(tmp_path, truth):
    given = answers(tmp_path / "a.jsonl", wrong=(0, 2))
    shown = said(given, "--truth", truth, "--group", "gender").stdout
    assert "uar by gender, worst first" in shown and "worst gap" in shown
    side = tmp_path / "side.csv"
    side.write_text(
        "name,age\n" + "".join(f"{clip},{'old' if i % 2 else 'young'}\n" for i, clip in enumerate(CLIPS))
    )
    found = json.loads(said(given, "--truth", truth, "--group", "age", "--group-file", side, "--json").stdout)
    assert set(found["groups"]["groups"]) == {"old", "young"}
    with pytest.raises(ConfigError, match="no column for groups"):
        said(given, "--truth", truth, "--group", "skin")


@pytest.mark.parametrize(
    ("metric", "columns", "score", "value"),
    [
        ("mer2023", {"valence": 0.0}, "combined", 1 - 0.25 * 8 / 12),
        ("valence", {"valence": 0.0}, "mae", 8 / 12),
        ("mosi", {"value": 1.0}, "acc2_non0", 0.5),
        ("sims", {"value": 1.0}, "acc2", 4 / 12),
        ("mer2024-ov", {"openset": "['Happy']"}, "average", 0.75),
    ],
)
def test_each_metric_reads_its_own_columns(tmp_path, truth, metric, columns, score, value):
    given = answers(tmp_path / "a.jsonl", **columns)
    extra = ["--truth-column", "valence"] if metric in ("mosi", "sims") else []
    found = json.loads(said(given, "--truth", truth, "--metric", metric, *extra, "--json").stdout)
    assert found["scores"][score]["value"] == pytest.approx(value, abs=1e-12)


def test_a_submission_file_of_word_lists_is_scored_on_the_wheels(tmp_path, truth, wheel_data):
    given = tmp_path / "ours-openset.npz"
    np.savez(given, filenames=np.array(CLIPS), fileitems=np.array(["['happy', 'fear']"] * 12))
    for version, precision in (("ew-2025", 0.7), ("ew-2026", 0.5)):
        found = json.loads(
            said(given, "--truth", truth, "--metric", version, "--wheel-data", wheel_data, "--json").stdout
        )
        assert found["version"] == version
        assert found["scores"]["recall_level1"]["value"] == 1
        assert found["scores"]["precision_level1"]["value"] == pytest.approx(precision)


def test_the_split_is_chosen_and_scores_are_written(tmp_path, truth):
    given = answers(tmp_path / "a.jsonl")
    said(given, "--truth", truth, "--split", "test", "--out", tmp_path / "out")
    assert json.loads((tmp_path / "out/scores.json").read_text())["n"] == 9
    with pytest.raises(ConfigError, match="Splits: test, train"):
        said(given, "--truth", truth, "--split", "val")


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("clip_id,label\nclip 0,happy\nclip 0,sad\n", [], "rows 2 and 3 are both of 'clip 0'"),
        ("clip_id,label\n,happy\n", [], "row 2"),
        ("clip_id,label\nclip 0\n", [], "not the cells of the header"),
        ("clip_id,feeling\nclip 0,happy\n", [], "found clip_id, feeling"),
        ("clip_id,label\nsomething,happy\n", [], "none of its 1 clips"),
        ("clip_id,label\nclip 0,happy\n", ["--labels", "mood"], "no label set 'mood'"),
        ("clip_id,label\nclip 0,happy\n", ["--metric", "f1"], "Known: labels, mer2023"),
        ("", [], "no rows"),
    ],
)
def test_tables_that_do_not_fit_are_told(tmp_path, truth, content, arguments, message):
    given = tmp_path / "a.csv"
    given.write_text(content)
    with pytest.raises(ConfigError, match=message):
        said(given, "--truth", truth, *arguments)


def test_a_pickle_in_a_submission_is_not_opened(tmp_path, truth):
    given = tmp_path / "a.npz"
    np.savez(given, filenames=np.array(CLIPS, object), fileitems=np.array(["x"] * 12, object))
    with pytest.raises(ConfigError, match="need a pickle are not opened"):
        said(given, "--truth", truth, "--metric", "mer2024-ov")


def test_bytes_that_are_not_utf_8_are_told_with_row_and_byte(tmp_path, truth):
    given = tmp_path / "a.csv"
    given.write_bytes("clip_id,label\n情绪,happy\n".encode("gb18030"))
    with pytest.raises(ConfigError, match=r"row 2: byte 14 .* is not utf-8"):
        said(given, "--truth", truth)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "much", "", None, True])
def test_an_answer_that_is_no_finite_number_is_invalid_and_stops_nothing(tmp_path, truth, number):
    given = answers(tmp_path / "a.jsonl", valence=number)
    found = json.loads(said(given, "--truth", truth, "--metric", "valence", "--json").stdout)
    assert found["invalid_rate"] == 1


def test_labels_of_several_words_are_read_in_any_case(tmp_path):
    truth = jsonl(tmp_path / "t.jsonl", [{"clip_id": clip, "label": "At Ease"} for clip in CLIPS[:2]])
    given = jsonl(
        tmp_path / "a.jsonl",
        [{"clip_id": CLIPS[0], "label": "at ease"}, {"clip_id": CLIPS[1], "label": "At Ease"}],
    )
    words = [given, "--truth", truth, "--labels", "at ease,tense", "--json"]
    assert json.loads(said(*words).stdout)["scores"]["war"]["value"] == 1


def test_predictions_are_a_system_of_emo_evaluate(tmp_path, truth):
    given = answers(tmp_path / "a.jsonl", wrong=(0,))
    truth.rename(tmp_path / "manifest.jsonl")
    arguments = ["evaluate", "--system", f"predictions:{given}", "--manifest", str(tmp_path), "--json"]
    found = json.loads(CliRunner().invoke(emo, arguments).stdout)
    assert (found["n"], found["scores"]["war"]["value"]) == (9, pytest.approx(8 / 9))
    refused = CliRunner().invoke(emo, [*arguments, "--recipe", "mer2023-semi"])
    assert isinstance(refused.exception, ConfigError)
    arguments[2] = "prediction:a.jsonl"
    misspelt = CliRunner().invoke(emo, arguments)
    assert "no kind of system. Known: predictions:FILE, hf:FOLDER" in str(misspelt.exception)


def test_json_that_is_nested_without_end_or_holds_a_number_beyond_floats_is_no_bug(tmp_path, truth):
    given = tmp_path / "a.jsonl"
    given.write_text("[" * 100_000 + "\n")
    with pytest.raises(ConfigError, match="row 1: not JSON"):
        said(given, "--truth", truth)
    given.write_text('{"clip_id": "clip 0", "valence": 1' + "0" * 400 + "}\n")
    found = json.loads(said(given, "--truth", truth, "--metric", "valence", "--json").stdout)
    assert found["invalid_rate"] == 1
