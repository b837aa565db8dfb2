"""Hashed speakers: the same one for the same person, of no use without the key."""

import stat

import pytest
from click.testing import CliRunner

from emo.cli.main import emo as command
from emo.corpora import read_manifest
from emo.corpora.pseudonyms import load_key, pseudonym
from emo.errors import ConfigError
from emo.testing import tone, write_clip


@pytest.fixture
def read(tmp_path):
    write_clip(tmp_path / "a.wav", None, tone(0.2))
    rows = ["clip_id,path,speaker", "1,a.wav,anna", "2,a.wav,anna", "3,a.wav,bo", "4,a.wav,"]
    (tmp_path / "own.csv").write_text("\n".join(rows) + "\n")

    def run(out, *more):
        words = ["corpus", "read", "own", tmp_path / "own.csv", "--out", tmp_path / out, *more]
        done = CliRunner().invoke(command, [str(word) for word in words])
        assert done.exit_code == 0, (done.output, done.exception)
        return [clip.speaker for clip in read_manifest(tmp_path / out)]

    return run


def test_speakers_are_told_apart_and_not_named(read, tmp_path):
    first = read("m.csv", "--hash-speakers", tmp_path / "key")
    assert first[0] == first[1] != first[2] and not first[3]
    assert "anna" not in (tmp_path / "m.csv").read_text()
    assert read("again.csv", "--hash-speakers", tmp_path / "key") == first
    assert read("other.csv", "--hash-speakers", tmp_path / "key2")[0] != first[0]
    assert read("plain.csv")[0] == "anna"


def test_only_its_owner_reads_the_key_and_what_is_none_is_refused(tmp_path):
    key = load_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert load_key(tmp_path / "key") == key and len(key) == 32
    assert pseudonym(key, "a", "bc") != pseudonym(key, "ab", "c")
    for text in ("", "no key", "ab"):
        (tmp_path / "wrong").write_text(text)
        with pytest.raises(ConfigError, match="Name another file"):
            load_key(tmp_path / "wrong")
