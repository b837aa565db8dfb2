"""Every kind of media file, through `emo extract` as a user runs it: the promised status for each."""

import hashlib
import importlib.util
import json
import platform
import re
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.clip import Clip
from emo.config.extract import DEFAULTS
from emo.extractors.container import open_media
from emo.extractors.decode import Pass
from emo.extractors.media import read_views
from emo.extractors.pictures import NearestPictures
from emo.extractors.sampling import moments
from emo.records import usable, why_unusable
from emo.testing import Film, drawn_face, write_clip
from emo.views import AudioView, FacesView, FrameView, ViewProblem

WHERE = Path(__file__).with_name("media_makers.py")
SPEC = importlib.util.spec_from_file_location("media_makers", WHERE)
makers = importlib.util.module_from_spec(SPEC)
sys.modules["media_makers"] = makers
SPEC.loader.exec_module(makers)

ENCODERS = {"hubert": "audio", "mae": "faces", "eva": "frame"}
VIEWS = {
    "audio": AudioView(),
    "faces": FacesView(sampling="uniform:16", size=64, box="median", detect=4),
    "frame": FrameView("middle"),
}
IDS = (
    "../../x",
    "/etc/passwd",
    "a b\u00a0c",
    "\U0001f600",
    "e\u0301t\u00e9",
    "\u05e9\u05dc\u05d5\u05dd",
    "x" * 200,
)
GOLDEN_MAJOR = 62  # libavcodec of FFmpeg 8
GOLDEN = {
    "argb": "ad71517138949171",
    "gray": "7c8d50a0e9fd013d",
    "rgba": "ad71517138949171",
    "yuv420p": "1dc137d812be9441",
    "yuv420p10le": "84920d7cef1cc928",
    "yuv422p": "d57a3d207a77ac72",
    "yuv444p": "6ae32154c2825d9d",
}


def plain(status):
    return re.sub(r"\(\d+\)", "(n)", status)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """The folder with a file of every kind."""
    folder = tmp_path_factory.mktemp("media")
    for name, case in makers.TABLE.items():
        case.make(folder / name)
    return folder


@pytest.fixture(scope="module")
def extracted(media):
    """What `emo extract` said and stored of every file, and of one file under strange ids."""
    rows = [{"clip_id": name, "path": name} for name in makers.TABLE]
    rows += [{"clip_id": clip_id, "path": "film.mov"} for clip_id in IDS]
    (media / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = ["extract", str(media / "all.jsonl"), "--encoder", ",".join(ENCODERS), "--preset", "tiny"]
    done = CliRunner().invoke(
        command, [*arguments, "--cache", str(media / "f.zarr"), "--jobs", "2", "--json"]
    )
    assert done.exit_code == 3, done.output
    return json.loads(done.stdout), open_cache(media / "f.zarr")


def test_there_are_the_promised_kinds_and_more():
    assert len(makers.TABLE) >= 45


def test_every_file_has_the_expected_status_for_every_encoder(extracted):
    told, cache = extracted
    expected = {
        (name, encoder): getattr(case, kind)
        for name, case in makers.TABLE.items()
        for encoder, kind in ENCODERS.items()
    }
    found = {
        (name, encoder): plain(cache[encoder].info(name).status)
        for name in makers.TABLE
        for encoder in ENCODERS
    }
    assert found == expected
    failed = {(one["clip_id"], one["encoder"]): one["status"] for one in told["failed"]}
    unusable = {key for key, status in expected.items() if not usable(status, accept_degraded=True)}
    assert set(failed) == unusable
    assert all(one["reason"] for one in told["failed"])
    assert told["stored"] + told["already"] + len(failed) == told["clips"] * len(ENCODERS)


def test_no_stored_row_is_zero_or_not_finite(extracted):
    _, cache = extracted
    for encoder in ENCODERS:
        space = cache[encoder]
        for clip_id in space:
            for array in space.spec.arrays:
                assert why_unusable(space.read(clip_id, array)) is None, (encoder, clip_id, array)


def test_ids_are_data_and_nothing_else(extracted, media):
    _, cache = extracted
    names = {clip.clip_id for clip in (Clip(clip_id=one, path=Path("x")) for one in IDS)}
    assert names <= set(cache["hubert"])
    first, *others = (cache["hubert"].read(name, "utterance") for name in sorted(names))
    assert all(np.array_equal(first, other) for other in others)
    assert {path.name for path in media.iterdir()} == {*makers.TABLE, "all.jsonl", "f.zarr", "f.zarr.journal"}


@pytest.mark.parametrize("bad", ["a\nb", "a\0b", "\x1b[31m", ""])
def test_an_id_with_control_characters_is_refused_with_its_row(tmp_path, bad):
    rows = [{"clip_id": "good", "path": "x.mp4"}, {"clip_id": bad, "path": "y.mp4"}]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = CliRunner().invoke(command, ["extract", str(tmp_path / "m.jsonl"), "--cache", str(tmp_path / "f")])
    assert bad == "" or (done.exit_code != 0 and "row 2" in str(done.exception))


@pytest.mark.parametrize("name", [name for name, case in makers.TABLE.items() if case.flags])
def test_what_is_odd_but_usable_is_flagged(media, name):
    found = read_views(Clip(clip_id=name, path=media / name), VIEWS.values())
    flags = {
        kind: list(found[view].flags)
        for kind, view in VIEWS.items()
        if not isinstance(found[view], ViewProblem) and found[view].flags
    }
    assert flags == makers.TABLE[name].flags


def numbered(index):
    """A picture (64, 64, 3) that carries a number in eight bars."""
    bars = [255 if index >> bit & 1 else 0 for bit in range(8)]
    return np.repeat(np.repeat(np.array(bars, np.uint8)[None, :], 64, 0), 8, 1)[..., None].repeat(3, 2)


def number_in(picture):
    return sum(int(picture[:, 8 * bit + 2 : 8 * bit + 6].mean() > 127) << bit for bit in range(8))


REGULAR = [index / 25 for index in range(40)]
JITTER = np.round(np.cumsum(np.random.default_rng(3).uniform(0.004, 0.3, 40)), 3).tolist()


@pytest.mark.parametrize(
    ("name", "times", "options"),
    [
        ("regular.mp4", REGULAR, {}),
        ("variable.mkv", JITTER, {}),
        ("variable.mp4", JITTER, {}),
        ("late.mkv", [7.0 + time for time in JITTER], {}),
        ("late.mp4", [7.0 + time for time in REGULAR], {}),
        ("late.ts", [3.0 + time for time in REGULAR], {}),
        ("early.mp4", [time - 0.4 for time in REGULAR], {"avoid_negative_ts": "disabled"}),
        ("reordered.mp4", REGULAR, {"bframes": "3"}),
    ],
)
@pytest.mark.parametrize("rule", ["uniform:16", "segments:2x4"])
def test_the_frame_of_a_moment_is_the_nearest_by_time(tmp_path, name, times, options, rule):
    bframes = options.get("bframes", "0")
    stream = makers.picture_stream(
        [numbered(index) for index in range(len(times))],
        times=times,
        options={"preset": "veryfast", "crf": "10", "bf": bframes},
    )
    kind = "mpegts" if name.endswith(".ts") else None
    container = {key: value for key, value in options.items() if key != "bframes"}
    makers.written(stream, kind=kind, options=container)(tmp_path / name)
    with open_media(Clip(clip_id="x", path=tmp_path / name), DEFAULTS) as media:
        start, end = media.stream_span(media.video)
        wanted = moments(rule, start, end)
        nearest = NearestPictures(wanted)
        Pass(media, [nearest], []).read()
        found = {moment: nearest.at(moment) for moment in wanted}
    first = next(
        index for index, time in enumerate(times) if time >= 0
    )  # what is before is cut by the edit list
    shown = np.array([time - times[first] for time in times])
    for moment, picture in found.items():
        index = number_in(picture.rgb())
        assert picture.time == pytest.approx(shown[index], abs=2e-3)
        gaps = np.abs(shown[first:] - moment)
        assert abs(picture.time - moment) <= gaps.min() + 2e-3


@pytest.mark.parametrize("pixels", ["yuv420p", pytest.param("yuv444p", marks=pytest.mark.soak)])
def test_a_turned_file_gives_the_features_of_the_upright_one(tmp_path, pixels):
    """The stored picture is the same to the last bit but for the halved colours, which turn with it."""
    from emo.extractors import make_encoder

    upright = [drawn_face(320, 240, centre=(0.48 + 0.04 * index / 20, 0.5)) for index in range(20)]
    features = {}
    for degrees in (0, 90, 180, 270):
        film = Film(rotation=degrees, pixel_format=pixels, options={"preset": "ultrafast", "qp": "0"})
        turned = [np.ascontiguousarray(np.rot90(picture, -degrees // 90)) for picture in upright]
        path = write_clip(tmp_path / f"{degrees}.mp4", turned, None, film=film)
        for name in ("mae", "eva"):
            encoder = make_encoder(name, preset="tiny")
            views = read_views(Clip(clip_id="x", path=path), encoder.needs)
            for array, values in encoder.encode([views])[0].items():
                features[name, array, degrees] = values.ravel() / np.linalg.norm(values)
    for (name, array, degrees), values in features.items():
        assert values @ features[name, array, 0] >= 0.999, (name, array, degrees)


LOSSLESS = {
    "yuv420p": "ffv1",
    "yuv444p": "ffv1",
    "yuv420p10le": "ffv1",
    "rgba": "png",
    "argb": "qtrle",
    "yuv422p": "ffv1",
    "gray": "ffv1",
}


def waves():
    """A picture (120, 160, 3) of smooth and of sharp colours, from integers alone."""
    y, x = np.mgrid[:120, :160]
    return np.stack([(3 * x + y) % 256, (x * y // 7) % 256, (255 - 2 * y + x // 3) % 256], -1).astype(
        np.uint8
    )


@pytest.mark.parametrize("pixels", sorted(LOSSLESS))
def test_pixels_of_the_declared_conversion_are_those_of_this_ffmpeg(tmp_path, pixels):
    if av.library_versions["libavcodec"][0] != GOLDEN_MAJOR or platform.machine() != "x86_64":
        pytest.skip(f"the golden hashes are of libavcodec {GOLDEN_MAJOR} on x86-64")
    codec = LOSSLESS[pixels]
    path = tmp_path / ("a.mov" if codec in ("png", "qtrle") else "a.mkv")
    write_clip(path, [waves()], None, film=Film(codec=codec, pixel_format=pixels, options={}))
    view = FrameView("first")
    array = read_views(Clip(clip_id="a", path=path), [view])[view].array
    assert hashlib.sha256(array.tobytes()).hexdigest()[:16] == GOLDEN[pixels]


def test_interlaced_frames_are_read_whole_as_they_are_stored(media):
    found = read_views(Clip(clip_id="x", path=media / "interlaced.mkv"), [FrameView("first")])
    difference = np.abs(found[FrameView("first")].array.astype(int) - makers.FACE[0])
    assert difference.mean() < 4


@pytest.mark.parametrize("name", ["surround.flac", "stereo.wav", "telephone.wav", "studio.wav", "disc.wav"])
def test_sound_of_any_layout_and_rate_is_the_same_tone(media, name):
    found = read_views(Clip(clip_id=name, path=media / name), [AudioView()])[AudioView()].array
    expected = makers.SOUND
    assert abs(len(found) - len(expected)) <= 16
    assert np.abs(found[2000:10_000] - expected[2000:10_000]).max() < 5e-3


def test_another_folder_than_the_strict_root_is_refused(tmp_path):
    outside = write_clip(tmp_path / "outside.mp4", [drawn_face(160, 120)] * 3, None)
    folder = tmp_path / "clips"
    folder.mkdir()
    write_clip(folder / "inside.mp4", [drawn_face(160, 120)] * 3, None)
    (folder / "link.mp4").symlink_to(outside)
    (folder / "within.mp4").symlink_to(folder / "inside.mp4")
    arguments = ["extract", str(folder), "--encoder", "eva", "--preset", "tiny", "--json", "--jobs", "1"]
    for extra, failed in (([], {}), (["--strict-root", "--redo"], {"link": "failed:outside_root"})):
        done = CliRunner().invoke(command, [*arguments, *extra, "--cache", str(tmp_path / "f.zarr")])
        told = json.loads(done.stdout)
        assert {one["clip_id"]: one["status"] for one in told["failed"]} == failed, done.output
