"""A folder of frames is a film without sound: the same pictures, the same limits, the same statuses."""

import io

import numpy as np
import pytest
from PIL import Image

from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.extractors.media import read_views
from emo.extractors.reading import read_views_limited
from emo.views import AudioView, FacesView, FrameView, MomentView, ViewProblem

MIDDLE = FrameView("middle")


def jpeg(picture, **options):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def frames(tmp_path_factory, face_pictures):
    """Fifty frames of a face, `00001.jpg` to `00050.jpg`; every second one is progressive."""
    folder = tmp_path_factory.mktemp("00001")
    for number, picture in enumerate(face_pictures, start=1):
        (folder / f"{number:05d}.jpg").write_bytes(jpeg(picture, progressive=number % 2 == 0))
    return folder


def only(clip, view, limits=DEFAULTS):
    return read_views(clip, [view], limits)[view]


def test_frames_are_seen_as_they_are_in_the_order_of_their_numbers(frames, clip_of, good, face_pictures):
    last = good(only(clip_of(frames), MomentView(49 / 25)))
    assert np.abs(last.array.astype(int) - face_pictures[49]).mean() < 2
    held = np.asarray(Image.open(frames / "00050.jpg").convert("RGB")).astype(int)
    assert np.abs(last.array - held).mean() < 1
    assert (last.media_seconds, last.degraded) == (2.0, None)


def test_faces_are_found_in_a_worker_as_in_a_film(frames, clips, clip_of, good):
    view = FacesView("uniform:16")
    folder, film = (
        good(read_views_limited(clip_of(path), [view])[view]) for path in (frames, clips["face.mp4"])
    )
    assert folder.array.shape == film.array.shape and folder.meta.get("region") is None
    np.testing.assert_allclose(folder.times, film.times, atol=0.041)


def test_a_cut_and_a_missing_sound(frames, clip_of, good, face_pictures):
    cut = good(only(clip_of(frames, start=1.0, end=1.2), MIDDLE))
    assert np.abs(cut.array.astype(int) - face_pictures[27]).mean() < 3
    assert only(clip_of(frames), AudioView(16_000)).status == "missing:no_audio"


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"most_seconds": 1.5}, "failed:too_long"),
        ({"most_bytes": 9000}, "failed:too_large"),
        ({"most_pixels": 9000}, "failed:too_large"),
    ],
)
def test_limits_hold_for_the_whole_folder(frames, clip_of, limits, status):
    assert only(clip_of(frames), MIDDLE, MediaLimits(**limits)).status == status


def test_a_frame_that_leads_out_of_the_root_is_refused(tmp_path, frames, good):
    folder = tmp_path / "clips/f"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes((frames / "00001.jpg").read_bytes())
    clip, limits = Clip(clip_id="f", path=folder), MediaLimits(root=tmp_path / "clips")
    good(only(clip, MIDDLE, limits))
    (folder / "2.jpg").symlink_to(frames / "00002.jpg")
    assert only(clip, MIDDLE, limits).status == "failed:outside_root"


def test_what_is_no_folder_of_frames_is_told(tmp_path, frames):
    def why(*files):
        folder = tmp_path / f"f{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, data in files:
            (folder / name).write_bytes(data)
        found = only(Clip(clip_id="f", path=folder), MIDDLE)
        assert isinstance(found, ViewProblem) and found.status == "failed:unreadable"
        return found.reason

    one = (frames / "00001.jpg").read_bytes()
    assert "without numbered .jpg frames" in why(("cover.jpg", one))
    assert "frame 2.jpg is no JPEG" in why(("1.jpg", one), ("2.jpg", b"#EXTM3U\nfile:///etc/passwd"))
    assert "frame 2.jpg is no JPEG" in why(("1.jpg", one), ("2.jpg", b""))
    small = jpeg(np.zeros((20, 30, 3), np.uint8))
    assert "frames of 2 sizes: 30 x 20, 160 x 120" in why(("1.jpg", one), ("2.jpg", small))


def test_a_frame_that_is_cut_off_is_told(tmp_path, frames, good):
    for number in range(1, 11):
        data = (frames / f"{number:05d}.jpg").read_bytes()
        (tmp_path / f"{number}.jpg").write_bytes(data[: len(data) // 3] if number == 5 else data)
    found = good(only(Clip(clip_id="f", path=tmp_path), MIDDLE))
    assert found.degraded.startswith("degraded:decode_errors")
