"""What a head answers through the commands: its valence, and with code of the user's own only where that is
named."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import emo
from emo.cli.main import emo as command
from emo.cli.main import exit_code
from emo.corpora import read_manifest
from emo.testing import tone, write_clip

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = "own_head:GatedSum"
SOUNDS = {"happy": 440.0, "sad": 150.0}


def typed(*words):
    done = CliRunner().invoke(command, ["-q", *map(str, words)])
    wrong = done.exception if not isinstance(done.exception, SystemExit) else None
    return (exit_code(wrong) if wrong else done.exit_code), done.stdout, f"{done.stderr}{wrong or ''}"


def right(*words):
    code, said, wrong = typed(*words)
    assert code == 0, wrong
    return said


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Twenty rendered sounds of ten speakers with a valence, and their features."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = []
    for speaker in range(10):
        for label, hertz in SOUNDS.items():
            name = f"{label}{speaker}"
            write_clip(folder / f"{name}.wav", None, tone(0.4, hertz=hertz + 5 * speaker))
            row = {"clip_id": name, "path": f"{name}.wav", "label": label, "speaker": f"s{speaker}"}
            split = "train" if speaker < 6 else "val" if speaker < 8 else "test"
            group = {"gender": "man" if speaker % 2 else "woman", "dataset": "rendered"}
            rows.append({**row, "split": split, "valence": 2.0 if label == "happy" else -2.0, **group})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    right(
        "extract",
        folder,
        "--encoder",
        "hubert",
        "--preset",
        "tiny",
        "--cache",
        folder / "f.zarr",
        "--jobs",
        "1",
    )
    return folder


def stored(place):
    return ["--cache", place / "f.zarr"]


def train(place, out, *more):
    given = ["--manifest", place, *stored(place), "--features", "hubert", "--epochs", "8", "--out", out]
    right("train-head", *given, "--labels", "happy,sad", *more)
    return out


@pytest.fixture(scope="module")
def valued(place):
    return train(place, place / "valued", "--valence", "--set", "lr=0.01")


@pytest.fixture(scope="module")
def owned(place):
    """A run whose head is of the examples' code, trained in their folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.path", list(sys.path))
        patch.chdir(EXAMPLES)
        return train(place, place / "owned", "--head", OWN, "--set", "width=8")


@pytest.fixture
def at_the_code(monkeypatch):
    """The user stands in the folder of the code, which nothing has imported yet."""
    monkeypatch.setattr("sys.path", list(sys.path))
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.delitem(sys.modules, "own_head", raising=False)


def test_the_valence_is_said_in_words_in_json_and_in_python(place, valued, tmp_path):
    one = [
        "predict",
        place / "happy9.wav",
        place / "sad9.wav",
        "--model",
        valued,
        *stored(place),
        "--jobs",
        "1",
    ]
    rows = [json.loads(line) for line in right(*one, "--json").splitlines()]
    assert rows[0]["valence"] > 0 > rows[1]["valence"]
    assert f", valence {rows[0]['valence']:+.2f}" in right(*one).splitlines()[0]
    (answer,) = emo.predict(place / "happy9.wav", valued, place / "f.zarr", jobs=1)
    assert answer.valence == pytest.approx(rows[0]["valence"], abs=1e-5)
    asked = ["evaluate", "--model", valued, "--manifest", place, *stored(place)]
    said = right(*asked, "--out", tmp_path / "test")
    assert "with the valence, as MER2023: combined" in said and "ECE" in said
    kept = [json.loads(line) for line in (tmp_path / "test/answers.jsonl").read_text().splitlines()]
    assert all(row["valence"] is not None for row in kept)
    scored = ["score", tmp_path / "test/answers.jsonl", "--truth", place, "--split", "test", "--json"]
    told = json.loads(right(*scored, "--metric", "mer2023", "--labels", "happy,sad"))
    assert told["n"] == 4 and told["invalid_rate"] == 0 and told["scores"]["mse"]["value"] < 4
    saved = json.loads((tmp_path / "test/scores.json").read_text())
    for score in ("combined", "mse"):
        value = told["scores"][score]["value"]
        assert saved["combined"]["scores"][score]["value"] == pytest.approx(value, abs=1e-5)
    plain = json.loads(right(*scored, "--metric", "labels", "--labels", "happy,sad"))
    ece = saved["calibration"]["ece"]["value"]
    assert plain["calibration"]["ece"]["value"] == pytest.approx(ece, abs=1e-5)
    assert plain["scores"]["uar"]["ci"] == saved["scores"]["uar"]["ci"]


def test_a_head_without_a_valence_says_none(place, owned, at_the_code):
    one = ["predict", place / "happy9.wav", "--model", owned, *stored(place), "--head", OWN, "--jobs", "1"]
    assert json.loads(right(*one, "--json"))["valence"] is None
    assert "valence" not in right(*one)


@pytest.mark.parametrize("verb", ["predict", "evaluate", "calibrate", "robustness"])
def test_code_that_only_the_file_names_is_not_imported_and_the_option_told(place, owned, at_the_code, verb):
    asked = [place / "happy9.wav"] if verb == "predict" else ["--manifest", place]
    code, _, said = typed(verb, *asked, "--model", owned, *stored(place))
    assert code == 2 and f"--head {OWN}" in said and "Traceback" not in said
    assert "own_head" not in sys.modules


def test_code_that_the_user_names_answers_and_is_scored(place, owned, at_the_code, tmp_path):
    given = ["--model", owned, *stored(place), "--head", OWN]
    answers = right("predict", place, *given, "--json", "--jobs", "1").splitlines()
    assert len(answers) == len(read_manifest(place / "manifest.jsonl"))
    told = json.loads(right("evaluate", *given, "--manifest", place, "--json"))
    assert told["n"] == 4 and told["invalid_rate"] == 0
    (answer,) = emo.predict(place / "happy9.wav", owned, place / "f.zarr", head=OWN, jobs=1)
    assert answer.probabilities == pytest.approx(
        next(row["probabilities"] for row in map(json.loads, answers) if row["clip_id"] == "happy9"), abs=1e-5
    )


def test_a_run_that_asks_for_other_code_than_the_user_named_is_refused(
    place, owned, valued, at_the_code, tmp_path
):
    hostile = tmp_path / "hostile"
    shutil.copytree(owned, hostile)
    card = json.loads((hostile / "head.json").read_text())
    card["config"]["head"] = "antigravity:fly; rm -rf ~"
    (hostile / "head.json").write_text(json.dumps(card))
    asked = ["predict", place / "happy9.wav", *stored(place), "--model"]
    code, _, said = typed(*asked, hostile, "--head", OWN)
    assert code == 2 and "antigravity" in said and "not 'own_head:GatedSum'" in said
    assert "--head 'antigravity:fly; rm -rf ~'" in typed(*asked, hostile)[2]
    assert "antigravity" not in sys.modules
    code, _, said = typed(*asked, valued, "--head", OWN)
    assert code == 2 and "Leave out --head." in said


def test_answers_go_on_in_a_file_only_by_the_same_code(place, owned, at_the_code, tmp_path, monkeypatch):
    shutil.copyfile(EXAMPLES / "own_head.py", tmp_path / "own_head.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [one for one in sys.path if one != str(EXAMPLES)])
    asked = ["predict", place, "--model", owned, *stored(place), "--head", OWN, "--out", tmp_path / "a.jsonl"]
    right(*asked, "--jobs", "1")
    right(*asked, "--jobs", "1")
    (tmp_path / "own_head.py").open("a").write("# another\n")
    code, _, said = typed(*asked, "--jobs", "1")
    assert code == 2 and "other weights, settings or features" in said


def test_runs_of_one_kind_stand_with_groups_and_rights(place, valued, owned, at_the_code, tmp_path):
    again = train(place, tmp_path / "again", "--valence", "--set", "lr=0.01", "--seed", "1")
    asked = ["evaluate", "--manifest", place, *stored(place), "--group", "gender", "--split", "all"]
    for run, more in ((valued, []), (again, []), (owned, ["--head", OWN])):
        right(*asked, "--model", run, *more, "--out", tmp_path / run.name)
    results = [f"mlp={tmp_path / 'valued'}", f"mlp={tmp_path / 'again'}", f"own={tmp_path / 'owned'}"]
    words = ["report", *results, "--against", "own", "--board", "mer2023-semi"]
    told = json.loads(right(*words, "--json"))
    mlp, own = told["own"]
    assert (mlp["runs"], own["runs"], mlp["n"]) == (2, 1, 20)
    each = [json.loads((tmp_path / name / "scores.json").read_text()) for name in ("valued", "again")]
    values = [one["weighted_f1"] for one in each]
    assert mlp["scores"]["weighted_f1"]["value"] == pytest.approx(sum(values) / 2)
    assert mlp["scores"]["weighted_f1"]["std"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert [group["column"] for group in own["groups"]] == ["gender"]
    files = [tmp_path / name for name in ("valued", "again", "owned")]
    scored = ["score", *files[:2], "--truth", place, "--against", files[2], "--labels", "happy,sad", "--json"]
    assert told["against"]["systems"]["mlp"]["differences"] == json.loads(right(*scored))["against"]
    said = right(*words)
    assert "By gender: UAR" in said and "worst gap" in said and "mlp - own" in said
    assert "mlp     rendered      MIT" in said and "rendered: cite emo-toolkit" in said


def test_scores_in_the_model_s_own_folder_get_into_its_card(place, tmp_path):
    run = train(place, tmp_path / "run")
    before = (run / "README.md").read_text()
    asked = ["evaluate", "--manifest", place, *stored(place), "--model", run, "--group", "gender"]
    right(*asked, "--out", tmp_path / "elsewhere")
    assert (run / "README.md").read_text() == before
    for split in ("all", "test", "test"):
        right(*asked, "--split", split, "--out", run / split)
    card = (run / "README.md").read_text()
    assert card.count("## Measured: test") == card.count("## Measured: all") == 1
    assert "### By gender" in card and "worst gap" in card and str(tmp_path) not in card
    without = card
    for of in ("all", "test"):
        begin = without.index(f"<!-- results: {of} -->")
        end = without.index("<!-- /results -->\n\n", begin) + len("<!-- /results -->\n\n")
        without = without[:begin] + without[end:]
    assert without == before
    given = ["--manifest", place, *stored(place), "--features", "hubert", "--epochs", "1", "--out", run]
    again = CliRunner().invoke(command, ["train-head", *map(str, given), "--labels", "happy,sad"])
    assert "is replaced; all, test in it are of the old one" in again.stderr
    assert "2 speakers: these intervals say little" in right(*asked)


def test_a_head_trained_on_rendered_clips_says_whose_they_are(place, valued):
    card = (valued / "README.md").read_text()
    assert "Trained on clips under: MIT" in card and "rendered: licence MIT; features may be shared" in card
    assert "unknown" not in card and "- emo-toolkit" in card
    assert "rendered: licence MIT" in right("cache", "rights", "--cache", place / "f.zarr")
