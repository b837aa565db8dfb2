"""clips.json of a run that cannot be read is told of: nobody can say whom that run has seen."""

import pytest

from emo.errors import CheckpointError
from emo.run_clips import NAME, read_run_clips, runs_with, write_run_clips


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"clips": []}', '{"clips": {"train": 3}}', "\udcff"])
def test_a_damaged_file_is_named(tmp_path, text):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    write_run_clips(tmp_path / "a", {"train": ["x"]})
    file = tmp_path / "b" / NAME
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match="cannot be read") as told:
        list(runs_with(tmp_path, ["x"]))
    assert str(file) in str(told.value)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_run_clips(tmp_path / "b" / "coarse")
