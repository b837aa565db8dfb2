"""A rendered corpus is complete, repeatable and can be taken up again."""

import csv
import hashlib
import json

import av
import numpy as np
import pytest
from PIL import Image

from emo.config.corpus import CorpusConfig
from emo.corpora import clips_in, write_manifest
from emo.corpora.merr_files import COARSE_STEM as COARSE
from emo.corpora.merr_files import FINE_STEM as FINE
from emo.corpora.rendered.corpus import render_corpus
from emo.errors import ConfigError
from emo.labels import MER2023

CONFIG = CorpusConfig(clips=6, seed=3, width=160, height=120)


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "clips"
    ids = list(render_corpus(folder, CONFIG, jobs=1))
    assert ids == [f"sample_{number:08d}" for number in range(6)]
    return folder


@pytest.fixture(scope="module")
def truth(corpus):
    rows = [json.loads(line) for line in (corpus / "truth.jsonl").read_text().splitlines()]
    return {row["clip_id"]: row for row in rows}


def test_the_manifest_names_clips_that_are_there(corpus, truth):
    clips, ignored = clips_in(corpus)
    assert len(clips) == 6 and ignored == 0
    for clip in clips:
        assert clip.path.is_file() and clip.au_path.is_file()
        assert clip.text and clip.label in MER2023 and clip.dataset == "rendered"
        assert (clip.label, clip.speaker, clip.split) == tuple(
            truth[clip.clip_id][name] for name in ("label", "speaker", "split")
        )


def test_clips_are_h264_and_aac_of_the_planned_length(corpus, truth):
    for clip in clips_in(corpus)[0]:
        with av.open(str(clip.path)) as film:
            picture, sound = film.streams.video[0], film.streams.audio[0]
            assert (picture.codec_context.name, sound.codec_context.name) == ("h264", "aac")
            assert (picture.width, picture.height, picture.average_rate) == (160, 120, 25)
            assert (sound.rate, sound.channels) == (16_000, 1)
            frames = sum(1 for _ in film.decode(picture))
        assert frames == round(truth[clip.clip_id]["duration"] * 25)


def test_a_second_rendering_has_the_same_bytes(corpus, tmp_path):
    list(render_corpus(tmp_path / "again", CONFIG, jobs=2))
    assert digests(tmp_path / "again") == digests(corpus)


def test_an_interrupted_corpus_is_completed_and_finished_clips_are_kept(corpus, tmp_path):
    folder = tmp_path / "cut"
    for number, _ in enumerate(render_corpus(folder, CONFIG, jobs=1)):
        if number == 2:
            break
    assert not (folder / "manifest.jsonl").exists()
    kept = sorted(folder.rglob("*.mp4"))[0]
    before = kept.stat().st_mtime_ns
    list(render_corpus(folder, CONFIG, jobs=1))
    assert kept.stat().st_mtime_ns == before
    assert digests(folder) == digests(corpus)


def test_other_settings_are_refused_with_what_differs(corpus):
    with pytest.raises(ConfigError, match=r"seed was 3 and is 4"):
        list(render_corpus(corpus, CorpusConfig(clips=6, seed=4, width=160, height=120), jobs=1))


def test_a_folder_with_another_manifest_is_left_alone(tmp_path):
    write_manifest(tmp_path / "manifest.jsonl", [])
    with pytest.raises(ConfigError, match="manifest of other clips"):
        list(render_corpus(tmp_path, CONFIG, jobs=1))


def test_impossible_settings_leave_no_folder(tmp_path):
    with pytest.raises(ConfigError):
        list(render_corpus(tmp_path / "none", CorpusConfig(labels=("bored", "sad")), jobs=1))
    assert not (tmp_path / "none").exists()


def test_action_units_are_written_as_openface_does(corpus, truth):
    for clip in clips_in(corpus)[0]:
        rows = list(csv.DictReader(clip.au_path.read_text().splitlines()))
        intensities = [name for name in rows[0] if name.endswith("_r")]
        presences = [name for name in rows[0] if name.endswith("_c")]
        assert (len(intensities), len(presences)) == (17, 18)
        assert [int(row["frame"]) for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) == round(truth[clip.clip_id]["duration"] * 25)
        assert float(rows[1]["timestamp"]) == pytest.approx(0.04)
        for row in rows:
            assert all(0 <= float(row[name]) <= 5 for name in intensities)
            assert all((row[f"{name[:-2]}_c"] == "1") == (float(row[name]) >= 1.0) for name in intensities)


def test_planted_units_stand_in_the_table_at_the_peak(corpus, truth):
    for clip in clips_in(corpus)[0]:
        row = list(csv.DictReader(clip.au_path.read_text().splitlines()))[truth[clip.clip_id]["peak_frame"]]
        for movement in truth[clip.clip_id]["movements"]:
            if not movement["idle"]:
                assert float(row[f"AU{movement['unit']:02d}_r"]) >= 0.85 * 5 * movement["intensity"] - 0.02


def test_merr_files_have_the_official_keys(corpus, truth):
    coarse, fine = read_json(corpus / f"{COARSE}.json"), read_json(corpus / f"{FINE}.json")
    keys = {
        "AU_list",
        "visual_prior_list",
        "audio_prior_list",
        "peak_index",
        "peak_AU_list",
        "pseu_emotion",
        "caption",
    }
    assert set(coarse) == set(fine) == set(truth)
    for clip_id, entry in coarse.items():
        assert set(entry) == keys and set(fine[clip_id]) == keys | {"text", "smp_reason_caption"}
        assert isinstance(entry["audio_prior_list"], str)
        assert int(entry["peak_index"]) == truth[clip_id]["peak_frame"]
        assert entry["pseu_emotion"] == truth[clip_id]["label"]


def test_list_files_give_frames_and_labels(corpus, truth):
    for name, columns in ((COARSE, 3), (FINE, 4)):
        for line in (corpus / f"{name}.txt").read_text().splitlines():
            clip_id, frames, label, *rest = line.split(" ")
            assert len(rest) == columns - 3
            assert int(frames) == round(truth[clip_id]["duration"] * 25)
            assert label == truth[clip_id]["label"]


def test_speakers_declare_their_groups(corpus, truth):
    speakers = read_json(corpus / "speakers.json")
    assert set(speakers) == {row["speaker"] for row in truth.values()}
    for record in speakers.values():
        assert 1 <= record["skin_group"] <= 7 and record["age_look"] and "pitch" in record["voice"]


def test_shares_are_stated(corpus, truth):
    shares = read_json(corpus / "corpus.json")["shares"]
    for name in ("label", "condition", "split"):
        counted = {value: sum(row[name] == value for row in truth.values()) / 6 for value in shares[name]}
        assert counted == pytest.approx(shares[name], abs=1e-3)


def test_the_contact_sheet_shows_pictures(corpus):
    sheet = np.asarray(Image.open(corpus / "contact_sheet.png").convert("RGB"))
    assert sheet.shape[1] > 1000 and sheet.reshape(-1, 3).std(axis=0).min() > 20
