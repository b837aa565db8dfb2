"""emo.yaml: strict loading, defaults for the verbs, and the file `emo init` writes."""

import pytest
import yaml
from click.testing import CliRunner

from emo.cli.config import default_map, load_workspace
from emo.cli.init import commented_yaml
from emo.cli.main import emo
from emo.config.workspace import Workspace
from emo.errors import ConfigError


def write(tmp_path, text):
    path = tmp_path / "emo.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", ["", commented_yaml()])
def test_a_file_that_sets_nothing_gives_the_defaults(tmp_path, text):
    assert load_workspace(write(tmp_path, text)) == Workspace()


def test_all_mistakes_are_told_at_once_with_the_near_miss(tmp_path):
    with pytest.raises(ConfigError) as told:
        load_workspace(write(tmp_path, "cahce: x\nseed: many\npreset: huge\n"))
    text = str(told.value)
    assert "did you mean `cache`" in text
    assert "seed" in text
    assert "preset" in text


def test_what_init_writes_is_the_defaults_once_uncommented(tmp_path):
    bare = "\n".join(
        line.removeprefix("# ")
        for line in commented_yaml().splitlines()
        if ": " in line and line.startswith("# ")
    )
    known = yaml.safe_load(_settings(bare))
    path = write(tmp_path, yaml.safe_dump(known))
    assert load_workspace(path) == Workspace()


def _settings(text):
    names = set(Workspace.__dataclass_fields__)
    return "\n".join(line for line in text.splitlines() if line.split(":")[0] in names)


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path):
    workspace = load_workspace(write(tmp_path, "clips: films\ncache: f.zarr\n"))
    defaults = default_map(workspace, tmp_path)
    assert defaults["extract"]["clips"] == str(tmp_path / "films")
    assert defaults["cache"]["verify"]["cache"] == str(tmp_path / "f.zarr")


def test_init_refuses_to_write_over_a_file(tmp_path):
    runner = CliRunner()
    assert runner.invoke(emo, ["init", str(tmp_path)]).exit_code == 0
    again = runner.invoke(emo, ["init", str(tmp_path)])
    assert isinstance(again.exception, ConfigError)
    assert "--force" in str(again.exception)
