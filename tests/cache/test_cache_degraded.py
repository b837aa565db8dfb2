"""Records of damaged media: left alone unless the one who opens the cache accepts them."""

import pickle

import numpy as np
import pytest

from emo.cache import open_cache
from emo.errors import CacheMiss, ConfigError
from emo.heads.loader import load_features
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

WHY = "degraded:truncated"


@pytest.fixture
def cache(tmp_path):
    layout = ArrayLayout(kind="utterance", dim=3)
    spec = FeatureSpec(
        encoder="hubert", weights={"w": "0" * 64}, arrays={"utterance": layout}, recipe={}, recipe_version=1
    )
    with open_cache(tmp_path / "f.zarr", "a").create(spec).writer() as writer:
        for clip_id, status in (("whole", "ok"), ("torn", WHY)):
            arrays = {"utterance": np.ones(3, np.float32)}
            writer.put(Record(clip_id=clip_id, arrays=arrays, status=status))
        writer.put(Record(clip_id="gone", status="failed:unreadable", reason="no film"))
    return tmp_path / "f.zarr"


def present(space):
    return load_features({"hubert": space}, ["whole", "torn", "gone"], {}).masks["hubert"].tolist()


def test_a_degraded_record_is_not_there_to_learn_from(cache):
    space = open_cache(cache)["hubert"]
    assert list(space) == ["whole"]
    assert space.info("torn").status == WHY
    with pytest.raises(CacheMiss, match="degraded"):
        space["torn"]
    assert present(space) == [True, False, False]


def test_a_degraded_record_that_is_accepted_is_used_and_says_what_it_is(cache):
    space = open_cache(cache, accept_degraded=True)["hubert"]
    for same in (space, pickle.loads(pickle.dumps(space))):
        assert sorted(same) == ["torn", "whole"]
        assert (same.info("torn").status, same.info("torn").reason) == ("ok", WHY)
        assert present(same) == [True, True, False]


def test_a_cache_that_is_written_shows_records_as_they_are(cache):
    with pytest.raises(ConfigError, match="as they are"):
        open_cache(cache, "a", accept_degraded=True)
