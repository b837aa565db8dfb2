"""`emo config` and `--set`: what is in force, and what may be written."""

import json
from dataclasses import asdict

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.config.workspace import Workspace


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*words):
    result = CliRunner().invoke(emo, list(words))
    return result.stdout if result.exit_code == 0 else str(result.exception)


def test_a_setting_of_this_call_goes_over_the_file_and_the_file_over_the_default(folder):
    (folder / "emo.yaml").write_text("seed: 7\ncache: mine.zarr\n")
    shown = json.loads(typed("--set", "seed=3", "config", "show", "--json"))
    assert shown["file"] == "emo.yaml"
    assert (shown["settings"]["seed"], shown["settings"]["cache"]) == (3, "mine.zarr")
    lines = {line.split(":")[0]: line.rpartition("# ")[2] for line in typed("config", "show").splitlines()}
    assert (lines["seed"], lines["cache"], lines["preset"]) == ("emo.yaml", "emo.yaml", "default")


def test_a_setting_of_this_call_reaches_the_verb(folder):
    assert "there is no feature cache at other.zarr" in typed("--set", "cache=other.zarr", "cache", "info")


@pytest.mark.parametrize(
    ("assignment", "told"),
    [("seed", "KEY=VALUE"), ("sead=1", "did you mean `seed`"), ("seed=many", "valid integer")],
)
def test_a_setting_that_is_none_is_told(assignment, told):
    assert told in typed("--set", assignment, "config", "show")


def test_the_schema_takes_what_the_loader_takes_and_says_what_each_key_is():
    schema = json.loads(typed("config", "schema"))
    assert schema["properties"]["cache"]["description"] == "The feature store."
    assert schema["properties"].keys() == asdict(Workspace()).keys()
    assert schema["properties"]["preset"]["enum"] == ["paper", "base", "tiny"]
    assert schema["additionalProperties"] is False
