"""One's own results in `emo report`: runs of one name, declared groups, whose data it is, a paired test."""

import json
import re

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.corpora.declared import write_rights
from emo.errors import ConfigError
from emo.evaluation.board_text import FORMS
from emo.evaluation.groups import GroupScores, by_group
from emo.evaluation.intervals import paired_bootstrap
from emo.evaluation.mer2023 import labels_only
from emo.evaluation.own_results import read_own
from emo.evaluation.own_tables import data_table, group_table, scores_table
from emo.evaluation.scored import score
from emo.rights import DataRights

LABELS = ("happy", "sad")
TRUTH = ["happy", "sad"] * 12
SPEAKERS = [f"s{place // 4}" for place in range(24)]
GENDERS = ["woman" if place < 12 else "man" for place in range(24)]
CLOSED = DataRights(
    name="closed_100%",
    licence="EULA & more",
    eula_url="https://example.org/eula?a=1&b=2",
    may_share_features=False,
    citation="Them <2023>",
)


def report(*words):
    done = CliRunner().invoke(emo, ["report", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def answered(wrong, silent=()):
    """Answers that are wrong, or are none, at the places given."""
    other = {"happy": "sad", "sad": "happy"}
    said = [other[label] if place in wrong else label for place, label in enumerate(TRUTH)]
    return [None if place in silent else label for place, label in enumerate(said)]


def result(folder, wrong=(), silent=(), rights=(), groups=True, withheld=False):
    """A folder as `emo evaluate --group gender --out` leaves it."""
    folder.mkdir(parents=True)
    said = answered(wrong, silent)
    scored = score(TRUTH, said, LABELS, SPEAKERS)
    by = by_group(labels_only(TRUTH, said, LABELS), GENDERS, SPEAKERS, score="uar", column="gender")
    told = {**scored.to_json(), "groups": by.to_json() if groups else None}
    (folder / "scores.json").write_text(json.dumps(told))
    rows = [
        {"clip_id": f"c{place}", "truth": truth, "label": label, "speaker": speaker, "abstained": withheld}
        for place, (truth, label, speaker) in enumerate(zip(TRUTH, said, SPEAKERS, strict=True))
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if rights:
        write_rights(folder / "scores.json", rights)
    return folder


def test_groups_are_read_as_they_were_written():
    summed = labels_only(TRUTH, answered({0, 3}), LABELS)
    found = by_group(summed, GENDERS, SPEAKERS, score="uar", column="gender")
    assert GroupScores.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_every_figure_stands_with_n_and_its_rate_of_invalid_answers(tmp_path):
    (own,) = read_own(str(result(tmp_path / "a", wrong={0}, silent={1, 2, 3})))
    table = scores_table([own])
    assert {row[1] for row in table.rows} == {"weighted F1", "UAR", "WAR"}
    assert all((row[4], row[5], row[6]) == ("24", "1", "12.5%") for row in table.rows)
    by = group_table([own], "gender")
    assert [row[1] for row in by.rows] == ["woman", "man", "worst gap"]
    assert [(row[2], row[5]) for row in by.rows] == [("12", "25.0%"), ("12", "0.0%"), ("24", "12.5%")]


def test_folders_of_one_name_are_runs_with_mean_and_standard_deviation(tmp_path):
    one, two = result(tmp_path / "one", wrong={0}), result(tmp_path / "two", wrong={0, 1, 2})
    (own,) = json.loads(report(f"ours={one}", f"ours={two}", "--board", "mer2023-semi", "--json"))["own"]
    assert own["runs"] == 2 and own["files"] == [str(place / "scores.json") for place in (one, two)]
    assert own["scores"]["war"]["value"] == pytest.approx((23 + 21) / 48)
    assert own["scores"]["war"]["std"] == pytest.approx(2 / 24 / 2**0.5)
    shown = report(f"ours={one}", f"ours={two}", "--board", "mer2023-semi")
    assert re.search(r"ours +WAR +0\.917 +± 0\.059 +24 +2 +0\.0%", shown)
    assert re.search(r"→ ours† .*0\.\d{4} ± 0\.\d{4}", shown) and "over 2 runs" in shown


def test_folders_without_a_name_are_never_taken_for_runs(tmp_path):
    places = [result(tmp_path / name / "test") for name in "ab"]
    own = json.loads(report(*places, "--board", "mer2023-semi", "--json"))["own"]
    assert [(one["name"], one["runs"]) for one in own] == [(str(place), 1) for place in places]
    odd = result(tmp_path / "lr=1e-3")
    (own,) = json.loads(report(odd, "--board", "mer2023-semi", "--json"))["own"]
    assert own["name"] == "lr=1e-3"


def test_seeds_that_emo_score_joined_are_told_as_such(tmp_path):
    seeds = {"uar": {"mean": 0.5, "std": 0.1, "runs": 3}}
    scores = {"uar": {"value": 0.6, "ci": [0.5, 0.7]}}
    (tmp_path / "scores.json").write_text(json.dumps({"n": 9, "scores": scores, "seeds": seeds}))
    (own,) = read_own(str(tmp_path))
    assert (own.values["uar"], own.deviations["uar"], own.runs, own.intervals) == (0.5, 0.1, 3, {})


def test_a_score_of_fewer_clips_does_not_stand_under_the_n_of_all(tmp_path):
    folder = result(tmp_path / "a")
    held = json.loads((folder / "scores.json").read_text())
    for n, there in ((24, True), (20, False)):
        held["combined"] = {"n": n, "scores": {"combined": {"value": 0.4, "ci": [0.3, 0.5]}}}
        (folder / "scores.json").write_text(json.dumps(held))
        assert ("combined" in read_own(str(folder))[0].values) is there


def test_what_the_owners_allow_stands_in_every_form(tmp_path):
    places = [result(tmp_path / "ours", rights=[CLOSED]), result(tmp_path / "bare")]
    for form in FORMS:
        report(*places, "--board", "mer2023-semi", "--out", tmp_path / f"t{form}")
    for form, name, licence in (
        (".txt", "closed_100%", "EULA & more"),
        (".md", "closed_100%", "EULA & more"),
        (".html", "closed_100%", "EULA &amp; more"),
        (".tex", r"closed\_100\%", r"EULA \& more"),
    ):
        text = (tmp_path / f"t{form}").read_text()
        assert name in text and licence in text and "https://example.org/eula" in text
        assert "undeclared" in text and "nobody said" in text and "worst gap" in text
    assert "Them &lt;2023&gt;" in (tmp_path / "t.html").read_text()


def test_features_that_may_not_be_shared_are_not_told_as_those_of_which_nobody_said(tmp_path):
    (own,) = read_own(str(result(tmp_path / "a")))
    (row,) = data_table([own]).rows
    assert row[1:] == ("undeclared", "unknown", "nobody said", "nobody said")


def test_two_systems_are_compared_on_the_same_resampled_speakers(tmp_path):
    first = result(tmp_path / "first", wrong={0})
    second = result(tmp_path / "second", wrong={0, 1, 5, 9, 20})
    words = [f"a={first}", f"b={second}", "--board", "mer2023-semi", "--against", "b"]
    found = json.loads(report(*words, "--json"))["against"]
    got = found["systems"]["a"]
    assert (found["base"], got["n"], got["clusters"], got["invalid_rates"]) == ("b", 24, 6, [0, 0])
    known = paired_bootstrap(
        TRUTH, answered({0}), answered({0, 1, 5, 9, 20}), LABELS, SPEAKERS, metric="weighted_f1"
    )
    one = got["differences"]["weighted_f1"]
    assert (one["difference"], *one["ci"], one["p_value"]) == pytest.approx(
        (known.value, known.low, known.high, known.p_value)
    )
    assert "Against b" in report(*words) and "a - b" in report(*words)


def test_what_cannot_be_compared_is_told(tmp_path):
    one, two = result(tmp_path / "one"), result(tmp_path / "two", wrong={3})
    board = ["--board", "mer2023-semi"]
    with pytest.raises(ConfigError, match="no result is called so; did you mean `one`"):
        report(one, two, *board, "--against", "on")
    with pytest.raises(ConfigError, match="name another result"):
        report(one, *board, "--against", "one")
    with pytest.raises(ConfigError, match="is given twice"):
        report(f"x={one}", f"x={one}", *board)
    lines = (two / "answers.jsonl").read_text().splitlines()
    (two / "answers.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ConfigError, match="1 clips are in one alone, such as 'c23'"):
        report(one, two, *board, "--against", "one")
    (two / "answers.jsonl").write_text("\n".join([*lines[:-1], lines[-1].replace("sad", "happy")]) + "\n")
    with pytest.raises(ConfigError, match="another true label, such as 'c23'"):
        report(one, two, *board, "--against", "one")
    (two / "answers.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"answers\.jsonl: no answers with their truth"):
        report(one, two, *board, "--against", "one")
    with pytest.raises(ConfigError, match="24 of 24 answers were withheld"):
        report(one, result(tmp_path / "three", withheld=True), *board, "--against", "one")
    held = json.loads((one / "scores.json").read_text())
    (two / "scores.json").write_text(json.dumps({**held, "n": 12}))
    with pytest.raises(ConfigError, match=r"no runs of one system on the same clips \(n 24 and 12\)"):
        report(f"x={one}", f"x={two}", *board)
    (two / "scores.json").write_text(json.dumps({**held, "groups": {"column": "gender"}}))
    with pytest.raises(ConfigError, match="not scores of emo"):
        report(two, *board)
    (two / "scores.json").write_text('{"n": 3, "uar": 1e999}')
    with pytest.raises(ConfigError, match="not a finite number"):
        report(two, *board)
    with pytest.raises(ConfigError, match="no result is called so"):
        report(*board, "--against", "one")
