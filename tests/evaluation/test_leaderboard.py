"""`emo report`: published tables with caveats, one's own rows beside them, other protocols marked."""

import json
import re

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.errors import ConfigError
from emo.evaluation.board_text import board_table, html, latex, markdown, terminal
from emo.evaluation.leaderboard import board_names, load_board, placed, why_other
from emo.evaluation.own_results import read_own
from emo.evaluation.scored import score

SUPPORT = {"angry": 183, "happy": 169, "neutral": 166, "sad": 257, "surprise": 14, "worried": 45}


def run(*arguments):
    done = CliRunner().invoke(emo, ["report", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def own(folder, n=834, invalid_rate=0.0, support=SUPPORT, **more):
    """A scores.json as `emo score` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = {
        "n": n,
        "invalid_rate": invalid_rate,
        "scores": {
            "weighted_f1": {"value": 0.88, "ci": [0.86, 0.9]},
            "uar": {"value": 0.8, "ci": [0.7, 0.9]},
        },
        "per_class": {name: {"recall": 0.5, "support": count} for name, count in support.items()},
        **more,
    }
    (folder / "scores.json").write_text(json.dumps(scores))
    return folder


def test_the_tables_of_the_paper_are_there_with_source_and_caveats():
    assert set(board_names()) == {
        "dfew-fine-tuned",
        "dfew-zero-shot",
        "emer",
        "mer2023-semi",
        "mer2024-noise",
        "mer2024-ov",
    }
    for name in board_names():
        board = load_board(name)
        assert board.source and board.caveats and board.rows
    emer = {row.system: row.values for row in load_board("emer").rows}
    assert emer["Emotion-LLaMA"] == {"clue_overlap": 7.83, "label_overlap": 6.25}


@pytest.mark.parametrize("name", ["dfew-zero-shot", "dfew-fine-tuned"])
def test_the_uar_of_a_dfew_row_is_the_mean_of_its_recalls_or_the_row_says_otherwise(name):
    for row in load_board(name).rows:
        recalls = [value for key, value in row.values.items() if key.startswith("recall:")]
        if recalls and abs(sum(recalls) / 7 - row.values["uar"]) > 0.011:
            assert "mean of the row is" in row.caveat


def test_the_caveats_of_zero_shot_dfew_stand_beside_the_table():
    shown = run("--board", "dfew-zero-shot")
    assert "+4.37" in shown and "4.52" in shown
    assert "47.69, is above Emotion-LLaMA's, 45.59" in shown


def test_ones_own_result_stands_in_its_place_with_interval_n_and_invalid_rate(tmp_path):
    shown = run(f"ours={own(tmp_path / 'run')}", "--board", "mer2023-semi")
    lines = shown.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("→ ours"))
    assert "0.8800 [0.8600, 0.9000]" in lines[place] and "†" not in lines[place]
    assert lines[place - 1].startswith("Transformer (AVT)") and lines[place + 1].startswith("Baseline (AV)")
    assert "n 834, invalid 0.0%" in shown


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"n": 96}, "n 96 here, 834 there"),
        ({"support": {**SUPPORT, "sad": 256}}, "other numbers of clips"),
        ({"invalid_rate": 0.1}, "strict reading of answers here, official there"),
    ],
)
def test_a_result_of_another_protocol_is_marked_with_the_reason(tmp_path, changed, reason):
    board = load_board("mer2023-semi")
    result = read_own(str(own(tmp_path / "run", **changed)))[0]
    assert reason in why_other(board, result)
    shown = terminal([board_table(board, placed(board, [result]))])
    assert "→ run†" in shown and "another protocol" in shown


def test_a_judge_that_is_not_the_tables_makes_another_protocol(tmp_path):
    scores = {"clue_overlap": {"value": 6, "ci": [5, 7]}, "label_overlap": {"value": 5, "ci": [4, 6]}}
    folder = own(tmp_path / "run", n=100, support={}, scores=scores, judge="local")
    board = load_board("emer")
    assert why_other(board, read_own(str(folder))[0]) == "judge local here, gpt-3.5-turbo-16k-0613 there"


def test_a_recipe_that_was_asked_again_gives_a_row_for_each_reading(tmp_path):
    scores = {"n": 834, "invalid_rate": 0.1, "weighted_f1": 0.9, "uar": 0.8, "war": 0.9, "ci": [0.88, 0.92]}
    (tmp_path / "scores.json").write_text(
        json.dumps({"recipe": "mer2023-semi", "strict": scores, "official": {**scores, "invalid_rate": 0}})
    )
    names = [(result.name, result.reading) for result in read_own(f"ours={tmp_path}")]
    assert names == [("ours (official)", "official"), ("ours (strict)", "strict")]


def test_what_emo_evaluate_writes_is_read(tmp_path):
    scored = score(["happy", "sad", "sad"], ["happy", "sad", None], ("happy", "sad"), [None] * 3)
    (tmp_path / "scores.json").write_text(json.dumps(scored.to_json()))
    result = read_own(str(tmp_path))[0]
    assert result.values["recall:sad"] == 0.5 and result.support == {"happy": 1, "sad": 2}
    assert result.intervals["weighted_f1"] == (scored.interval.low, scored.interval.high)
    assert (result.n, result.invalid_rate) == (3, pytest.approx(1 / 3))
    alone = score(["happy", "sad"], ["happy", None], ("happy", "sad"), ["one speaker"] * 2)
    (tmp_path / "scores.json").write_text(json.dumps(alone.to_json()))
    assert read_own(str(tmp_path))[0].intervals == {}


def test_every_form_has_the_rows_the_marks_and_the_caveats(tmp_path):
    hostile = own(tmp_path / "a_<b>&50%", n=3)
    board = load_board("dfew-zero-shot")
    table = board_table(board, placed(board, read_own(str(hostile))))
    for text in (terminal([table]), markdown([table]), latex([table]), html([table])):
        assert "4.52" in text and "GPT-4V" in text and "47.69" in text
    assert r"a\_\textless{}b\textgreater{}\&50\%\textdagger{}" in latex([table])
    assert "a_&lt;b&gt;&amp;50%†" in html([table]) and '<tr class="marked">' in html([table])
    widths = {line.count("|") for line in markdown([table]).splitlines() if line.startswith("|")}
    assert len(widths) == 1
    body = re.search(r"\\midrule\n(.*)\\bottomrule", latex([table]), re.S).group(1)
    assert {line.count(" & ") for line in body.splitlines()} == {10}


def test_files_are_written_in_the_form_that_their_ending_says(tmp_path):
    run(
        "--board",
        "emer",
        "--out",
        tmp_path / "a.html",
        "--out",
        tmp_path / "a.md",
        "--out",
        tmp_path / "a.tex",
    )
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "a.tex").read_text().count(r"\toprule") == 1
    with pytest.raises(ConfigError, match="the ending says the form"):
        run("--board", "emer", "--out", tmp_path / "a.pdf")


def test_results_that_do_not_fit_are_told(tmp_path):
    with pytest.raises(ConfigError, match="has none of clue_overlap"):
        run(own(tmp_path / "run"), "--board", "emer")
    with pytest.raises(ConfigError, match="emo score --out"):
        run(tmp_path / "nothing")
    (tmp_path / "scores.json").write_text('{"n": "many", "weighted_f1": {}}')
    with pytest.raises(ConfigError, match="not scores of emo"):
        run(tmp_path)
    (tmp_path / "scores.json").write_text('{"scored_split": "test", "result": {"n": 3}}')
    with pytest.raises(ConfigError, match="emo evaluate --model"):
        run(tmp_path)
    (tmp_path / "mine.yaml").write_text("title: x\nabout: y\nsource: z\ncolumns: []\nrowz: []\n")
    with pytest.raises(ConfigError, match="did you mean `rows`"):
        run("--board", tmp_path / "mine.yaml")


def test_without_a_board_each_result_goes_where_it_has_scores(tmp_path):
    found = json.loads(run(own(tmp_path / "run"), "--json"))["boards"]
    mine = {name for name, board in found.items() if any(row["yours"] for row in board["rows"])}
    assert mine == {"dfew-fine-tuned", "dfew-zero-shot", "mer2023-semi", "mer2024-noise"}


CLUES = {
    "lexicon": {"brow": ["brow lowers", "frown"], "smile": ["smile", "lips rise"], "loud": ["loud voice"]},
    "clips": {"c1": {"clues": ["brow", "loud"], "also": []}},
}


@pytest.fixture
def told(tmp_path):
    (tmp_path / "truth.csv").write_text("name,label,text\nc1,angry,No!\nc2,sad,\n")
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"clip_id": "c1", "label": "angry", "text": "His brow lowers <b>hard</b>."}) + "\n"
    )
    (tmp_path / "b.jsonl").write_text(
        json.dumps({"clip_id": "c1", "label": None, "text": "A smile, a loud voice."}) + "\n"
    )
    (tmp_path / "clues.json").write_text(json.dumps(CLUES))
    files = [f"{name}={tmp_path / name}.jsonl" for name in "ab"]
    given = ["--clip", "c1", "--truth", tmp_path / "truth.csv", "--clues", tmp_path / "clues.json"]
    return [*given, "--answers", files[0], "--answers", files[1]]


def test_the_answers_for_one_clip_stand_side_by_side_with_each_clue_marked(told, tmp_path):
    found = json.loads(run(*told, "--json"))
    assert found["label"] == "angry" and found["clues"] == ["brow", "loud"]
    assert found["answers"]["a"]["clues"] == {"supported": ["brow"], "unsupported": [], "missed": ["loud"]}
    assert found["answers"]["b"]["clues"] == {
        "supported": ["loud"],
        "unsupported": ["smile"],
        "missed": ["brow"],
    }
    shown = run(*told)
    assert "a: angry, right" in shown and "b: no label, wrong" in shown and "missed: loud" in shown
    run(*told, "--out", tmp_path / "clip.html")
    page = (tmp_path / "clip.html").read_text()
    assert "&lt;b&gt;hard" in page and "unsupported" in page


def test_a_clip_that_is_not_there_is_told(told):
    with pytest.raises(ConfigError, match="no clip 'c2'"):
        run(*["c2" if part == "c1" else part for part in told])
    with pytest.raises(ConfigError, match="go with --clip"):
        run("--answers", "a=b.jsonl")
    with pytest.raises(ConfigError, match="needs --truth"):
        run("--clip", "c1")


def test_a_clue_without_a_phrase_is_refused(told, tmp_path):
    (tmp_path / "clues.json").write_text(json.dumps({**CLUES, "lexicon": {"brow": ["frown"]}}))
    with pytest.raises(ConfigError, match="no phrase for loud"):
        run(*told)
