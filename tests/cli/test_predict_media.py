"""emo predict reads media as emo extract does: whose faces, what a file may claim, where it may lie."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from emo.cache import open_cache
from emo.cli.main import emo
from emo.errors import ConfigError, StaleCache
from emo.testing import drawn_face, tone, write_clip

SPLITS = ["train"] * 4 + ["val"] * 2


def typed(*words):
    result = CliRunner().invoke(emo, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A head trained on faces of another policy and margin than the preset's; a clip that it never saw."""
    folder = tmp_path_factory.mktemp("media")
    rows = []
    for number, split in enumerate(SPLITS):
        pictures = [drawn_face(160, 120, mouth=number / 8)] * 6
        write_clip(folder / f"{number}.mp4", pictures, tone(0.24))
        rows.append({"path": f"{number}.mp4", "label": ["happy", "sad"][number % 2], "split": split})
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest, cache = str(folder / "manifest.jsonl"), str(folder / "features.zarr")
    typed(
        *("extract", manifest, "-e", "mae", "--preset", "tiny", "--jobs", "1", "--cache", cache),
        *("--faces", "policy=central,margin=0.3"),
    )
    typed(
        *("train-head", "--manifest", manifest, "--features", "mae", "--cache", cache),
        *("--epochs", "1", "--labels", "happy,sad", "--out", str(folder / "head")),
    )
    (folder / "new").mkdir()
    write_clip(folder / "new" / "clip.mp4", [drawn_face(160, 120)] * 6, tone(0.24))
    return folder


def answers(place, cache, *words):
    told = typed(
        *("predict", *words, "--model", str(place / "head"), "--cache", str(cache), "--json", "--jobs", "1")
    )
    return {row["clip_id"]: row for row in map(json.loads, told.stdout.splitlines())}


def test_faces_are_those_of_the_training_features_and_others_are_refused(place, tmp_path):
    clip = str(place / "new" / "clip.mp4")
    assert answers(place, tmp_path / "f.zarr", clip)["clip"]["features"] == ["mae"]
    (space,) = open_cache(tmp_path / "f.zarr").spaces()
    assert (space.spec.recipe["faces"]["policy"], space.spec.recipe["faces"]["margin"]) == ("central", 0.3)
    with pytest.raises(StaleCache, match="the model was trained on mae/"):
        answers(place, tmp_path / "g.zarr", clip, "--faces", "policy=largest")
    with pytest.raises(ConfigError, match="not NAME=VALUE"):
        answers(place, tmp_path / "g.zarr", clip, "--faces", "central")


def test_a_limit_and_a_strict_root_cost_the_clip_its_feature(place, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "link.mp4").symlink_to(place / "new" / "clip.mp4")
    assert answers(place, tmp_path / "a.zarr", str(folder))["link"]["missing"] == []
    for number, words in enumerate((["--media-limit", "most_seconds=0.1"], ["--strict-root"])):
        cache = tmp_path / f"{number}.zarr"
        assert answers(place, cache, str(folder), *words)["link"]["missing"] == ["mae"]
        status = open_cache(cache)["mae"].info("link").status
        assert status == ("failed:too_long", "failed:outside_root")[number]
    with pytest.raises(ConfigError, match="allows one folder; CLIPS are in 2"):
        answers(place, tmp_path / "a.zarr", str(folder), str(place / "new"), "--strict-root")


def test_a_cache_whose_name_is_nearly_that_of_one_beside_it_is_not_made(place):
    with pytest.raises(ConfigError, match=r"no cache at .*featurs.zarr; did you mean .*features.zarr"):
        answers(place, place / "featurs.zarr", str(place / "new"))
    assert not (place / "featurs.zarr").exists()


def told(place, cache, *words):
    """What emo predict says on stderr, and its answers by clip."""
    result = typed(
        *("predict", *words, "--model", str(place / "head"), "--cache", str(cache), "--json", "--jobs", "1")
    )
    return result.stderr, {row["clip_id"]: row for row in map(json.loads, result.stdout.splitlines())}


def left_of(cache, clip_id):
    """Where the face is that a clip's features are of: the left edge of its box."""
    return open_cache(cache)["mae"][clip_id].meta["faces"]["median_box"][0]


def test_several_people_are_told_and_one_is_picked_by_number_size_or_voice(place, talk, tmp_path):
    cache = tmp_path / "f.zarr"
    said, plain = told(place, cache, str(talk))
    assert "several people in 1 clips (talk: 2 at once)" in said
    assert set(plain) == {"talk"}
    for choice, number in (("1", 1), ("2", 2), ("largest", 1), ("speaker", 2)):
        said, found = told(place, cache, str(talk), "--person", choice)
        assert "several people" not in said
        assert set(found) == {f"talk#{number}"}
        assert (left_of(cache, f"talk#{number}") > 160) == (number == 2)
    _, nobody = told(place, cache, str(talk), "--person", "5")
    assert nobody["talk#5"]["missing"] == ["mae"]
    assert typed("predict", str(talk), "--model", "m", "--person", "9").exit_code == 2


def test_a_manifest_that_names_a_person_is_not_overruled(place, talk, tmp_path):
    rows = [{"clip_id": "a", "path": str(talk), "person": 1}, {"clip_id": "b", "path": str(talk)}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, found = told(place, tmp_path / "f.zarr", str(tmp_path / "m.jsonl"), "--person", "2")
    assert set(found) == {"a", "b#2"}


def test_extract_picks_a_person_too_and_keeps_the_names_of_the_manifest(place, talk, tmp_path):
    words = ["extract", str(talk), "-e", "mae", "--preset", "tiny", "--jobs", "1"]
    assert "several people in 1 clips" in typed(*words, "--cache", str(tmp_path / "a.zarr")).stderr
    found = typed(*words, "--cache", str(tmp_path / "b.zarr"), "--person", "speaker")
    assert "several people" not in found.stderr
    assert left_of(tmp_path / "b.zarr", "talk") > 160 > left_of(tmp_path / "a.zarr", "talk")


def test_people_are_listed_with_the_numbers_that_pick_them_and_drawn(place, talk, tmp_path):
    sheet = tmp_path / "people.png"
    result = typed("people", str(talk), str(place / "0.mp4"), "--sheet", str(sheet), "--json", "--jobs", "1")
    two, one = json.loads(result.stdout)["clips"]
    assert [person["person"] for person in two["people"]] == [1, 2]
    assert (two["largest"], two["likeliest_speaker"]) == (1, 2)
    assert len(one["people"]) == 1
    with Image.open(sheet) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert (15, 157, 118) in colours  # the frame around who speaks
    lines = typed("people", str(talk), "--jobs", "1").stdout.splitlines()
    assert lines[0] == "talk: 2 people"
    assert "largest" in lines[1] and "active-speaker" in lines[2]
    (tmp_path / "x.mp4").write_bytes(b"no film")
    assert "failed:unreadable" in typed("people", str(tmp_path / "x.mp4"), "--jobs", "1").stdout
    with pytest.raises(ConfigError, match="nobody is seen"):
        typed("people", str(tmp_path / "x.mp4"), "--sheet", str(sheet), "--jobs", "1")
