"""Submission files of MER2023 to MER2026 read back as what was answered; nothing is made up."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.cli.main import emo
from emo.errors import ConfigError
from emo.evaluation.submissions import TRACKS, Submission, read_submission, write_submission
from emo.labels import MER2023

WORD = st.text("abcdefghij éß情绪-", min_size=1, max_size=12).map(str.strip).filter(bool)
VALUES = {
    "discrete": st.sampled_from(MER2023),
    "valence": st.floats(-5, 5),
    "openset": st.lists(WORD, min_size=1, max_size=4).map(tuple),
    "reason": st.text(min_size=1, max_size=40)
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: text.strip() and not any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in text)),
}


@pytest.mark.parametrize("track", TRACKS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_submission_reads_back_as_it_was_written(tmp_path_factory, track, data):
    clips = data.draw(st.lists(st.integers(0, 99), min_size=1, max_size=5, unique=True))
    kinds = TRACKS[track].kinds
    answers = {f"sample_{clip:08d}": tuple(data.draw(VALUES[kind]) for kind in kinds) for clip in clips}
    path = tmp_path_factory.mktemp("s") / f"ours{TRACKS[track].suffix}"
    submission = Submission(track, answers)
    write_submission(path, submission)
    assert read_submission(track, path) == submission
    before = path.read_bytes()
    write_submission(path, read_submission(track, path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("track", TRACKS)
def test_what_each_track_takes_is_what_its_own_reader_finds(tmp_path, track):
    """Read as the challenges read it: by column, word lists cut at quotes and commas."""
    told = {"discrete": "worried", "valence": -0.25, "openset": ("at ease", "glad")}
    told["reason"] = 'He said "no".'
    kinds = TRACKS[track].kinds
    answers = {"samplenew3_00000001": tuple(told[kind] for kind in kinds)}
    path = write_submission(tmp_path / f"a{TRACKS[track].suffix}", Submission(track, answers))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as held:
            row = {"name": held["filenames"][0], "openset": held["fileitems"][0]}
    else:
        (row,) = csv.DictReader(path.open(encoding="utf-8", newline=""))
    assert list(row) == ["name", *kinds] and row["name"] == "samplenew3_00000001"
    if "openset" in kinds:
        inside = row["openset"].removeprefix("[").removesuffix("]")
        words = [word.strip() for word in inside.replace('"', "'").replace(",", "'").split("'")]
        assert [word for word in words if word] == ["at ease", "glad"]
    if "valence" in kinds:
        assert float(row["valence"]) == -0.25
    if "discrete" in kinds:
        assert row["discrete"] == "worried"
    if "reason" in kinds:
        assert row["reason"] == 'He said "no".'


def test_of_the_years_only_the_preferences_of_2026_have_no_file():
    assert {name.partition("-")[0] for name in TRACKS} == {"mer2023", "mer2024", "mer2025", "mer2026"}
    tracks = {"mer2023": "multi noise semi", "mer2024": "semi noise ov", "mer2025": "track1 track2 track3"}
    tracks |= {"mer2026": "track1 track2"}
    assert set(TRACKS) == {f"{year}-{track}" for year, names in tracks.items() for track in names.split()}


HOSTILE = [
    "=1+1",
    "a\rb",
    "a\r\nb",
    "line\nline",
    'quote " and , comma',
    "nul \0 inside",
    "nul at the end\0",
    "\ud800",
    "don't",
    "[sad]",
    "']; --",
    "情绪 \u202e right to left",
    "a\u2028b",
    "x" * 200_000,
    "$(touch pwned)",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:20]) for text in HOSTILE])
@pytest.mark.parametrize("track", ["mer2024-ov", "mer2025-track2", "mer2025-track3"])
def test_hostile_answers_read_back_or_nothing_is_written(tmp_path, track, text):
    value = {"reason": text} if "reason" in TRACKS[track].kinds else {"openset": ["calm", text]}
    given = answers(tmp_path / "a.jsonl", {"clip_id": "x, 'y'", **value}, {"clip_id": "z", **value})
    out = tmp_path / f"s{TRACKS[track].suffix}"
    out.write_bytes(b"what was there before")
    try:
        run(given, "--track", track, "--out", out)
    except ConfigError as error:
        assert "is not written" in str(error) or "cannot be submitted" in str(error)
        assert out.read_bytes() == b"what was there before"
    else:
        found = read_submission(track, out).answers
        assert list(found) == ["x, 'y'", "z"]
        assert found["z"] == ((text.strip(),) if "reason" in value else (("calm", text.strip()),))
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", out.name}


def run(*arguments):
    done = CliRunner().invoke(emo, ["submit", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def answers(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_csv_has_the_columns_of_the_challenge(tmp_path):
    given = answers(tmp_path / "a.jsonl", {"clip_id": "sample_00000001", "label": "happy", "valence": 1.5})
    run(given, "--track", "mer2023-multi", "--out", tmp_path / "s.csv")
    assert list(csv.reader((tmp_path / "s.csv").open())) == [
        ["name", "discrete", "valence"],
        ["sample_00000001", "happy", "1.5"],
    ]


def test_the_npz_has_text_arrays_that_need_no_pickle(tmp_path):
    given = answers(tmp_path / "a.jsonl", {"clip_id": "x", "openset": ["happy", "calm"]})
    run(given, "--track", "mer2025-track2", "--out", tmp_path / "s-openset.npz")
    with np.load(tmp_path / "s-openset.npz", allow_pickle=False) as arrays:
        assert arrays["filenames"].tolist() == ["x"] and arrays["fileitems"].tolist() == ["['happy', 'calm']"]


def test_an_answer_without_a_label_stops_or_gets_the_label_that_was_named(tmp_path):
    given = answers(tmp_path / "a.jsonl", {"clip_id": "x", "label": None}, {"clip_id": "y", "label": "sad"})
    arguments = [given, "--track", "mer2026-track1", "--out", tmp_path / "s.csv"]
    with pytest.raises(ConfigError, match=r"1 answers cannot be submitted.*'x' \(discrete\).*--missing"):
        run(*arguments)
    assert not (tmp_path / "s.csv").exists()
    assert json.loads(run(*arguments, "--missing", "neutral", "--json"))["filled"] == 1


def test_only_candidates_are_submitted_and_each_of_them(tmp_path):
    given = answers(tmp_path / "a.jsonl", *({"clip_id": clip, "label": "sad"} for clip in "xyz"))
    (tmp_path / "c.csv").write_text("name\nz\nx\n")
    arguments = [given, "--track", "mer2025-track1", "--candidates", tmp_path / "c.csv"]
    run(*arguments, "--out", tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == "name,discrete\nz,sad\nx,sad\n"
    (tmp_path / "c.csv").write_text("name\nz\nnew\n")
    with pytest.raises(ConfigError, match="'new'"):
        run(*arguments, "--out", tmp_path / "s.csv")


def test_files_that_would_not_be_taken_are_refused(tmp_path):
    given = answers(tmp_path / "a.jsonl", {"clip_id": "x", "label": "sad", "openset": ["don't care"]})
    with pytest.raises(ConfigError, match=r"ends in -openset\.npz"):
        run(given, "--track", "mer2026-track2", "--out", tmp_path / "s.npz")
    with pytest.raises(ConfigError, match="would not read back"):
        run(given, "--track", "mer2026-track2", "--out", tmp_path / "s-openset.npz")
    assert not list(tmp_path.glob("s*"))
    with pytest.raises(ConfigError, match="Known: mer2023-multi"):
        run(given, "--track", "mer2022", "--out", tmp_path / "s.csv")
    with pytest.raises(ConfigError, match="asks for no label"):
        run(given, "--track", "mer2024-ov", "--missing", "sad", "--out", tmp_path / "s.csv")
