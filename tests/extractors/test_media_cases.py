"""Media as it comes: each kind of file gives the promised status or the promised frames."""

import os
import socket
import threading

import numpy as np
import pytest

from emo.config.extract import MediaLimits
from emo.errors import ConfigError
from emo.extractors.media import read_views
from emo.testing import Film, drawn_face, tone, write_clip
from emo.views import AudioView, FacesView, FrameView, ViewData, ViewProblem

AUDIO = AudioView()
MIDDLE = FrameView("middle")
FIRST = FrameView("first")
FACES = FacesView(sampling="uniform:16", size=64, box="median", detect=4)
EVERYTHING = (AUDIO, MIDDLE, FACES)


def statuses(found):
    """One word for each view: a problem's status, a damaged view's, or ok."""
    return {
        type(view).__name__: outcome.status if isinstance(outcome, ViewProblem) else outcome.degraded or "ok"
        for view, outcome in found.items()
    }


def all_of(status):
    return dict.fromkeys(("AudioView", "FrameView", "FacesView"), status)


def changed(path, name, change):
    target = path.with_name(name)
    target.write_bytes(bytes(change(bytearray(path.read_bytes()))))
    return target


def noise_in_the_middle(data):
    generator = np.random.default_rng(0)
    middle = len(data) // 2
    data[middle : middle + 3000] = generator.integers(0, 256, 3000, dtype=np.uint8).tobytes()
    return data


@pytest.mark.parametrize("name", ["face.mp4", "face.mkv", "front.mp4"])
def test_a_sound_file_gives_every_view(clips, clip_of, name):
    assert statuses(read_views(clip_of(clips[name]), EVERYTHING)) == all_of("ok")


@pytest.mark.parametrize(
    ("source", "name", "change", "status"),
    [
        ("face.mp4", "no_moov.mp4", lambda data: data[: len(data) // 2], "failed:unreadable"),
        ("face.mkv", "short.mkv", lambda data: data[: len(data) // 2], "degraded:truncated"),
        ("front.mp4", "short.mp4", lambda data: data[: len(data) // 2], "degraded:truncated"),
        ("face.mp4", "empty.mp4", lambda data: b"", "failed:unreadable"),
        ("face.mp4", "text.mp4", lambda data: b"this is no film\n" * 50, "failed:unreadable"),
        ("face.mp4", "noise.mp4", lambda data: np.random.default_rng(1).bytes(20_000), "failed:unreadable"),
    ],
)
def test_a_damaged_file_gives_its_status_for_every_view(clips, clip_of, source, name, change, status):
    assert statuses(read_views(clip_of(changed(clips[source], name, change)), EVERYTHING)) == all_of(status)


def test_a_damaged_middle_is_counted_in_decode_errors(clips, clip_of):
    damaged = changed(clips["front.mp4"], "holed.mp4", noise_in_the_middle)
    found = statuses(read_views(clip_of(damaged), EVERYTHING))
    assert all(status.startswith("degraded:decode_errors(") for status in found.values()), found


def test_the_verdict_on_one_stream_does_not_depend_on_what_else_was_wanted(clips, clip_of):
    damaged = changed(clips["front.mp4"], "holed2.mp4", noise_in_the_middle)
    together = read_views(clip_of(damaged), EVERYTHING)
    for view in EVERYTHING:
        alone = read_views(clip_of(damaged), [view])[view]
        assert isinstance(alone, ViewData)
        assert alone.degraded == together[view].degraded
        np.testing.assert_array_equal(alone.array, together[view].array)


def test_what_a_stream_lacks_is_missing_for_its_views_only(clips, clip_of):
    mute = statuses(read_views(clip_of(clips["mute.mp4"]), EVERYTHING))
    assert mute == all_of("ok") | {"AudioView": "missing:no_audio"}
    heard = statuses(read_views(clip_of(clips["sound.wav"]), EVERYTHING))
    assert heard == all_of("missing:no_video") | {"AudioView": "ok"}


def test_cover_art_is_no_video(tmp_path, clip_of):
    import av

    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("mp3", rate=16_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), format="rgb24")
        for packet in (*cover.encode(picture), *cover.encode()):
            container.mux(packet)
        samples = (tone(1.0)[None] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in (*sound.encode(frame), *sound.encode()):
            container.mux(packet)
    assert statuses(read_views(clip_of(path), (AUDIO, MIDDLE)))["FrameView"] == "missing:no_video"


def test_nobody_in_sight_is_missing_no_face_and_the_whole_frame_is_there(clips, clip_of):
    found = statuses(read_views(clip_of(clips["blank.mp4"]), EVERYTHING))
    assert found == all_of("ok") | {"FacesView": "missing:no_face"}


def test_digital_silence_is_sound_with_a_flag(clips, clip_of, good):
    silent = good(read_views(clip_of(clips["silent.mp4"]), [AUDIO])[AUDIO])
    assert "silent" in silent.flags
    assert not silent.array.any()


def test_fewer_frames_than_moments_repeat_and_are_flagged(clips, clip_of, good):
    faces = good(read_views(clip_of(clips["silent.mp4"]), [FACES])[FACES])
    assert faces.array.shape == (16, 64, 64, 3)
    assert faces.flags == ("short",)


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "missing"])
def test_what_is_no_regular_file_is_refused_before_it_is_opened(tmp_path, clip_of, kind):
    path = tmp_path / "clip.mp4"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    assert statuses(read_views(clip_of(path), EVERYTHING)) == all_of("failed:unreadable")


def test_a_renamed_playlist_opens_no_other_file(clips, clip_of):
    playlist = clips["face.mp4"].with_name("list.mp4")
    playlist.write_text("ffconcat version 1.0\nfile face.mp4\n")
    assert statuses(read_views(clip_of(playlist), EVERYTHING)) == all_of("failed:unreadable")


def test_a_renamed_playlist_reaches_no_network(tmp_path, clip_of):
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        port = server.getsockname()[1]

        def listen():
            try:
                calls.append(server.accept()[1])
            except OSError:
                return

        waiting = threading.Thread(target=listen, daemon=True)
        waiting.start()
        hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/x.ts\n#EXT-X-ENDLIST\n"
        for name in ("list.mp4", "list.m3u8", "list.avi"):
            (tmp_path / name).write_text(hls)
            assert statuses(read_views(clip_of(tmp_path / name), [AUDIO])) == {
                "AudioView": "failed:unreadable"
            }
    waiting.join(timeout=1)
    assert calls == []


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (MediaLimits(most_pixels=1000), "failed:too_large"),
        (MediaLimits(most_bytes=1000), "failed:too_large"),
        (MediaLimits(most_frames_per_second=10), "failed:too_large"),
        (MediaLimits(most_seconds=1.0), "failed:too_long"),
    ],
)
def test_headers_beyond_the_limits_are_refused(clips, clip_of, limits, status):
    assert statuses(read_views(clip_of(clips["face.mp4"]), EVERYTHING, limits)) == all_of(status)


def test_a_short_cut_of_a_long_file_is_within_the_limits(clips, clip_of):
    cut = clip_of(clips["face.mp4"], start=0.5, end=1.0)
    assert statuses(read_views(cut, EVERYTHING, MediaLimits(most_seconds=1.0))) == all_of("ok")


def test_a_cut_takes_sound_and_frames_from_inside_it(clips, clip_of, good):
    found = read_views(clip_of(clips["face.mkv"], start=0.5, end=1.0), (AUDIO, MIDDLE, FIRST, FACES))
    assert good(found[AUDIO]).array.shape == (8000,)
    np.testing.assert_array_equal(
        good(found[AUDIO]).array, read_tone(clips["face.mkv"], clip_of)[8000:16_000]
    )
    assert good(found[FIRST]).times[0] == pytest.approx(0.52, abs=0.021)
    assert good(found[MIDDLE]).times[0] == pytest.approx(0.75, abs=0.021)
    times = good(found[FACES]).times
    assert times.min() >= 0.5
    assert times.max() < 1.0


def read_tone(path, clip_of):
    return read_views(clip_of(path), [AUDIO])[AUDIO].array


def test_a_cut_behind_the_end_has_no_frames_and_no_sound(clips, clip_of):
    found = statuses(read_views(clip_of(clips["face.mkv"], start=30.0, end=31.0), (AUDIO, MIDDLE)))
    assert found == {"AudioView": "missing:no_audio", "FrameView": "failed:no_frames"}


def test_a_live_recording_without_a_duration_is_measured(tmp_path, clip_of, good, face_pictures):
    write_clip(tmp_path / "live.mkv", face_pictures, tone(2.0), live=True)
    found = read_views(clip_of(tmp_path / "live.mkv"), EVERYTHING)
    assert statuses(found) == all_of("ok")
    assert good(found[MIDDLE]).times[0] == pytest.approx(1.0, abs=0.04)


def test_a_cut_in_the_middle_of_a_long_file_is_exact(tmp_path, clip_of, good):
    pictures = [np.full((48, 64, 3), index % 250, np.uint8) for index in range(13 * 25)]
    sound = 0.1 * np.random.default_rng(0).standard_normal(13 * 16_000).astype(np.float32)
    path = write_clip(tmp_path / "long.mkv", pictures, sound)
    found = read_views(clip_of(path, start=11.0, end=12.0), (AUDIO, FIRST))
    whole = good(read_views(clip_of(path), [AUDIO])[AUDIO])
    np.testing.assert_array_equal(good(found[AUDIO]).array, whole.array[176_000:192_000])
    assert good(found[FIRST]).times[0] == pytest.approx(11.0, abs=0.001)
    assert good(found[FIRST]).array.mean() == pytest.approx(11 * 25 % 250, abs=3)


@pytest.mark.parametrize(
    ("codec", "pixels", "name"),
    [
        ("libx264", "yuv444p", "a.mkv"),
        ("libx264", "yuv420p10le", "a.mkv"),
        ("mpeg4", "yuv420p", "a.avi"),
        ("mjpeg", "yuvj420p", "a.avi"),
        ("png", "rgba", "a.mov"),
        ("libvpx-vp9", "yuv420p", "a.webm"),
    ],
)
def test_other_codecs_and_pixel_formats_show_the_same_picture(tmp_path, clip_of, good, codec, pixels, name):
    face = drawn_face(160, 120)
    path = write_clip(
        tmp_path / name, [face] * 3, None, film=Film(codec=codec, pixel_format=pixels, options={})
    )
    found = good(read_views(clip_of(path), [FIRST])[FIRST])
    assert np.abs(found.array.astype(int) - face).mean() < 4


def test_frames_of_a_variable_rate_are_chosen_by_their_time(tmp_path, clip_of, good):
    times = [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3]
    pictures = [np.full((64, 64, 3), 20 * index, np.uint8) for index in range(len(times))]
    path = write_clip(tmp_path / "vfr.mkv", pictures, None, frame_times=times)
    found = good(read_views(clip_of(path), [MIDDLE])[MIDDLE])
    middle = 1.32 / 2  # the last frame is shown for about as long as the rate says
    nearest = int(np.abs(np.array(times) - middle).argmin())
    assert found.times[0] == pytest.approx(times[nearest], abs=0.002)
    assert found.array.mean() == pytest.approx(20 * nearest, abs=4)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_file_is_seen_upright(tmp_path, clip_of, good, rotation):
    upright = [drawn_face(160, 120) for _ in range(3)]
    turned = [np.ascontiguousarray(np.rot90(picture, -rotation // 90)) for picture in upright]
    path = write_clip(tmp_path / "turned.mp4", turned, None, film=Film(rotation=rotation))
    found = good(read_views(clip_of(path), [FIRST])[FIRST])
    assert found.array.shape == upright[0].shape
    assert np.abs(found.array.astype(int) - upright[0]).mean() < 3


def test_sound_of_other_rates_and_channels_becomes_16_khz_mono(tmp_path, clip_of, good):
    path = write_clip(tmp_path / "fast.wav", None, tone(1.0, rate=44_100), sound_rate=44_100)
    found = good(read_views(clip_of(path), [AUDIO])[AUDIO]).array
    assert found.dtype == np.float32
    assert abs(len(found) - 16_000) <= 1
    spectrum = np.abs(np.fft.rfft(found))
    assert spectrum.argmax() == pytest.approx(220, abs=1)
    np.testing.assert_allclose(found[2000:14_000], tone(1.0)[2000:14_000], atol=2e-3)


def test_frequencies_that_16_khz_cannot_hold_are_gone_not_folded(tmp_path, clip_of, good):
    high = tone(1.0, rate=44_100, hertz=11_000.0)
    path = write_clip(tmp_path / "high.wav", None, high, sound_rate=44_100)
    found = good(read_views(clip_of(path), [AUDIO])[AUDIO]).array
    assert np.abs(found[2000:14_000]).max() < 1e-4


def test_sound_that_is_not_finite_is_refused_with_its_place(tmp_path, clip_of):
    from scipy.io import wavfile

    sound = tone(1.0)
    sound[123] = np.nan
    wavfile.write(tmp_path / "nan.wav", 16_000, sound)
    problem = read_views(clip_of(tmp_path / "nan.wav"), [AUDIO])[AUDIO]
    assert problem == ViewProblem(status="failed:nonfinite", reason="the sound is not finite at sample 123")


def test_all_faces_beyond_the_limit_are_refused(clips, clip_of):
    every = FacesView(sampling="all", size=32)
    found = read_views(clip_of(clips["mute.mp4"]), [every], MediaLimits(most_faces=5))
    assert statuses(found) == {"FacesView": "failed:too_long"}


def test_a_sampling_that_is_none_is_a_configuration_error(clips, clip_of):
    with pytest.raises(ConfigError, match="uniform:N"):
        read_views(clip_of(clips["face.mp4"]), [FacesView(sampling="every:3")])


def test_reading_twice_gives_the_same_pixels_and_samples(clips, clip_of):
    first, second = (read_views(clip_of(clips["face.mp4"]), EVERYTHING) for _ in range(2))
    for view in EVERYTHING:
        np.testing.assert_array_equal(first[view].array, second[view].array)
        assert first[view].meta == second[view].meta
