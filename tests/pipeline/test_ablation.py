"""The ablation from clips to rows: what a set lacks it never reads. One step of training: no figures."""

from dataclasses import replace

import numpy as np
import pytest

from emo.cache import open_cache
from emo.config.demo import DemoConfig
from emo.config.llm import TinyBaseConfig
from emo.digests import StatCache
from emo.extractors import make_encoder
from emo.llm.card import read_card
from emo.pipeline.ablation import SETS, run_ablation
from emo.pipeline.ablation_figure import ablation_figure
from emo.pipeline.demo_steps import CLIPS, STORE, rendered_clips
from emo.pipeline.inputs import InputDigests
from emo.records import Record

RECIPE = """\
labels: [neutral, angry, happy, sad, worried, surprise]
standardise: true
projector_scale: 0.1
stages:
  fine: {tasks: {emotion: 0.5, explain: 0.5}, steps: 1, batch_size: 4, warmup_steps: 1, peak_lr: 1.0e-3}
"""


@pytest.fixture
def config(tmp_path):
    """The road under `tmp_path / "road"` as far as features. These are random and the films are empty:
    what is there already is kept, and rendering and encoders are tested elsewhere."""
    recipe = tmp_path / "short.yaml"
    recipe.write_text(RECIPE)
    base = TinyBaseConfig(
        hidden=32, layers=1, heads=2, intermediate=64, steps=2, batch_size=4, warmup_steps=1
    )
    config = DemoConfig(clips=24, recipe=str(recipe), base=base, shuffles=1)
    films = tmp_path / "road" / CLIPS / "clips" / "000"
    films.mkdir(parents=True)
    for number in range(config.clips):
        (films / f"sample_{number:08d}.mp4").touch()
    clips = rendered_clips(tmp_path / "road", config, 1, lambda *_: None)
    cache = open_cache(tmp_path / "road" / STORE, "a")
    files, rng = StatCache(None), np.random.default_rng(0)
    assert {clip.path.stat().st_size for clip in clips} == {0}
    for name in config.encoders:
        encoder = make_encoder(name, preset=config.preset)
        made_of = InputDigests(clips, files).of(encoder.needs)
        with cache.create(encoder.spec).writer("none") as sink:
            for clip in clips:
                arrays = {key: drawn(layout, rng) for key, layout in encoder.spec.arrays.items()}
                sink.put(Record(clip_id=clip.clip_id, arrays=arrays, input_sha256=made_of[clip.clip_id]))
    return config


def drawn(layout, rng):
    rows = {"utterance": (), "frames": (3,), "tokens": (layout.tokens,)}[layout.kind]
    return rng.standard_normal((*rows, layout.dim)).astype(layout.dtype)


@pytest.mark.slow
def test_every_set_reads_its_modalities_and_no_other(config, tmp_path):
    words, whole = (one for one in SETS if one.name in ("T", "AVT"))
    mute = replace(whole, name="A", features=("hubert",), text=False)
    rows = list(run_ablation(tmp_path / "road", config, (words, mute, whole), jobs=1))
    for row, one in zip(rows, (words, mute, whole), strict=True):
        card = read_card(tmp_path / "road" / "ablation" / one.name)
        assert (set(card.dims), card.config.text) == (set(one.features), one.text)
        assert (row.shuffled_f1 is None) == (not one.features)
        told = row.to_json()
        assert (told["set"], told["n"], told["reasons"]["n"]) == (one.name, 8, 8)
    assert [one.scored.truth for one in rows] == [rows[0].scored.truth] * 3


def test_the_figure_has_a_bar_a_set_and_a_point_a_seed():
    result = {
        "pooled": {"A": {"weighted_f1": 0.4, "ci": [0.3, 0.5]}, "T": {"weighted_f1": 0.2, "ci": [0.1, 0.3]}},
        "rows": [
            {"set": name, "seed": seed, "weighted_f1": value + seed / 100, "shuffled_weighted_f1": shuffled}
            for seed in (0, 1)
            for name, value, shuffled in (("A", 0.4, 0.15), ("T", 0.2, None))
        ],
    }
    axes = ablation_figure(result).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A", "T"]
    assert [round(bar.get_width(), 3) for bar in axes.patches] == [0.4, 0.2]
    places = np.concatenate([np.ravel(line.get_xdata()) for line in axes.lines])
    assert {0.4, 0.41, 0.2, 0.21, 0.15} <= set(np.round(places, 3))
