"""From a data set's folder to a score, typed: its rights go along, and what leaks is told."""

import json
import shutil

import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.cli.main import exit_code
from emo.clip import Clip
from emo.corpora import read_manifest
from emo.pipeline.seen import media_digests
from emo.testing import tone, write_clip

HERTZ = {"03": 440.0, "04": 150.0}  # RAVDESS' codes of happy and sad


def typed(*words):
    done = CliRunner().invoke(command, list(map(str, words)))
    wrong = done.exception if not isinstance(done.exception, SystemExit) else None
    return (exit_code(wrong) if wrong else done.exit_code), done.stdout, f"{done.stderr}{wrong or ''}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Sounds of ten actors in RAVDESS' layout; their manifest and features."""
    folder = tmp_path_factory.mktemp("ravdess")
    for actor in range(1, 11):
        for emotion, hertz in HERTZ.items():
            path = folder / f"Actor_{actor:02d}" / f"03-01-{emotion}-01-01-01-{actor:02d}.wav"
            path.parent.mkdir(exist_ok=True)
            write_clip(path, None, tone(0.4, hertz=hertz + 5 * actor))
    same = folder / "Actor_05/03-01-03-01-01-01-05.wav"
    shutil.copyfile(same, folder / "Actor_01/03-01-03-01-01-01-01.wav")
    read = ["corpus", "read", "ravdess", folder, "--option", "modality=audio", "--option", "fold=1"]
    code, said, wrong = typed(*read, "--out", folder / "m.csv")
    assert code == 0 and "features may be shared" in said, wrong
    cache = ["--encoder", "hubert", "--preset", "tiny", "--cache", folder / "f.zarr", "--jobs", "1"]
    assert typed("extract", folder / "m.csv", *cache)[0] == 0
    return folder


def train(place, out, *more, manifest="m.csv"):
    where = ["--manifest", place / manifest, "--cache", place / "f.zarr", "--out", out]
    return typed("train-head", *where, "--features", "hubert", "--epochs", "2", *more)


@pytest.fixture(scope="module")
def run(place):
    code, _, said = train(place, place / "run", "--allow-leak")
    assert code == 0, said
    return place / "run"


def test_the_rights_of_the_data_set_are_in_the_cache_and_beside_the_run(place, run):
    (kept,) = open_cache(place / "f.zarr").data
    assert kept.name == "ravdess" and kept.licence == "CC BY-NC-SA 4.0" and kept.may_share_features
    (beside,) = json.loads((run / "data.json").read_text())["data"]
    assert beside == kept.to_json()


def test_a_test_clip_with_the_media_of_a_training_clip_stops_training(place, tmp_path):
    code, _, said = train(place, tmp_path / "run")
    assert code == 2 and not (tmp_path / "run").exists()
    assert "leak (media): 1 of 8 test clips" in said
    assert "03-01-03-01-01-01-01 = 03-01-03-01-01-01-05" in said
    assert "--allow-leak media" in said
    code, _, said = train(place, tmp_path / "run", "--allow-leak", "speaker")
    assert code == 2
    code, _, said = train(place, tmp_path / "run", "--allow-leak", "media", "--json")
    assert code == 0 and "leak (media)" in said


def test_scores_stand_with_and_without_what_training_saw(place, run):
    asked = ["evaluate", "--model", run, "--cache", place / "f.zarr", "--manifest", place / "m.csv"]
    code, said, wrong = typed(*asked)
    assert code == 0, wrong
    assert "leak (media): 1 of 8" in said and "without clips or recordings that training saw" in said
    told = json.loads(typed(*asked, "--split", "all", "--json")[1])
    assert told["n"] == 20 and told["leaks"]["kinds"] == {"media": 13, "id": 12, "speaker": 12}
    assert told["leaks"]["without_seen"]["n"] == 7


def test_a_report_says_what_data_its_figures_are_of(place, run, tmp_path):
    asked = ["evaluate", "--model", run, "--cache", place / "f.zarr", "--manifest", place / "m.csv"]
    assert typed(*asked, "--out", tmp_path / "test")[0] == 0
    words = ["report", f"ours={tmp_path / 'test'}", "--board", "dfew-zero-shot"]
    code, said, wrong = typed(*words, "--json")
    assert code == 0, wrong
    assert [record["name"] for record in json.loads(said)["data"]] == ["ravdess"]
    code, said, wrong = typed(*words)
    assert code == 0 and "of ravdess (CC BY-NC-SA 4.0)" in said
    (row,) = [line.split() for line in said.splitlines() if line.split()[:2] == ["ours", "ravdess"]]
    assert row[2:] == ["CC", "BY-NC-SA", "4.0", "yes", "yes"]


def test_equal_words_are_no_equal_media(place):
    cache = place / "words.zarr"
    where = ["--preset", "tiny", "--cache", cache, "--jobs", "1"]
    assert typed("extract", place / "m.csv", "--encoder", "roberta", *where)[0] == 0
    clips = read_manifest(place / "m.csv")
    assert {clip.text for clip in clips} == {"Kids are talking by the door."}
    spaces = {"roberta": open_cache(cache)["roberta"]}
    assert len(spaces["roberta"]) == len(clips) and media_digests(spaces, clips) == {}
    heard = {"hubert": open_cache(place / "f.zarr")["hubert"]}
    assert len(set(media_digests(heard, clips).values())) == len(clips) - 1
    assert media_digests(heard, [Clip(clip_id="unknown", path=place)]) == {}


def test_without_a_test_nothing_is_asked(place, tmp_path):
    rows = [row for row in (place / "m.csv").read_text().splitlines() if ",test," not in row]
    (place / "train.csv").write_text("\n".join(rows) + "\n")
    code, _, said = train(place, tmp_path / "run", manifest="train.csv")
    assert code == 0 and "leak" not in said
