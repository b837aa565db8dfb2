"""Faces that OpenFace aligned beforehand: which are taken, how they look, and what is refused."""

import os

import numpy as np
import pytest

from emo.config.extract import MediaLimits
from emo.errors import ConfigError
from emo.extractors.media import read_views
from emo.extractors.reading import read_views_limited
from emo.views import AudioView, FacesView, ViewProblem

VIEW = FacesView(sampling="uniform:5", size=112, alignment="openface")
EVERY = FacesView(sampling="all", size=32, alignment="openface")
START = b"\x93NUMPY\x01\x00"


def numbered(count=50):
    """Faces (count, 112, 112, 3) in BGR: blue is the number of the face, from 1, red is 200."""
    faces = np.zeros((count, 112, 112, 3), np.uint8)
    faces[..., 0] = np.arange(1, count + 1)[:, None, None]
    faces[..., 2] = 200
    return faces


@pytest.fixture
def saved(tmp_path):
    def save(faces, name="faces.npy"):
        np.save(tmp_path / name, faces, allow_pickle=True)
        return tmp_path / name

    return save


@pytest.fixture
def of(clips, clip_of):
    return lambda path, media="face.mp4", **fields: clip_of(clips[media], faces_path=path, **fields)


def test_faces_are_taken_by_time_and_turned_from_bgr_to_rgb(saved, of, good):
    found = good(read_views_limited(of(saved(numbered())), [VIEW])[VIEW])
    assert found.array.shape == (5, 112, 112, 3)
    assert found.array[:, 50, 50].tolist() == [[200, 0, number] for number in (6, 16, 26, 36, 46)]
    assert found.times == pytest.approx([0.2, 0.6, 1.0, 1.4, 1.8])
    assert found.meta["alignment"] == "openface"
    assert found.meta["faces"] == 50
    assert found.flags == ()


def test_all_of_them_in_another_size(saved, of, good):
    found = good(read_views(of(saved(numbered())), [EVERY])[EVERY])
    assert found.array.shape == (50, 32, 32, 3)
    assert found.array[:, 16, 16, 2].tolist() == list(range(1, 51))
    assert np.diff(found.times) == pytest.approx(0.04)


def test_a_cut_takes_the_faces_of_its_own_stretch(saved, of, good):
    found = good(read_views(of(saved(numbered()), start=0.4, end=0.8), [EVERY])[EVERY])
    assert found.array[:, 16, 16, 2].tolist() == list(range(11, 21))
    beyond = read_views(of(saved(numbered()), start=5.0, end=6.0), [EVERY])[EVERY]
    assert beyond.status == "failed:no_frames"


def test_sound_alone_has_faces_too_and_moments_that_share_a_face_are_flagged(saved, of, good):
    found = good(read_views(of(saved(numbered(3)), media="sound.wav"), [VIEW])[VIEW])
    assert found.array[:, 0, 0, 2].tolist() == [1, 1, 2, 3, 3]
    assert "short" in found.flags


def test_faces_without_light_are_frames_without_a_face(saved, of, good):
    faces = numbered(5)
    faces[:3] = 0
    found = good(read_views(of(saved(faces)), [VIEW])[VIEW])
    assert found.meta["no_face_share"] == 0.6
    assert "few_faces" in found.flags
    assert read_views(of(saved(0 * faces)), [VIEW])[VIEW].status == "missing:no_face"


@pytest.mark.parametrize("path", [None, "empty"])
def test_a_clip_without_aligned_faces_has_no_face_and_keeps_its_sound(saved, of, good, path):
    found = read_views(of(saved(numbered(0)) if path else None), [VIEW, AudioView()])
    assert found[VIEW].status == "missing:no_face"
    assert "aligned faces" in found[VIEW].reason
    good(found[AudioView()])


@pytest.mark.parametrize(
    "faces",
    [
        numbered(3).astype(np.float32),
        numbered(3)[:, :100],
        numbered(3)[0],
        np.asfortranarray(numbered(3)),
        np.array([{"a": 1}], object),
    ],
    ids=["float32", "another side", "one face", "Fortran order", "pickled"],
)
def test_other_arrays_are_refused(saved, of, faces):
    assert read_views(of(saved(faces)), [VIEW])[VIEW].status == "failed:bad_faces_file"


def header(shape, padding=60):
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode() + b" " * padding + b"\n"
    return START + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        START + b"\xff\xff" + b"{" * 20,
        START + (9000).to_bytes(2, "little") + b"(" * 9000,
        header("(999999999, 112, 112, 3)"),
        header("(-1, 112, 112, 3)"),
        header("(2, 112, 112, 3)") + bytes(112 * 112 * 3),
        header("(1, 112, 112, 3)") + bytes(112 * 112 * 3 + 1),
        b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little"),
        header("(__import__('os').getpid(), 112, 112, 3)"),
    ],
)
def test_lying_headers_are_refused_before_anything_is_allocated(tmp_path, of, data):
    path = tmp_path / "lies.npy"
    path.write_bytes(data)
    problem = read_views_limited(of(path), [VIEW], MediaLimits(most_memory=200 << 20))[VIEW]
    assert isinstance(problem, ViewProblem)
    assert problem.status == "failed:bad_faces_file"
    assert "lies.npy" in problem.reason


def test_pipes_folders_lost_files_and_files_elsewhere_are_refused(tmp_path, saved, clips, of):
    os.mkfifo(tmp_path / "pipe.npy")
    for path in (tmp_path / "pipe.npy", tmp_path, tmp_path / "gone.npy"):
        assert read_views(of(path), [VIEW])[VIEW].status == "failed:bad_faces_file"
    limits = MediaLimits(root=clips["face.mp4"].parent)
    assert read_views(of(saved(numbered(1))), [VIEW], limits)[VIEW].status == "failed:outside_root"


def test_size_and_number_are_limited(saved, of):
    clip = of(saved(numbered()))
    assert read_views(clip, [EVERY], MediaLimits(most_faces=49))[EVERY].status == "failed:too_long"
    large = MediaLimits(most_bytes=1_000_000)
    assert read_views(clip, [EVERY], large)[EVERY].status == "failed:too_large"


def test_a_sampling_that_looks_for_faces_is_no_choice_among_aligned_ones(saved, of):
    view = FacesView(sampling="onset-apex-offset:4", alignment="openface")
    with pytest.raises(ConfigError, match="cannot choose among aligned faces"):
        read_views(of(saved(numbered(1))), [view])
