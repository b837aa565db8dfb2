"""A clip of one half of the picture: what the other half shows is never seen."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.clip import Clip
from emo.errors import ConfigError
from emo.extractors.media import read_views
from emo.testing import Film, drawn_face, tone, write_clip
from emo.views import FacesView, FrameView, MomentView, ViewProblem

FACES = FacesView(sampling="uniform:2", size=32)
WHOLE = FrameView("middle")
GREY = np.full((120, 161, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def dialogue(tmp_path_factory):
    """Half a second: a small face on the left of a red wall, a large one on the right of a grey one."""
    left = drawn_face(160, 120, size=0.5).copy()
    left[:8] = (200, 0, 0)
    pictures = [np.concatenate([left, drawn_face(160, 120, size=0.85)], axis=1)] * 12
    return write_clip(tmp_path_factory.mktemp("dialogue") / "talk.mp4", pictures, tone(0.5))


def test_each_half_has_its_own_faces_and_its_own_frames(dialogue, clip_of, good):
    views = [FACES, WHOLE, FrameView("peak"), MomentView(0.2)]
    halves = {
        region: {view: good(found) for view, found in read_views(clip, views).items()}
        for region in (None, "left-half", "right-half")
        for clip in [clip_of(dialogue, region=region)]
    }
    whole = halves.pop(None)
    for view in views[1:]:
        left, right = (halves[region][view].array for region in ("left-half", "right-half"))
        assert left.shape == right.shape == (120, 160, 3)
        assert left[3, :, 0].mean() > 150 > right[3, :, 0].mean()
        assert np.abs(np.concatenate([left, right], axis=1) - whole[view].array.astype(int)).max() < 30
    widths = [np.diff(halves[region][FACES].meta["median_box"][::2])[0] for region in halves]
    assert widths[1] > 1.3 * widths[0]
    assert max(halves["right-half"][FACES].meta["median_box"][::2]) < 160
    assert whole[FACES].meta["median_box"][0] > 160  # the largest of both
    assert [halves[region][WHOLE].meta["region"] for region in halves] == list(halves)
    assert "region" not in whole[WHOLE].meta


def test_a_half_without_anybody_has_no_face(tmp_path, clip_of, good):
    pictures = [np.concatenate([drawn_face(160, 120), GREY], axis=1)[:, :-1]] * 6
    path = write_clip(tmp_path / "one.mp4", pictures, None)
    good(read_views(clip_of(path, region="left-half"), [FACES])[FACES])
    found = read_views(clip_of(path, region="right-half"), [FACES])[FACES]
    assert isinstance(found, ViewProblem)
    assert found.status == "missing:no_face"


def test_a_policy_and_a_number_count_the_people_of_the_half(dialogue, clip_of, good):
    view = FacesView(sampling="uniform:2", size=32, policy="active")
    found = good(read_views(clip_of(dialogue, region="left-half", person=1), [view])[view])
    assert len(found.meta["people"]) == 1
    beyond = read_views(clip_of(dialogue, region="left-half", person=2), [view])[view]
    assert beyond.reason == "person 2 is asked for, 1 are seen"


@pytest.mark.parametrize("quarter", [90, 180, 270])
def test_a_half_is_that_of_the_upright_picture(tmp_path, clip_of, good, quarter):
    upright = np.full((160, 96, 3), 40, np.uint8)
    upright[:, :48] = 220
    stored = np.rot90(upright, -quarter // 90)
    path = write_clip(tmp_path / "turned.mp4", [stored] * 3, None, film=Film(rotation=quarter))
    left, right = (
        good(read_views(clip_of(path, region=region), [WHOLE])[WHOLE]).array
        for region in ("left-half", "right-half")
    )
    assert left.shape == right.shape == (160, 48, 3)
    assert left[:, :40].min() > 180 > 80 > right[:, 8:].max()


def test_the_middle_column_of_an_odd_width_is_in_neither_half(tmp_path, clip_of, good):
    picture = np.zeros((64, 65, 3), np.uint8)
    picture[:, :32], picture[:, 32] = 80, 255
    film = Film(codec="ffv1", pixel_format="bgr0", options={})
    path = write_clip(tmp_path / "odd.mkv", [picture] * 3, None, film=film)
    halves = [
        good(read_views(clip_of(path, region=region), [WHOLE])[WHOLE]).array
        for region in ("left-half", "right-half")
    ]
    assert [np.unique(half).tolist() for half in halves] == [[80], [0]]
    assert {half.shape for half in halves} == {(64, 32, 3)}


def test_the_command_takes_both_speakers_of_a_recording_from_a_manifest(dialogue, tmp_path):
    rows = [{"path": str(dialogue), "region": f"{side}-half"} for side in ("left", "right")]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    arguments = ["extract", str(manifest), "-e", "mae,eva,hubert", "--preset", "tiny", "--jobs", "1"]
    result = CliRunner().invoke(
        command, [*arguments, "--cache", str(tmp_path / "f.zarr")], catch_exceptions=False
    )
    assert result.exit_code == 0
    store = open_cache(tmp_path / "f.zarr")
    left, right = (str(dialogue.with_suffix("")) + f"#{side}-half" for side in ("left", "right"))
    for name, array in (("mae", "utterance"), ("eva", "tokens")):
        assert np.abs(store[name].read(left, array) - store[name].read(right, array)).max() > 0.01
    assert (store["hubert"].read(left, "utterance") == store["hubert"].read(right, "utterance")).all()
    assert store["mae"].meta(left)["faces"]["region"] == "left-half"


def test_a_clip_of_another_region_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="region is 'top-half', not left-half or right-half"):
        Clip(clip_id="a", path=tmp_path / "a.mp4", region="top-half")
