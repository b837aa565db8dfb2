"""emo timeline: a long video divided, each segment answered for, files that others read, and going on."""

import csv
import json
import os
import re
import signal
import struct
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.cli.main import exit_code, main
from emo.clip import Clip
from emo.config.timeline import TimelineConfig
from emo.corpora.manifest import read_manifest
from emo.errors import ConfigError
from emo.pipeline.survey import survey
from emo.pipeline.timeline import divide
from emo.pipeline.timeline_files import subtitles, table
from emo.responsible import BEFORE_ANALYSIS
from emo.testing import SOUND_RATE, drawn_face, tone, write_clip

LABELS = ["happy", "sad"]
CUE = re.compile(r"(\d+)\n(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})\n(.+)\n")


def typed(*words):
    result = CliRunner().invoke(command, list(map(str, words)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A head on tiny hubert and mae features of six short clips."""
    folder = tmp_path_factory.mktemp("timeline")
    rows = []
    for number, split in enumerate(["train"] * 4 + ["val"] * 2):
        pictures = [drawn_face(160, 120, mouth=number / 8)] * 6
        write_clip(folder / f"{number}.mp4", pictures, tone(0.24, hertz=200 + 40 * number))
        rows.append({"path": f"{number}.mp4", "label": LABELS[number % 2], "split": split})
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest, cache = folder / "manifest.jsonl", folder / "features.zarr"
    typed("extract", manifest, "-e", "hubert,mae", "--preset", "tiny", "--jobs", "1", "--cache", cache)
    typed(
        *("train-head", "--manifest", manifest, "--features", "hubert,mae", "--cache", cache),
        *("--epochs", "1", "--labels", ",".join(LABELS), "--out", folder / "head"),
    )
    return folder


def timeline(place, video, out, *words):
    return typed(
        *("timeline", video, "--model", place / "head", "--cache", place / "features.zarr"),
        *("--jobs", "1", "--out", out, *words),
    )


@pytest.fixture(scope="module")
def made(place, joined_film, tmp_path_factory):
    """The joined film's timeline: what was typed, and the folder."""
    out = tmp_path_factory.mktemp("out") / "talk"
    return timeline(place, joined_film.path, out, "--json"), out


def cues(text):
    """Cues of an SRT file, which must hold nothing else: number, start, end, words."""
    blocks = text.strip("\n").split("\n\n")
    found = []
    for block in blocks:
        number, *times, said = CUE.fullmatch(block + "\n").groups()
        hours = [int(value) for value in times]
        start, end = (
            hours[at] * 3600 + hours[at + 1] * 60 + hours[at + 2] + hours[at + 3] / 1000 for at in (0, 4)
        )
        found.append((int(number), start, end, said))
    return found


def test_every_segment_has_a_label_and_the_segments_are_those_of_the_film(made, joined_film):
    result, out = made
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert {name: value for name, value in told.items() if name != "out"} == json.loads(
        (out / "timeline.json").read_text()
    )
    rows = told["segments"]
    assert all(row["status"] == "ok" and row["label"] in LABELS for row in rows)
    assert all(abs(sum(row["probabilities"].values()) - 1) < 1e-4 for row in rows)
    assert told["shots"] == pytest.approx(joined_film.cuts, abs=0.04)
    starts = [row["start"] for row in rows]
    for moment in (*joined_film.cuts, *(start for start, _ in joined_film.pauses)):
        assert min(abs(moment - start) for start in starts) < 0.3, (moment, starts)
    assert [row["start"] for row in rows[1:]] == [row["end"] for row in rows[:-1]]
    assert rows[-1]["end"] == pytest.approx(joined_film.seconds, abs=0.1)


def test_the_table_the_subtitles_the_manifest_and_the_picture_say_the_same(made):
    _, out = made
    rows = json.loads((out / "timeline.json").read_text())["segments"]
    with (out / "timeline.csv").open(newline="", encoding="utf-8") as stream:
        cells = list(csv.DictReader(stream))
    for row, cell in zip(rows, cells, strict=True):
        assert (float(cell["start"]), float(cell["end"]), cell["label"]) == (
            row["start"], row["end"], row["label"],
        )  # fmt: skip
        assert float(cell[f"p({row['label']})"]) == row["confidence"]
        assert cell["features"].split() == ["hubert", "mae"]
    found = cues((out / "timeline.srt").read_text())
    assert [cue[0] for cue in found] == list(range(1, len(rows) + 1))
    assert all(first < last for _, first, last, _ in found)
    assert all(before[2] <= after[1] for before, after in pairwise(found))
    assert [cue[3] for cue in found] == [f"{row['label']} {row['confidence']:.2f}" for row in rows]
    clips = read_manifest(out / "segments.jsonl")
    assert [(clip.clip_id, clip.start, clip.end) for clip in clips] == [
        (row["clip_id"], row["start"], row["end"]) for row in rows
    ]
    assert len({clip.group for clip in clips}) == 1
    with Image.open(out / "timeline.png") as picture:
        assert picture.width > 1000
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50


def test_it_is_said_what_labels_are_before_anything_is_looked_at(made, place, joined_film):
    said = made[0].stderr
    assert said.index(BEFORE_ANALYSIS[0]) < said.index("look and listen")
    assert "Art. 5(1)(f)" in said
    quiet = typed("-q", "timeline", joined_film.path, "--dry-run", "--jobs", "1")
    assert quiet.stderr == ""


def test_a_second_run_reads_and_answers_nothing_again(made, place, joined_film):
    _, out = made
    before = {name: (out / name).read_bytes() for name in ("survey.jsonl", "answers.jsonl", "timeline.json")}
    again = timeline(place, joined_film.path, out)
    assert {name: (out / name).read_bytes() for name in before} == before
    assert "extract:" not in again.stderr
    assert "answers:" not in again.stderr


def test_stopped_by_ctrl_c_it_ends_with_75_and_goes_on(made, place, joined_film, tmp_path):
    out = tmp_path / "again"
    words = ["timeline", joined_film.path, "--model", place / "head", "--cache", place / "features.zarr"]
    words += ["--jobs", "1", "--out", out, "--set", "stretch=5"]
    kept = out / "survey.jsonl"

    def interrupt():
        while not kept.exists() or not kept.stat().st_size:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    thread.join()
    assert ended.value.code == 75
    assert not (out / "timeline.json").exists()
    first = kept.read_text()
    with kept.open("a") as stream:
        stream.write('["torn')
    assert typed(*words).exit_code == 0
    assert kept.read_text().startswith(first)
    numbers = [json.loads(line)[1] for line in kept.read_text().splitlines() if line.endswith("]")]
    assert sorted(numbers) == [0, 1, 2, 3]
    told, whole = (json.loads((folder / "timeline.json").read_text()) for folder in (out, made[1]))
    assert told["segments"] == whole["segments"]


def test_a_video_read_in_stretches_has_the_course_that_it_has_when_read_at_once(joined_film):
    clip = Clip(clip_id="talk", path=joined_film.path)
    whole, parts = (survey(clip, TimelineConfig(stretch=length), jobs=1) for length in (60.0, 5.0))
    assert parts.seconds == whole.seconds
    for name in ("levels", "changes"):
        (values, times), (others, moments) = getattr(whole, name), getattr(parts, name)
        np.testing.assert_allclose(moments, times, atol=1e-6)
        np.testing.assert_allclose(others, values, atol=1e-3)


def recording(path, pattern, spoilt_at=None):
    """A float wave file of stretches (seconds, loud or not), with a NaN at a moment."""
    sound = np.concatenate([tone(length) * (1.0 if loud else 1e-4) for length, loud in pattern])
    if spoilt_at is not None:
        sound[int(spoilt_at * SOUND_RATE)] = np.nan
    data = sound.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, SOUND_RATE, 4 * SOUND_RATE, 4, 32)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    return path


def test_a_segment_that_fails_is_recorded_and_the_others_are_answered(place, tmp_path):
    video = recording(tmp_path / "call.wav", [(2, True), (2, False), (2, True)], spoilt_at=5.0)
    result = timeline(place, video, tmp_path / "out", "--json")
    assert result.exit_code == 3
    rows = json.loads(result.stdout)["segments"]
    assert [row["status"] for row in rows] == ["ok", "ok", "failed:nonfinite"]
    assert [row["label"] is None for row in rows] == [False, False, True]
    assert "not finite" in rows[2]["problems"]["hubert"]
    assert rows[0]["missing"] == ["mae"]
    assert cues((tmp_path / "out" / "timeline.srt").read_text())[2][3] == "failed:nonfinite"
    assert open_cache(place / "features.zarr")["hubert"].info(rows[2]["clip_id"]).status == "failed:nonfinite"


def test_without_pictures_it_is_divided_by_voice_and_without_sound_by_shots(joined_film, tmp_path):
    call = recording(tmp_path / "call.wav", [(2, True), (2, False), (2, True)])
    heard = typed("timeline", call, "--dry-run", "--json", "--jobs", "1")
    assert "divided where a voice begins and ends alone" in heard.stderr
    rows = json.loads(heard.stdout)["segments"]
    assert [row["end"] for row in rows] == pytest.approx([2, 4, 6], abs=0.1)
    mute = write_clip(tmp_path / "mute.mp4", joined_film.pictures, None)
    seen = typed("timeline", mute, "--dry-run", "--json", "--jobs", "1")
    assert "divided at shots alone" in seen.stderr
    rows = json.loads(seen.stdout)["segments"]
    assert [row["end"] for row in rows] == pytest.approx([*joined_film.cuts, joined_film.seconds], abs=0.05)
    assert {row["voice"] for row in rows} == {0.0}


def test_a_recording_with_one_picture_for_all_of_it_is_divided_by_voice(joined_film, tmp_path):
    still = write_clip(tmp_path / "still.mp4", joined_film.pictures[:1], joined_film.sound)
    whole = divide(still, jobs=1)
    assert len(whole.survey.changes[0]) == 1 and whole.cuts == () and len(whole.segments) > 1
    assert whole.survey.seconds == pytest.approx(joined_film.seconds, abs=0.1)


def test_a_file_that_stops_early_is_divided_as_far_as_it_goes(joined_film, tmp_path):
    whole = write_clip(tmp_path / "whole.mkv", joined_film.pictures, joined_film.sound)
    short = tmp_path / "short.mkv"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    result = typed("timeline", short, "--dry-run", "--json", "--jobs", "1", "--set", "stretch=5")
    assert "though its header says 16.0 s" in result.stderr
    assert 4 < json.loads(result.stdout)["segments"][-1]["end"] < 12


def test_what_can_have_no_timeline_is_told_and_nothing_is_written(place, joined_film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no film")
    write_clip(tmp_path / "short.mp4", [drawn_face()] * 5, None)
    cases = {
        ("timeline", "gone.mp4"): "does not exist",
        ("timeline", "notes.txt"): "failed:unreadable",
        ("timeline", "short.mp4"): "a segment is 1 s at least",
        ("timeline", joined_film.path, "--set", "longest=1"): "twice the shortest",
        ("timeline", joined_film.path, "--set", "longst=5"): "did you mean `longest`",
        ("timeline", joined_film.path, "--set", "most_seconds=10"): "the limit is 10 s",
    }
    for words, said in cases.items():
        with pytest.raises(ConfigError, match=said) as wrong:
            typed(*words, "--dry-run", "--jobs", "1")
        assert exit_code(wrong.value) == 2
    assert typed("timeline", joined_film.path).exit_code == 2
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "short.mp4"}


def test_a_timeline_of_another_model_is_not_mixed_with_what_is_there(made, place, joined_film, tmp_path):
    _, out = made
    with pytest.raises(ConfigError, match="of other weights, settings or features"):
        timeline(place, joined_film.path, out, "--abstain-below", "0.9")


def test_cells_that_a_spreadsheet_would_run_are_quoted_and_a_cue_is_one_line():
    row = {
        "number": 1, "start": 0.0, "end": 3661.5, "shot": 1, "voice": 0.5, "status": "ok", "label": "=1+1\nx",
        "confidence": 0.5, "abstained": False, "text": "@SUM(A1)", "features": ["-a"], "missing": [],
        "probabilities": {"=1+1\nx": 0.5, "+b": 0.5},
    }  # fmt: skip
    told = {"segments": [row]}
    (cells,) = csv.DictReader(table(told).splitlines(keepends=True))
    assert cells["label"] == "'=1+1\nx"
    assert (cells["text"], cells["features"]) == ("'@SUM(A1)", "'-a")
    assert not any(str(cell).startswith(("=", "+", "@")) for cell in cells.values())
    assert cues(subtitles(told)) == [(1, 0.0, 3661.5, "=1+1 x 0.50")]
