"""Reading clips in limited workers: the same views as in this process, and one bad clip costs itself."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.clip import Clip
from emo.config.extract import MediaLimits
from emo.errors import ConfigError
from emo.extractors.media import read_views
from emo.extractors.reading import Asked, guards, read_ahead, read_views_limited
from emo.testing import tone, write_clip
from emo.views import AudioView, FacesView, FrameView, ViewData

SOUND, FIRST = AudioView(), FrameView("first")
FACES = FacesView(sampling="uniform:16", size=64, box="median", detect=4)
EVERY_FACE = FacesView(sampling="all", size=32)


def asked(key, path, *views):
    return Asked(key=key, clip=Clip(clip_id=str(key), path=path), views=frozenset(views))


def words(reading):
    return sorted({getattr(view, "status", "ok") for view in reading.views.values()})


def test_views_are_those_of_this_process_to_the_last_bit(clips):
    views = (SOUND, FIRST, FACES)
    clip = Clip(clip_id="a", path=clips["face.mp4"])
    here, there = read_views(clip, views), read_views_limited(clip, views)
    for view in views:
        assert isinstance(there[view], ViewData)
        np.testing.assert_array_equal(there[view].array, here[view].array)
        np.testing.assert_array_equal(there[view].times, here[view].times)
        assert (there[view].meta, there[view].flags) == (here[view].meta, here[view].flags)


@pytest.mark.parametrize("jobs", [1, 3])
def test_readings_come_in_the_order_in_which_they_were_asked_for(clips, jobs):
    names = ["face.mkv", "sound.wav", "silent.mp4", "mute.mp4"] * 3
    wanted = (asked(number, clips[name], SOUND) for number, name in enumerate(names))
    assert [reading.key for reading in read_ahead(wanted, jobs=jobs)] == list(range(12))


def test_no_more_than_two_clips_a_worker_are_begun_ahead(clips):
    begun = []

    def source():
        for number in range(10):
            begun.append(number)
            yield asked(number, clips["sound.wav"], SOUND)

    readings = read_ahead(source(), jobs=2)
    next(readings)
    assert len(begun) == 4
    readings.close()


def test_a_clip_that_needs_more_memory_than_allowed_costs_itself(tmp_path, clips):
    large = write_clip(tmp_path / "large.mp4", [np.full((4800, 4800, 3), 90, np.uint8)], None)
    wanted = [asked(0, clips["mute.mp4"], FIRST), asked(1, large, FIRST), asked(2, clips["mute.mp4"], FIRST)]
    found = list(read_ahead(wanted, MediaLimits(most_memory=64 << 20), jobs=1))
    assert [words(reading) for reading in found] == [["ok"], ["failed:out_of_memory"], ["ok"]]
    assert found[1].views[FIRST].reason


def test_a_clip_that_takes_too_long_costs_itself(clips):
    names = ("sound.wav", "face.mkv", "sound.wav")
    views = (SOUND, EVERY_FACE, SOUND)
    wanted = [asked(*one) for one in zip(range(3), (clips[name] for name in names), views, strict=True)]
    found = list(read_ahead(wanted, MediaLimits(most_wall_seconds=0.15), jobs=1))
    assert words(found[1]) == ["failed:timeout"]


def workers_of(process):
    """Process ids of the limited workers of a process: the children of its child."""
    return [pid for child in children(process) for pid in children(child)]


def children(parent):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def test_a_worker_that_dies_at_work_costs_its_clip(clips):
    limits = MediaLimits(most_memory=3 << 30)  # workers of their own
    wanted = [asked(number, clips["face.mkv"], EVERY_FACE) for number in range(3)]
    readings = read_ahead(wanted, limits, jobs=1)
    before = set(workers_of(os.getpid()))
    first = next(readings)  # the second is under way
    for pid in set(workers_of(os.getpid())) - before:
        os.kill(pid, signal.SIGSEGV)
    second, third = readings
    assert words(first) == words(third) == ["ok"]
    assert words(second) == ["failed:crashed"]
    assert "SIGSEGV" in second.views[EVERY_FACE].reason


def test_a_sampling_that_is_none_is_still_a_configuration_error(clips):
    with pytest.raises(ConfigError, match="uniform:N"):
        read_views_limited(Clip(clip_id="a", path=clips["face.mp4"]), [FacesView(sampling="every:3")])


def test_the_guards_say_whether_the_network_is_cut():
    assert guards().network in ("cut", "open")


@pytest.mark.parametrize(
    "way",
    [signal.SIGINT, *(pytest.param(way, marks=pytest.mark.soak) for way in (signal.SIGTERM, signal.SIGUSR1))],
)
def test_a_stopped_extraction_leaves_no_process_and_goes_on_later(tmp_path, way):
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(12):
        write_clip(folder / f"{number}.wav", None, tone(2.0 + number / 100))
    words = ["-q", "extract", str(folder), "--encoder", "hubert", "--jobs", "2", "--preset", "tiny"]
    words += ["--cache", str(tmp_path / "f.zarr")]
    running = subprocess.Popen(
        [sys.executable, "-m", "emo", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while running.poll() is None and not workers_of(running.pid):
        time.sleep(0.02)
    ours = [*children(running.pid), *workers_of(running.pid)]
    running.send_signal(way)
    _, said = running.communicate(timeout=60)
    assert "what is stored is safe" in said
    deadline = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{pid}") for pid in ours) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in ours if os.path.exists(f"/proc/{pid}")]
    assert running.returncode == 75
    done = CliRunner().invoke(emo, words, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("12 clips:")
