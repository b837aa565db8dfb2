"""A build from clips to files, as a user types it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from emo.config.merr import MerrConfig
from emo.corpora import write_manifest
from emo.corpora.merr_files import faults, read_entries, read_frames
from emo.errors import ConfigError
from emo.labels import MER2023
from emo.merr.build import build
from emo.merr.folder import BuildFolder
from emo.merr.template import TemplateExplainer

CONFIG = MerrConfig(labels=MER2023)


def entries(out, name):
    return read_entries(out / f"MERR_{name}_grained.json")


def drops(out):
    return [json.loads(line) for line in (out / "drops.jsonl").read_text().splitlines()]


def test_both_files_have_the_official_shape(built):
    for name in ("coarse", "fine"):
        found = entries(built, name)
        assert found
        for entry in found.values():
            assert faults(entry, fine=name == "fine", labels=MER2023) == []
        assert set(read_frames(built / f"MERR_{name}_grained.txt")) == set(found)
    assert {len(line.split()) for line in (built / "MERR_fine_grained.txt").read_text().splitlines()} == {4}


def test_what_is_kept_and_what_is_dropped_are_all_the_clips(built, clips):
    dropped = [drop for drop in drops(built) if drop["stage"] == "coarse"]
    assert {*entries(built, "coarse"), *(drop["clip_id"] for drop in dropped)} == {
        clip.clip_id for clip in clips
    }
    fine = [drop["clip_id"] for drop in drops(built) if drop["stage"] == "fine"]
    assert {*entries(built, "fine"), *fine} == set(entries(built, "coarse"))
    assert all(drop["reason"] for drop in drops(built))


def test_captions_say_what_the_face_shows_and_what_is_said(built, clips):
    said = {clip.clip_id: clip.text for clip in clips}
    for clip_id, entry in entries(built, "coarse").items():
        assert said[clip_id] in entry["caption"]
        assert all(phrase in entry["caption"] for phrase in entry["visual_prior_list"])
        assert not any(label in entry["caption"] for label in MER2023 if label != "neutral")


def test_reasons_end_with_the_label_and_name_no_other(built):
    for entry in entries(built, "fine").values():
        words = entry["smp_reason_caption"].rstrip(".").split()
        assert words[-1] == entry["pseu_emotion"]
        assert not set(words[:-1]) & (set(MER2023) - {entry["pseu_emotion"]})


def test_every_entry_has_the_picture_of_its_peak(built, clips):
    from PIL import Image

    pictures = list((built / "pictures").rglob("*.jpg"))
    assert len(pictures) == len(clips)
    assert np.asarray(Image.open(pictures[0])).shape == (96, 128, 3)


def test_a_second_build_has_the_same_bytes(built, corpus, typed, contents, tmp_path):
    fresh = tmp_path / "fresh"
    assert typed("build", corpus, "--out", fresh, "--labels", "mer2023", "--jobs", "2").code == 0
    assert contents(fresh) == contents(built)


def test_a_build_that_is_done_decodes_and_writes_nothing(again):
    before = {path: path.stat().st_mtime_ns for path in again.out.rglob("*.j*") if ".work" not in path.parts}
    assert again().code == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_given_labels_are_kept_only_where_the_face_agrees(again, truth):
    run = again("--labels-from", "given")
    found = entries(again.out, "coarse")
    assert run.code == 0
    assert all(entry["pseu_emotion"] == truth[clip_id]["label"] for clip_id, entry in found.items())
    refused = {drop["clip_id"]: drop for drop in drops(again.out) if drop["stage"] == "coarse"}
    assert 0 < len(found) < 12 and set(found) | set(refused) == set(truth)
    assert {drop["reason"] for drop in refused.values()} == {"face_disagrees"}
    assert run.told["dropped"]["coarse"] == {"face_disagrees": len(refused)}


@pytest.fixture(scope="module")
def trained(clips, tmp_path_factory):
    """A folder with a head trained on features that name the label, of all clips but the last, and these."""
    folder = tmp_path_factory.mktemp("trained")
    from emo.cache import open_cache
    from emo.config.heads import HeadConfig
    from emo.heads.runs import run_head
    from emo.records import Record
    from emo.spec import ArrayLayout, FeatureSpec

    layout = {"utterance": ArrayLayout(kind="utterance", dim=6)}
    spec = FeatureSpec(encoder="hubert", weights={}, recipe={}, recipe_version=1, arrays=layout)
    space = open_cache(folder / "f.zarr", "a").create(spec)
    with space.writer("none") as sink:
        for clip in clips[:-1]:
            values = np.full(6, 0.1, np.float32)
            values[MER2023.index(clip.label)] = 3.0
            sink.put(Record(clip_id=clip.clip_id, arrays={"utterance": values}))
    known = [replace(clip, split="train" if number % 3 else "val") for number, clip in enumerate(clips[:-1])]
    run = run_head(known, {"hubert": space}, MER2023, HeadConfig(head="concat", epochs=30))
    run.trained.save(folder / "head")
    return folder


def test_a_head_trained_on_the_cache_gives_the_labels(again, clips, trained):
    run = again("--labels-from", trained / "head", "--cache", trained / "f.zarr")
    assert run.code == 0, run.said
    assert drops(again.out)[-1]["clip_id"] == clips[-1].clip_id
    assert drops(again.out)[-1]["reason"] == "no_label"
    figures = json.loads((again.out / "quality.json").read_text())["label_agreement"]
    assert figures["source_and_manifest"]["n"] == len(clips) - 1


def test_features_that_are_not_there_are_told_with_the_command_that_makes_them(again, trained, tmp_path):
    from emo.cache import open_cache

    open_cache(tmp_path / "other.zarr", "a")
    run = again("--labels-from", trained / "head", "--cache", tmp_path / "other.zarr")
    assert "emo extract --encoder hubert" in str(run.error)


def test_bad_clips_are_named_and_nothing_else_is_lost(again, built, clips, tmp_path):
    broken, bare, garbled = clips[0], clips[1], clips[2]
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "au.csv").write_text("frame,AU12_r\n1,loud\n")
    changed = [
        replace(broken, path=tmp_path / "empty.mp4"),
        replace(bare, au_path=None),
        replace(garbled, au_path=tmp_path / "au.csv"),
        *clips[3:],
    ]
    write_manifest(tmp_path / "manifest.jsonl", changed)
    run = again(clips=tmp_path / "manifest.jsonl")
    assert run.code == 3
    assert {drop["clip_id"]: drop["reason"] for drop in run.told["failed"]} == {
        broken.clip_id: "media",
        bare.clip_id: "no_action_units",
        garbled.clip_id: "bad_action_units",
    }
    gone = {broken.clip_id, bare.clip_id, garbled.clip_id}
    assert set(entries(again.out, "coarse")) == set(entries(built, "coarse")) - gone


def test_a_label_has_at_most_as_many_clips_as_asked_for(again):
    run = again("--per-label", "1")
    assert set(run.told["coarse_labels"].values()) == {1}
    short = json.loads((again.out / "quality.json").read_text())["short_of_target"]
    assert set(short) == set(MER2023) - set(run.told["coarse_labels"])


def test_without_reasons_there_is_no_fine_file_left_over(again):
    for explain, there in (("none", False), ("template", True)):
        again("--explain", explain)
        assert (again.out / "MERR_fine_grained.json").exists() is there
        assert (again.out / "MERR_fine_grained.txt").exists() is there


def test_files_of_media_that_changed_since_are_gone(again, clips, tmp_path, contents):
    before = contents(again.out)
    swapped = [replace(clips[0], path=clips[1].path), *clips[1:]]
    write_manifest(tmp_path / "manifest.jsonl", swapped)
    assert again(clips=tmp_path / "manifest.jsonl").code == 0
    after = contents(again.out)
    assert len([name for name in after if name.startswith("clues/")]) == len(clips)
    assert len({name for name in before if name.startswith(("clues/", "pictures/"))} - set(after)) == 2


def test_what_is_damaged_or_gone_is_made_again(again, contents):
    before = contents(again.out)
    for path, text in zip((again.out / "clues").rglob("*.json"), ("", "{", "{}"), strict=False):
        path.write_text(text)
    next((again.out / "pictures").rglob("*.jpg")).unlink()
    again()
    assert contents(again.out) == before


def test_two_builds_at_once_are_refused(clips, tmp_path):
    with BuildFolder(tmp_path).held(), pytest.raises(ConfigError, match="another build"):
        build(clips, tmp_path, CONFIG, None, jobs=1)


def test_an_id_that_a_list_cannot_hold_is_refused_before_any_work(clips, tmp_path):
    with pytest.raises(ConfigError, match="white space"):
        build([replace(clips[0], clip_id="a b")], tmp_path / "out", CONFIG, None)
    assert not (tmp_path / "out").exists()


def test_no_clips_is_a_usage_error(typed, tmp_path):
    assert "no clips" in str(typed("build", tmp_path, "--out", tmp_path / "out").error)


def test_the_card_says_what_the_set_is(built):
    card = (built / "README.md").read_text()
    sizes = [len(entries(built, name)) for name in ("coarse", "fine")]
    assert "not what that person feels" in card
    assert "- rendered: MIT" in card
    assert f"| all | {sizes[0]} | {sizes[1]} |" in card
    assert "rules and templates, no model" in card


def test_a_card_of_clips_of_which_nobody_said_anything_says_so(clips, tmp_path):
    build(clips[:1], tmp_path, CONFIG, TemplateExplainer(0), jobs=1)
    assert "Licence of the clips: not recorded" in (tmp_path / "README.md").read_text()


def test_a_template_never_needs_a_voice(clips, tmp_path):
    from emo.merr.cases import Case

    case = Case(
        clip_id="a", label="happy", labels=MER2023, face={"AU12": "raised lip corners"},
        fitting=frozenset({"AU12"}), tone="", subtitle="", picture="",
    )  # fmt: skip
    assert "raised lip corners" in TemplateExplainer(0).explain(case).reason


def test_a_label_that_is_none_of_the_builds_is_called_no_label(again, clips, tmp_path):
    write_manifest(tmp_path / "manifest.jsonl", [replace(clip, label="bored") for clip in clips])
    run = again("--labels-from", "given", clips=tmp_path / "manifest.jsonl")
    assert run.told["dropped"]["coarse"] == {"no_label": len(clips)}


def test_two_cuts_of_one_file_are_two_clips_even_with_one_peak(clips, tmp_path):
    from emo.merr.clues import ClueJob, find_clues

    def looked(clip):
        job = ClueJob(clip=clip, label="happy", media="0" * 64, config=given, root=tmp_path / "out")
        return find_clues(job)

    given = replace(CONFIG, labels_from="given")
    whole = looked(clips[0])
    cut = looked(replace(clips[0], start=0.04))
    assert whole.face.peak_time == cut.face.peak_time
    assert whole.key != cut.key
