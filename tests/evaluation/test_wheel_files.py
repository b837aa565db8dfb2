"""The wheels' vocabulary: right bytes or none, fetched on request only, never shipped."""

from pathlib import Path

import pytest

from emo.errors import ConfigError, MissingDependency
from emo.evaluation.wheel_files import VERSIONS, fetch_vocabulary, find_vocabulary
from emo.evaluation.wheels import load_wheels

ROOT = Path(__file__).parents[2]


def served(wheel_data, version):
    """What the repository would answer, from the files on this machine."""
    asked = []

    def read(address):
        asked.append(address)
        return (wheel_data / version.removeprefix("ew-") / address.rpartition("/")[2]).read_bytes()

    return read, asked


def test_fetching_keeps_what_is_right_and_asks_for_the_rest_at_the_pinned_commit(tmp_path, wheel_data):
    read, asked = served(wheel_data, "ew-2026")
    fetch_vocabulary("ew-2026", tmp_path, read)
    assert len(asked) == 7
    assert all(VERSIONS["ew-2026"].commit in address for address in asked)
    (tmp_path / "wheel3.xlsx").write_bytes(b"cut")
    fetch_vocabulary("ew-2026", tmp_path, read)
    assert len(asked) == 8
    assert load_wheels("ew-2026", tmp_path).sector("fear", 0) == "scared"


def test_other_bytes_than_the_pinned_ones_are_not_kept(tmp_path):
    with pytest.raises(ConfigError, match="not those of ew-2025"):
        fetch_vocabulary("ew-2025", tmp_path, lambda address: b"<html>hello</html>")
    assert not list(tmp_path.iterdir())


def test_the_files_of_another_version_are_told_by_name(wheel_data):
    with pytest.raises(ConfigError, match=r"format\.csv is that of ew-2026: not ew-2025"):
        find_vocabulary("ew-2025", wheel_data / "2026")


def test_the_two_versions_differ_on_fear(wheel_data):
    places = [load_wheels(version, wheel_data).sector("fear", 1) for version in VERSIONS]
    assert places == ["happy", "fearful"]


def test_without_the_files_the_command_that_fetches_them_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingDependency, match="--fetch-wheel"):
        find_vocabulary("ew-2026")
    with pytest.raises(ConfigError, match=r"no format\.csv"):
        find_vocabulary("ew-2026", tmp_path)


def test_the_repository_holds_no_vocabulary():
    assert not [path for path in ROOT.glob("[a-z]*/**/*.xlsx") if ".venv" not in path.parts]
