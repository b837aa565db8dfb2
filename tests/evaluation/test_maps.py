"""Maps of clips: the plane, the groups, and a page that cannot be made to run anything."""

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.cache_map import feature_map
from emo.errors import ConfigError
from emo.evaluation.maps import MOST_GROUPS, groups_of, map_page
from emo.evaluation.projection import Plane, on_a_plane
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec


def test_components_explain_what_they_explain_and_repeat():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 6)) * [5, 3, 1, 0.1, 0.1, 0.1]
    plane = on_a_plane(values)
    variance = values.var(axis=0)
    assert plane.explained == pytest.approx(variance[:2] / variance.sum(), abs=0.03)
    np.testing.assert_array_equal(plane.places, on_a_plane(values).places)
    assert plane.axes[0] == f"component 1: {plane.explained[0]:.1%} of the variance"


def test_one_dimension_lies_on_a_line():
    assert not on_a_plane(np.arange(4.0)[:, None]).places[:, 1].any()


@pytest.mark.parametrize("values", [np.ones((2, 4)), np.ones((9, 4))])
def test_too_few_clips_or_clips_that_do_not_differ_are_no_map(values):
    with pytest.raises(ConfigError):
        on_a_plane(values)


def test_rare_groups_are_others_and_no_name_is_said():
    names = [None, "", *(f"g{number}" for number in range(20)), "g7"]
    groups = groups_of(names)
    assert groups[:2] == ["not named", "not named"]
    assert len(set(groups)) == MOST_GROUPS + 1
    assert groups.count("g7") == 2


def test_names_are_escaped_and_the_page_needs_nothing_else():
    hostile = "</title><script>alert(1)</script>"
    plane = Plane(places=np.array([[0.0, 0], [1, 1], [2, 0]]), axes=("a", "b"))
    page = map_page(plane, [hostile, "b", "b"], [hostile, "x&y", "z"], hostile, "note")
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "x&amp;y - b" in page


def test_the_command_writes_both_and_labels_the_tiny_preset(tmp_path):
    arrays = {"frames": ArrayLayout(kind="frames", dim=3)}
    spec = FeatureSpec(
        encoder="mae", weights={"m": "0" * 64}, recipe={}, recipe_version=1, arrays=arrays, preset="tiny"
    )
    rng = np.random.default_rng(0)
    with open_cache(tmp_path / "f.zarr", "a").create(spec).writer("none") as sink:
        for name in "abcd":
            sink.put(Record(clip_id=name, arrays={"frames": rng.normal(size=(5, 3)).astype(np.float32)}))
    (tmp_path / "m.csv").write_text(
        "clip_id,path,label\na,a.mp4,happy\nb,b.mp4,sad\nc,c.mp4,sad\nz,z.mp4,sad\n"
    )
    options = ["--cache", str(tmp_path / "f.zarr"), "-e", "mae", "--manifest", str(tmp_path / "m.csv")]
    done = CliRunner().invoke(
        feature_map, [*options, "--array", "frames", "--out", str(tmp_path / "x/map")], catch_exceptions=False
    )
    assert "3 clips by label" in done.output
    assert "1 clips without the feature" in done.output
    assert (tmp_path / "x/map.png").read_bytes()[:4] == b"\x89PNG"
    assert "tiny preset checks the pipeline" in (tmp_path / "x/map.html").read_text()
    with pytest.raises(ConfigError, match="not 'utterance'"):
        CliRunner().invoke(feature_map, options, catch_exceptions=False)
