"""emo train-head --augment, typed: drawn from in training, told, and never what a score rests on."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.errors import ConfigError
from emo.testing import tone, write_clip

SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Ten sounds of two labels in `all.jsonl`, their features, and noisy ones of the training clips alone."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = []
    for number, split in enumerate(SPLITS):
        label = ("happy", "sad")[number % 2]
        hertz = {"happy": 440.0, "sad": 150.0}[label] + 5 * number
        write_clip(folder / f"{number}.wav", None, tone(0.4, hertz=hertz))
        rows.append({"path": f"{number}.wav", "label": label, "split": split, "speaker": str(number)})
    for name, some in (("all", rows), ("train", rows[:6])):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, some)))
    for words in (["all.jsonl"], ["train.jsonl", "--views", "noise@10dB"]):
        cache = ["--encoder", "hubert", "--preset", "tiny", "--cache", str(folder / "f.zarr"), "--jobs", "1"]
        ran = CliRunner().invoke(command, ["extract", str(folder / words[0]), *words[1:], *cache])
        assert ran.exit_code == 0, (ran.output, ran.exception)
    return folder


def trained(place, out, *more, cache="f.zarr"):
    where = ["--manifest", str(place / "all.jsonl"), "--cache", str(place / cache), "--out", str(out)]
    words = ["train-head", *where, "--features", "hubert", "--labels", "happy,sad", "--epochs", "4", "--json"]
    return CliRunner().invoke(command, [*words, *more])


def weights(out):
    from safetensors.numpy import load_file

    (path,) = out.glob("*.safetensors")
    return load_file(path)


def test_training_draws_from_the_noisy_features_of_training_clips_alone(place, tmp_path):
    plain, noisy = (
        trained(place, tmp_path / name, *more) for name, more in (("p", []), ("n", ["--augment"]))
    )
    assert (plain.exit_code, noisy.exit_code) == (0, 0), (plain.exception, noisy.exception)
    told = json.loads(noisy.stdout)
    assert told["augmented"] == {"hubert": ["tiny+noise@10dB"]}
    assert "hubert: training also drew from tiny+noise@10dB" in noisy.stderr
    assert json.loads(plain.stdout)["augmented"] == {}
    # clips that are scored have no noisy features at all, so no score can rest on one
    (space,) = open_cache(place / "f.zarr").augmented(open_cache(place / "f.zarr").space("hubert"))
    assert sorted(space) == sorted(map(str, range(6)))
    first, second = weights(tmp_path / "p"), weights(tmp_path / "n")
    assert any(not np.array_equal(first[name], second[name]) for name in first)


def test_a_cache_without_augmented_views_names_the_command_that_makes_them(place, tmp_path):
    extract = ["extract", str(place / "all.jsonl"), "--encoder", "hubert", "--preset", "tiny", "--jobs", "1"]
    assert CliRunner().invoke(command, [*extract, "--cache", str(place / "plain.zarr")]).exit_code == 0
    ran = trained(place, tmp_path / "out", "--augment", cache="plain.zarr")
    assert isinstance(ran.exception, ConfigError)
    assert "emo extract --views" in str(ran.exception)
    assert not (tmp_path / "out").exists()
