"""emo extract: counts, resume, freshness, and trouble that costs one clip."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import emo
from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.cli.main import exit_code
from emo.clip import Clip
from emo.errors import ConfigError
from emo.pipeline.extract import extract


def run(folder, cache, *encoders, **options):
    return extract(folder, encoders or ("hubert",), cache, preset="tiny", jobs=1, **options)


def test_counts_add_up_and_a_missing_modality_is_a_status(folder, tmp_path):
    result = run(folder, tmp_path / "f.zarr", "hubert", "eva")
    assert result.clips == 3
    assert result.stored + result.already + len(result.failed) == 6
    assert [(failure.clip_id, failure.encoder, failure.status) for failure in result.failed] == [
        ("mute", "hubert", "missing:no_audio")
    ]
    space = open_cache(tmp_path / "f.zarr")["hubert"]
    assert sorted(space) == ["a", "b"]
    assert np.allclose(np.diff(space["a"].times), 0.02)
    assert len(space["a"].times) == len(space["a"].values)
    assert space.info("mute").status == "missing:no_audio"


def test_a_second_run_does_nothing_and_still_tells_of_the_failure(folder, tmp_path):
    first = run(folder, tmp_path / "f.zarr")
    second = run(folder, tmp_path / "f.zarr")
    assert (second.stored, second.already) == (0, first.stored)
    assert second.failed == first.failed


def test_a_run_on_a_full_cache_imports_no_torch_and_no_decoder(folder, tmp_path):
    run(folder, tmp_path / "f.zarr", "hubert", "mae", "videomae", "eva")
    cache = str(tmp_path / "f.zarr")
    code = (
        "import sys\n"
        "from emo.pipeline.extract import extract\n"
        "names = ('hubert', 'mae', 'videomae', 'eva')\n"
        f"r = extract({str(folder)!r}, names, {cache!r}, preset='tiny')\n"
        "assert r.stored == 0 and r.already == 11, r\n"
        "sys.exit(','.join(sorted({'torch', 'av', 'transformers', 'timm'} & set(sys.modules))) or 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_changed_media_are_encoded_again_and_the_last_row_is_current(folder, tmp_path):
    run(folder, tmp_path / "f.zarr")
    before = open_cache(tmp_path / "f.zarr")["hubert"].read("a", "utterance").copy()
    (folder / "a.mp4").write_bytes((folder / "b.mp4").read_bytes())
    result = run(folder, tmp_path / "f.zarr")
    assert result.stored == 1
    space = open_cache(tmp_path / "f.zarr")["hubert"]
    assert not np.array_equal(space.read("a", "utterance"), before)
    assert np.array_equal(space.read("a", "utterance"), space.read("b", "utterance"))


def test_another_folder_under_the_same_cache_is_asked_about(folder, tmp_path):
    run(folder, tmp_path / "f.zarr")
    a, b = (folder / "a.mp4").read_bytes(), (folder / "b.mp4").read_bytes()
    (folder / "a.mp4").write_bytes(b)
    (folder / "b.mp4").write_bytes(a)
    with pytest.raises(ConfigError, match="--replace-changed"):
        run(folder, tmp_path / "f.zarr")
    assert run(folder, tmp_path / "f.zarr", replace_changed=True).stored == 2


def test_values_do_not_depend_on_neighbours_or_on_workers(folder, tmp_path):
    for number in range(5):
        (folder / f"c{number}.mp4").write_bytes((folder / "a.mp4").read_bytes())
    run(folder, tmp_path / "one.zarr", "hubert", "mae")
    extract(
        [Clip(clip_id="a", path=folder / "a.mp4")], ("hubert", "mae"), tmp_path / "alone.zarr", preset="tiny"
    )
    extract(folder, ("hubert", "mae"), tmp_path / "two.zarr", preset="tiny", jobs=2)
    stores = [open_cache(tmp_path / f"{name}.zarr") for name in ("one", "alone", "two")]
    for name in ("hubert", "mae"):
        values = [store[name].read("a", "frames") for store in stores]
        assert np.array_equal(values[0], values[1])
        assert np.array_equal(values[0], values[2])


def test_an_encoder_that_breaks_on_one_clip_costs_that_clip_only(folder, tmp_path, monkeypatch):
    from emo.extractors.hubert import Hubert

    sound = Hubert.encode

    def fragile(self, batch):
        if len(broken) < 1:
            broken.append(1)
            raise RuntimeError("out of luck")
        return sound(self, batch)

    broken: list[int] = []
    monkeypatch.setattr(Hubert, "encode", fragile)
    result = run(folder, tmp_path / "f.zarr")
    assert {failure.status for failure in result.failed} == {"failed:encoder_error", "missing:no_audio"}
    assert result.stored == 1
    again = run(folder, tmp_path / "f.zarr", retry_failed=True)
    assert again.stored == 1


def test_the_command_ends_with_three_and_one_line_for_each_bad_file(folder, tmp_path):
    whole = (folder / "a.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("not a film")
    (folder / "notes.txt").write_text("ignored")
    arguments = ["extract", str(folder), "--encoder", "hubert", "--preset", "tiny", "--jobs", "1"]
    result = CliRunner().invoke(command, [*arguments, "--cache", str(tmp_path / "f.zarr"), "--json"])
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert told["schema_version"] == 1
    assert told["clips"] == 6
    statuses = {failure["clip_id"]: failure["status"] for failure in told["failed"]}
    assert statuses["empty"] == statuses["text"] == "failed:unreadable"
    assert statuses["cut"].startswith(("failed:", "degraded:"))
    assert told["stored"] + told["already"] + len(told["failed"]) == 6


def test_a_place_without_media_is_a_mistake_and_makes_no_cache(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no film")
    arguments = ["extract", str(empty), "--preset", "tiny", "--cache", str(tmp_path / "f.zarr")]
    result = CliRunner().invoke(command, arguments)
    assert exit_code(result.exception) == 2
    assert "no media found" in str(result.exception)
    assert "1 other files ignored" in str(result.exception)
    assert not (tmp_path / "f.zarr").exists()


def test_dry_run_stores_nothing(folder, tmp_path):
    result = run(folder, tmp_path / "f.zarr", dry_run=True)
    assert (result.stored, result.failed) == (0, ())
    assert len(open_cache(tmp_path / "f.zarr")["hubert"]) == 0


def test_the_public_names_do_the_same(folder, tmp_path):
    result = emo.extract(folder, ("eva",), tmp_path / "f.zarr", preset="tiny", jobs=1)
    assert result.stored == 3
    space = emo.open(tmp_path / "f.zarr")["eva"]
    layout = space.spec.arrays["tokens"]
    assert space["mute"].values.shape == (layout.tokens, layout.dim)


def test_augmented_views_are_spaces_of_their_own_that_the_bare_name_does_not_mean(folder, tmp_path):
    plans = []
    run(folder, tmp_path / "f.zarr", views=["noise@10dB", "flip"], on_plan=plans.append)
    cache = open_cache(tmp_path / "f.zarr")
    plain, noisy = cache["hubert"], cache["hubert@tiny+noise@10dB"]
    assert [space.name for space in cache.augmented(plain)] == [noisy.name]
    assert sorted(plain) == sorted(noisy) == ["a", "b"]
    assert not np.allclose(plain["a"].values, noisy["a"].values)
    assert plain.info("a").input_sha256 == noisy.info("a").input_sha256
    assert plans[0].notes == ("hubert reads nothing that flip changes: left out.",)
    again = run(folder, tmp_path / "f.zarr", views=["noise@10dB"])
    assert (again.stored, again.already) == (0, 4)


def test_the_person_a_clip_names_is_part_of_its_input(folder, tmp_path):
    clip = Clip(clip_id="a", path=folder / "a.mp4")
    other = Clip(clip_id="a", path=folder / "a.mp4", person=1)
    run([clip], tmp_path / "f.zarr", "mae")
    assert run([other], tmp_path / "f.zarr", "mae").stored == 1
    run([clip], tmp_path / "f.zarr", "hubert")
    assert run([other], tmp_path / "f.zarr", "hubert").already == 1


def test_faces_are_chosen_by_the_command_and_make_a_space_of_their_own(folder, tmp_path):
    arguments = ["extract", str(folder / "a.mp4"), "-e", "mae,hubert", "--preset", "tiny", "--jobs", "1"]
    arguments += ["--cache", str(tmp_path / "f.zarr")]
    chosen = ["--faces", "policy=central,sampling=onset-apex-offset:16,margin=0.2"]
    assert CliRunner().invoke(command, [*arguments, *chosen], catch_exceptions=False).exit_code == 0
    space = open_cache(tmp_path / "f.zarr")["mae"]
    assert space.spec.recipe["faces"]["policy"] == "central"
    assert space.meta("a")["faces"]["course"] == "face_change"
    assert space.meta("a")["faces"]["margin"] == 0.2


@pytest.mark.parametrize(
    "faces",
    [{"polcy": "active"}, {"policy": "all"}, {"margin": "x"}, {"margin": "9"}, {"sampling": "uniform:4"}],
)
def test_faces_that_make_no_sense_are_refused(folder, tmp_path, faces):
    with pytest.raises(ConfigError, match="faces: "):
        run(folder, tmp_path / "f.zarr", "mae", faces=faces)


def test_clips_that_go_through_an_encoder_together_give_what_they_give_alone(folder, tmp_path):
    run(folder, tmp_path / "alone.zarr", "hubert", "mae")
    run(folder, tmp_path / "together.zarr", "hubert", "mae", batch=3)
    alone, together = (open_cache(tmp_path / f"{name}.zarr") for name in ("alone", "together"))
    for name in ("hubert", "mae"):
        assert sorted(alone[name]) == sorted(together[name])
        for clip_id in alone[name]:
            one, other = alone[name].read(clip_id, "frames"), together[name].read(clip_id, "frames")
            assert np.abs(one - other).max() <= 2e-3 * np.abs(one).max()  # a step of float16


def test_a_batch_that_breaks_is_tried_clip_by_clip(folder, tmp_path, monkeypatch):
    from emo.extractors.hubert import Hubert

    sound = Hubert.encode

    def fragile(self, batch):
        if len(batch) > 1:
            raise RuntimeError("out of luck")
        return sound(self, batch)

    monkeypatch.setattr(Hubert, "encode", fragile)
    result = run(folder, tmp_path / "f.zarr", batch=8)
    assert {failure.status for failure in result.failed} == {"missing:no_audio"}
    assert result.stored == 2


def test_what_a_half_precision_costs_is_measured_and_told(folder, tmp_path):
    result = run(folder, tmp_path / "f.zarr", precision="bfloat16")
    (note,) = result.notes
    assert note.startswith("hubert in bfloat16: error 0.0")
    assert run(folder, tmp_path / "f.zarr", precision="bfloat16", redo=True).notes == ()
    assert run(folder, tmp_path / "f.zarr").stored == 2  # float32 is another space
    names = {space.spec.precision for space in open_cache(tmp_path / "f.zarr").spaces()}
    assert names == {"float32", "bfloat16"}


def test_a_disk_without_room_is_told_before_anything_is_begun(folder, tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=100))
    with pytest.raises(OSError, match="100 bytes are free") as told:
        run(folder, tmp_path / "f.zarr", "eva")
    assert told.value.errno == 28
    assert not len(open_cache(tmp_path / "f.zarr")["eva"])


def test_a_record_says_how_long_its_clip_is(folder, tmp_path):
    run(folder, tmp_path / "f.zarr", "eva")
    assert open_cache(tmp_path / "f.zarr")["eva"].meta("a")["media_seconds"] == pytest.approx(0.52, abs=0.06)


def test_shards_of_the_command_do_all_clips_between_them(folder, tmp_path):
    counts = []
    for number in range(2):
        arguments = ["extract", str(folder), "-e", "hubert", "--preset", "tiny", "--shard", f"{number}/2"]
        ran = CliRunner().invoke(command, [*arguments, "--cache", str(tmp_path / "f.zarr"), "--json"])
        counts.append(json.loads(ran.stdout)["clips"])
    assert sorted(counts) == [1, 2]
    space = open_cache(tmp_path / "f.zarr")["hubert"]
    assert {clip_id for clip_id, _ in space.index.live()} == {"a", "b", "mute"}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--device", "tpu", "none of auto, cpu, cuda"),
        ("--device", "cuda:9", "not here"),
        ("--shard", "2/2", "0/4"),
        ("--encoder", "opensmile+x", "opensmile"),
    ],
)
def test_a_wrong_setting_is_told_in_a_line(folder, tmp_path, capsys, option, value, said):
    from emo.cli.main import main

    with pytest.raises(SystemExit) as left:
        main(["extract", str(folder), "--cache", str(tmp_path / "f.zarr"), "--preset", "tiny", option, value])
    assert left.value.code == 2
    assert said in capsys.readouterr().err
