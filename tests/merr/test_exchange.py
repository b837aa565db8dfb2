"""Sets in the formats of other tools, out and in; what is wrong with a set is found."""

import csv
import json
import shutil

import pytest

from emo.corpora.merr_files import faults, read_entries
from emo.labels import MER2023, MERR


@pytest.fixture
def copied(built, tmp_path):
    return shutil.copytree(built, tmp_path / "copied")


def fine(out):
    return read_entries(out / "MERR_fine_grained.json")


def test_a_built_set_is_sound(built, typed):
    run = typed("check", built, "--labels", "mer2023", "--json")
    assert run.code == 0, run.said
    assert run.told["problems"] == []
    assert run.told["sets"]["fine"]["entries"] == len(fine(built))


def test_the_rendered_corpus_own_files_are_sound(corpus, typed):
    assert typed("check", corpus).code == 0


def test_what_is_wrong_with_a_set_is_told_clip_by_clip(copied, typed):
    found = fine(copied)
    first, second, third, fourth = list(found)[:4]
    found[first]["smp_reason_caption"] = "It looks so. So the emotion is contempt."
    del found[second]["caption"]
    found[third]["peak_index"] = 7
    found[fourth] = {**found[fourth], "pseu_emotion": "bored", "AU_list": "AU01", "more": 1}
    del found[list(found)[4]]
    (copied / "MERR_fine_grained.json").write_text(json.dumps(found))
    run = typed("check", copied, "--json")
    told = "\n".join(run.told["problems"])
    assert run.code == 3
    for words in (
        "its reason ends with contempt", "caption is missing", "peak_index is no text", "'bored'",
        "AU_list is no list", "more is unknown", "is not in MERR_fine_grained.json",
    ):  # fmt: skip
        assert words in told


def test_a_folder_without_a_set_is_a_usage_error(typed, tmp_path):
    assert "neither" in str(typed("check", tmp_path).error)
    assert "emo merr build" in str(typed("export", tmp_path, tmp_path / "x", "--to", "sharegpt").error)


def test_conversations_have_one_tag_a_video(built, corpus, typed, tmp_path):
    typed("export", built, tmp_path / "a.json", "--to", "sharegpt", "--manifest", corpus)
    typed("export", built, tmp_path / "a.jsonl", "--to", "sharegpt-jsonl", "--manifest", corpus)
    rows = json.loads((tmp_path / "a.json").read_text())
    assert rows == [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    for row, entry in zip(rows, fine(built).values(), strict=True):
        user, assistant = row["messages"]
        assert user["content"].count("<video>") == len(row["videos"]) == 1
        assert (tmp_path / row["videos"][0]).resolve().is_file()
        assert assistant["content"] == entry["smp_reason_caption"]


def test_the_coarse_set_is_captions_and_labels(built, corpus, typed, tmp_path):
    words = ("--to", "sharegpt", "--manifest", corpus, "--coarse", "--prefix", "videos/")
    typed("export", built, tmp_path / "c.json", *words)
    row = json.loads((tmp_path / "c.json").read_text())[0]
    entry = next(iter(read_entries(built / "MERR_coarse_grained.json").values()))
    answer = f"{entry['caption']} So the emotion is {entry['pseu_emotion']}."
    assert row["messages"][1]["content"] == answer
    assert row["videos"][0].startswith("videos/sample_")


def test_affectgpt_reads_its_two_tables(copied, typed, tmp_path):
    found = fine(copied)
    first = next(iter(found))
    found[first]["smp_reason_caption"] = "=cmd|' /C calc'!A0"
    (copied / "MERR_fine_grained.json").write_text(json.dumps(found))
    for form, column in (("openset", "openset"), ("reason", "reason")):
        typed("export", copied, tmp_path / f"{form}.csv", "--to", f"affectgpt-{form}")
        rows = list(csv.DictReader((tmp_path / f"{form}.csv").read_text().splitlines()))
        assert [row["name"] for row in rows] == list(found)
        assert all(row[column] for row in rows)
    assert rows[0]["reason"].startswith("'=")
    opened = list(csv.DictReader((tmp_path / "openset.csv").read_text().splitlines()))
    assert opened[0]["openset"] == f"['{found[first]['pseu_emotion']}']"


def mer_factory(folder, clip_id, **changes):
    data = {
        "source_path": "x.mp4",
        "chronological_emotion_peaks": ["Peak at 0.40s: happy (slight)", "Peak at 2.88s: angry (moderate)"],
        "overall_peak_frame_info": {
            "frame_number": 72, "timestamp": 2.88,
            "top_aus_intensities": {"Brow lowerer": 2.1, "Lid tightener": 1.4, "AU23_r": 1.0, "Other": 3.0},
        },
        "coarse_descriptions_at_peak": {
            "visual_expression": "Brow lowerer (intensity: 2.10), Lid tightener (intensity: 1.40)",
            "visual_objective": "A man at a desk.", "audio_analysis": "A loud voice.", "video_content": "",
        },
        "final_summary": "He leans forward. Thus the emotion is: angry",
        **changes,
    }  # fmt: skip
    place = folder / clip_id
    place.mkdir(parents=True)
    (place / f"{clip_id}_merr_data.json").write_text(json.dumps(data))


def test_mer_factory_becomes_merr_files(typed, tmp_path):
    source, out = tmp_path / "output", tmp_path / "out"
    mer_factory(source, "one")
    mer_factory(source, "two", ground_truth_label="Sad", final_summary="")
    mer_factory(source, "three", chronological_emotion_peaks=["neutral"])
    mer_factory(source, "four", chronological_emotion_peaks=["Peak at 1s: bored (strong)"])
    (source / "five_merr_data.json").write_text("{")
    run = typed("import", source, "--from", "mer-factory", "--out", out, "--json")
    assert run.code == 3
    assert {line.split("_")[0] for line in run.told["problems"]} == {"four", "five"}
    coarse = read_entries(out / "MERR_coarse_grained.json")
    assert {name: entry["pseu_emotion"] for name, entry in coarse.items()} == {
        "one": "angry", "two": "sad", "three": "neutral",
    }  # fmt: skip
    assert coarse["one"]["peak_AU_list"] == ["AU04", "AU07", "AU23"]
    assert coarse["one"]["peak_index"] == "72"
    assert coarse["one"]["caption"].startswith("A man at a desk.")
    assert set(fine(out)) == {"one", "three"}
    for entry in fine(out).values():
        assert faults(entry, fine=True, labels=MERR) == []
    told = typed("check", out, "--json").told["problems"]
    assert told == ["MERR_fine_grained.json: three: labelled neutral, its reason ends with angry"]
    assert "already" in str(typed("import", source, "--from", "mer-factory", "--out", out).error)


def test_a_folder_without_mer_factory_files_is_told(typed, tmp_path):
    run = typed("import", tmp_path, "--from", "mer-factory", "--out", tmp_path / "out")
    assert "_merr_data.json" in str(run.error)
    assert set(MER2023) < set(MERR)
