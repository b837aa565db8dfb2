"""emo extract --faces alignment=openface: a space of its own, fresh by the bytes of the faces."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.corpora.manifest import read_manifest, write_manifest
from emo.digests import StatCache
from emo.errors import ConfigError
from emo.extractors import make_encoder
from emo.extractors.mae import TINY_CONFIG
from emo.pipeline.faces import with_faces
from emo.pipeline.inputs import InputDigests
from emo.views import FacesView

OPENFACE = {"alignment": "openface"}


@pytest.fixture
def aligned(folder):
    """A folder of clips `a`, `b` and `mute`; the first has aligned faces and the manifest names them."""
    (folder / "openface_face").mkdir()
    faces = np.random.default_rng(0).integers(0, 256, (20, 112, 112, 3), dtype=np.uint8)
    np.save(folder / "openface_face" / "a.npy", faces)
    rows = [{"path": "a.mp4", "faces_path": "openface_face/a.npy"}, {"path": "b.mp4"}]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def ask(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def extracted(aligned, tmp_path, *more):
    place = ("--cache", tmp_path / "f.zarr", "--preset", "tiny", "--jobs", 1)
    return ask("extract", *more, "--encoder", "mae", "--faces", "alignment=openface", *place)


def test_aligned_faces_are_a_space_of_their_own(aligned, tmp_path):
    ran = extracted(aligned, tmp_path, aligned)
    assert ran.exit_code == 3, ran.output
    assert "b  mae  missing:no_face  no aligned faces" in ran.output
    space = open_cache(tmp_path / "f.zarr")["mae"]
    assert space.spec.recipe["faces"]["alignment"] == "openface"
    assert "detector" not in space.spec.recipe
    assert space["a"].meta["faces"]["alignment"] == "openface"
    assert space.spec.fingerprint != make_encoder("mae").spec.fingerprint


def test_a_folder_of_faces_serves_clips_whose_manifest_names_none(aligned, tmp_path):
    (aligned / "manifest.jsonl").unlink()
    (aligned / "openface_face" / "b").mkdir()
    faces = np.full((3, 112, 112, 3), 9, np.uint8)
    np.save(aligned / "openface_face" / "b" / "b.npy", faces)
    ran = extracted(aligned, tmp_path, aligned, "--aligned-faces", aligned / "openface_face")
    assert "2 records stored" in ran.output
    assert sorted(open_cache(tmp_path / "f.zarr")["mae"]) == ["a", "b"]
    (tmp_path / "nothing").mkdir()
    for place, said in ((tmp_path / "nothing", "has no a.npy"), (tmp_path / "gone", "is no folder")):
        ran = extracted(aligned, tmp_path, aligned, "--aligned-faces", place)
        assert isinstance(ran.exception, ConfigError)
        assert said in str(ran.exception)


def test_the_faces_bytes_decide_the_digest_of_who_looks_at_them_alone(aligned):
    clips = read_manifest(aligned / "manifest.jsonl")
    usual, other = frozenset({FacesView()}), frozenset({with_faces(FacesView(), OPENFACE)})
    before = [InputDigests(clips, StatCache(None)).of(needs) for needs in (usual, other)]
    faces = aligned / "openface_face" / "a.npy"
    faces.write_bytes(faces.read_bytes()[:-1] + b"\x07")
    after = [InputDigests(clips, StatCache(None)).of(needs) for needs in (usual, other)]
    assert before[0] == after[0]
    assert before[1]["a"] != after[1]["a"]
    assert before[1]["b"] == after[1]["b"]


def test_the_manifest_keeps_where_the_faces_are(aligned, tmp_path):
    clips = read_manifest(aligned / "manifest.jsonl")
    write_manifest(tmp_path / "copy.jsonl", clips)
    again = read_manifest(tmp_path / "copy.jsonl")
    assert again[0].faces_path.samefile(aligned / "openface_face" / "a.npy")
    assert again[1].faces_path is None


@pytest.mark.parametrize(
    "settings",
    [{"policy": "active"}, {"margin": "0.2"}, {"box": "median"}, {"detect": "4"}],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_that_decide_nothing_are_refused(settings):
    with pytest.raises(ConfigError, match="decides nothing"):
        with_faces(FacesView(), OPENFACE | settings)


def test_a_sampling_that_looks_for_faces_is_refused():
    with pytest.raises(ConfigError, match="looks for faces itself"):
        with_faces(FacesView(), OPENFACE | {"sampling": "onset-apex-offset:16"})


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder that says it holds the paper's weights of MAE; nothing in a plan looks into it."""
    monkeypatch.setenv("EMO_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    place = tmp_path / "weights" / "mae" / "paper"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(TINY_CONFIG))
    save_file({"a": np.ones(2, np.float32)}, place / "model.safetensors")
    return place


def test_weights_that_were_trained_on_aligned_faces_say_so_when_shown_others(aligned, tmp_path, weights):
    place = ("--encoder", "mae@paper,mae@tiny", "--cache", tmp_path / "f.zarr", "--dry-run")
    told = "mae@paper was trained on faces aligned by OpenFace and is shown crops"
    assert ask("extract", aligned, *place).output.count(told) == 1
    assert told not in ask("extract", aligned, "--faces", "alignment=openface", *place).output
    (weights / "emo-weights.json").write_text('{"substitute": true}')
    assert told not in ask("extract", aligned, *place).output


def test_a_misspelt_alignment_is_told(aligned, tmp_path):
    place = ("--encoder", "mae@tiny", "--cache", tmp_path / "f.zarr")
    ran = ask("extract", aligned, "--faces", "alignment=opnface", *place)
    assert "alignment=opnface" in str(ran.exception)
    assert "box | openface" in str(ran.exception)
