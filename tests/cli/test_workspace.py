"""emo.yaml: strict loading, defaults for the verbs, and the file `emo init` writes."""

from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

import emo.cache as cache_room
from emo.cli.config import default_map, load_workspace
from emo.cli.init import commented_yaml
from emo.cli.main import emo
from emo.config.workspace import Workspace
from emo.errors import CacheMiss, ConfigError


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
    assert defaults["cache"]["verify"]["cache_path"] == str(tmp_path / "f.zarr")


def verbs_below(command, *names):
    """Every verb of a command with the words that call it."""
    if isinstance(command, click.Group):
        for name in command.list_commands(None):
            yield from verbs_below(command.get_command(None, name), *names, name)
    else:
        yield names, {parameter.name for parameter in command.params}


def test_the_workspace_s_cache_reaches_every_verb_that_has_one(tmp_path):
    defaults = default_map(load_workspace(write(tmp_path, "cache: f.zarr\n")), tmp_path)
    reached = 0
    for names, parameters in verbs_below(emo):
        found = defaults
        for name in names:
            found = found.get(name, {})
        for parameter in parameters & {"cache", "cache_path"}:
            assert found.get(parameter) == str(tmp_path / "f.zarr"), f"emo {' '.join(names)}"
            reached += 1
        assert set(found) <= parameters, f"emo {' '.join(names)} has no {set(found) - parameters}"
    assert reached > 30


@pytest.mark.parametrize(
    "words",
    [
        ("info",), ("ls",), ("rights",), ("card",), ("seal",), ("gc",),
        ("push", "s3://lab/features.zarr"),
        ("privacy", "--manifest", "m.jsonl"),
        ("map", "--encoder", "hubert", "--out", "map.png"),
        ("export", "npy", "out"),
    ],
)  # fmt: skip
def test_a_cache_verb_typed_in_a_workspace_opens_the_workspace_s_cache(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "cache: mine/f.zarr\n")
    (tmp_path / "m.jsonl").write_text('{"clip_id": "a", "path": "a.mp4", "speaker": "x"}\n')
    (tmp_path / "a.mp4").write_bytes(b"")
    opened = []

    def refuse(path, *_arguments, **_settings):
        opened.append(path)
        raise CacheMiss("not today")

    monkeypatch.setattr(cache_room, "open_cache", refuse)
    done = CliRunner().invoke(emo, ["cache", *words])
    assert isinstance(done.exception, CacheMiss), (done.output, done.exception)
    assert opened == [Path("mine/f.zarr")]


def test_init_refuses_to_write_over_a_file(tmp_path):
    runner = CliRunner()
    assert runner.invoke(emo, ["init", str(tmp_path)]).exit_code == 0
    again = runner.invoke(emo, ["init", str(tmp_path)])
    assert isinstance(again.exception, ConfigError)
    assert "--force" in str(again.exception)
