"""`emo cache privacy`: a figure for each space, a sentence for people, a refusal where there are too few."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.cli.main import exit_code
from emo.corpora import clips_in
from emo.errors import ConfigError
from emo.pipeline.privacy import cache_privacy, privacy_table
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

SPEAKERS, CLIPS = 10, 6


@pytest.fixture
def world(tmp_path):
    """A manifest of ten speakers and three spaces: one of the voice, one of noise, one with three clips."""
    rng = np.random.default_rng(0)
    rows = [(f"{speaker}/{clip}", f"s{speaker}") for speaker in range(SPEAKERS) for clip in range(CLIPS)]
    manifest = tmp_path / "m.jsonl"
    lines = [{"clip_id": clip_id, "path": "x.mp4", "speaker": speaker} for clip_id, speaker in rows]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"path": "nobody.mp4"}]))
    places = {speaker: rng.normal(size=16) * 4 for _, speaker in rows}
    cache = open_cache(tmp_path / "f.zarr", "a")
    kinds = {
        "voice": {"frames": ArrayLayout(kind="frames", dim=16), "u": ArrayLayout(kind="utterance", dim=16)},
        "noise": {"tokens": ArrayLayout(kind="tokens", dim=16, tokens=3)},
        "few": {"frames": ArrayLayout(kind="frames", dim=16)},
    }
    for name, arrays in kinds.items():
        spec = FeatureSpec(encoder=name, weights={}, recipe={}, recipe_version=1, arrays=arrays)
        with cache.create(spec).writer("none") as writer:
            for clip_id, speaker in rows if name != "few" else rows[:3]:
                noise = rng.normal(size=(3, 16))
                values = {
                    "voice": {"frames": noise, "u": places[speaker] + noise[0]},
                    "noise": {"tokens": noise},
                    "few": {"frames": noise},
                }[name]
                writer.put(Record(clip_id=clip_id, arrays=values))
    return tmp_path


def test_each_space_gets_its_figure_and_its_sentence(world):
    found = cache_privacy(open_cache(world / "f.zarr"), clips_in(world / "m.jsonl")[0])
    few, noise, voice = found
    assert voice.vector == "u"
    assert voice.found.nearest.point == 1.0
    assert "these features tell who speaks. With 10 speakers enrolled, 100%" in voice.sentence
    assert noise.vector == "mean of tokens"
    assert not noise.found.above_chance
    assert "no proof of anonymity" in noise.sentence
    assert few.found is None
    assert "not measured. 0 of 1 speakers have 4 clips" in few.sentence
    assert privacy_table(found).count("\n") == 4


def test_the_command_prints_a_table_or_one_object(world):
    words = ["cache", "privacy", "--cache", str(world / "f.zarr"), "--manifest", str(world / "m.jsonl")]
    shown = CliRunner().invoke(command, words)
    assert shown.exit_code == 0
    assert "| voice/" in shown.stdout
    assert "1.000 [1.000, 1.000]" in shown.stdout
    told = json.loads(CliRunner().invoke(command, [*words, "--encoder", "voice", "--json"]).stdout)
    (space,) = told["spaces"]
    assert space["found"]["eer"]["point"] < 0.05
    assert space["found"]["held_out"] == SPEAKERS * CLIPS / 2
    assert space["sentence"].startswith("voice/")


def test_nothing_is_said_where_nothing_can_be(world, tmp_path):
    words = ["cache", "privacy", "--cache", str(world / "f.zarr"), "--manifest", str(world / "m.jsonl")]
    failed = CliRunner().invoke(command, [*words, "--encoder", "few"])
    assert exit_code(failed.exception) == 2
    assert "8 are needed" in str(failed.exception)
    with pytest.raises(ConfigError, match="has a speaker"):
        cache_privacy(open_cache(world / "f.zarr"), [])
    with pytest.raises(ConfigError, match="is empty"):
        cache_privacy(open_cache(tmp_path / "empty.zarr", "a"), clips_in(world / "m.jsonl")[0])
