"""emo predict reads media as emo extract does: which faces, what a file may claim, where it may lie."""

import json

import pytest
from click.testing import CliRunner

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
