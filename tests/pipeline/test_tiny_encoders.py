"""Tiny encoders: who they see, that training trains, and that the shipped weights read what was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from emo.canonical import Json
from emo.config.tiny_encoders import Course, TinyEncodersConfig
from emo.corpora.rendered.face import FaceRenderer
from emo.corpora.rendered.identity import draw_identity
from emo.corpora.rendered.tone import LOWEST, Tone
from emo.corpora.rendered.voice import synthesise
from emo.digests import sha256_file
from emo.errors import NonFiniteLoss
from emo.extractors import mae, make_encoder, tiny
from emo.pipeline import tiny_encoders, tiny_people
from emo.pipeline.tiny_card import Trained, write_card
from emo.pipeline.tiny_encoders import People, make_learner
from emo.pipeline.tiny_filters import coloured_conv, patch_filters, through_filters
from emo.pipeline.tiny_probe import ENCODERS, Reading, readings
from emo.pipeline.tiny_training import Progress, fit, learning_rate
from emo.pipeline.tiny_views import draw_views
from emo.seeds import generator
from emo.views import AudioView, ViewData

SMALL = TinyEncodersConfig(seed=5, clips=8, voices=10, processes=1)
COURSE = Course(steps=10, batch=6, learning_rate=1e-3, warm_up=2)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    torch.set_num_threads(1)
    return People(tmp_path_factory.mktemp("people"), SMALL)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_shipped_file_is_the_one_its_index_entry_names(name: str) -> None:
    entry = tiny.entry(name)
    assert sha256_file(tiny.FOLDER / f"{name}.safetensors") == entry["sha256"]
    assert entry["trained"] is True
    assert entry["config"] == tiny_encoders.CONFIGS[name]


def test_the_shipped_weights_are_a_few_megabytes() -> None:
    assert sum(path.stat().st_size for path in tiny.FOLDER.glob("*.safetensors")) < 12e6


def test_people_trained_on_are_of_a_namespace_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def spied(namespace: str, seed: int, number: int) -> Any:
        drawn.append(namespace)
        return draw_identity(namespace, seed, number)

    monkeypatch.setattr(tiny_people, "draw_identity", spied)
    tiny_people._clip_of_faces(0, 1, tiny_people.Shapes(face=16, frame=16))
    tiny_people._voice(0, 1)
    assert drawn == ["encoder-training"] * 2


def test_nobody_trained_on_turns_up_in_a_corpus_of_the_same_seed() -> None:
    corpus = {draw_identity("corpus", 1, number).shape for number in range(60)}
    assert not corpus & {draw_identity(tiny_people.NAMESPACE, 1, number).shape for number in range(60)}


def test_the_same_seed_renders_the_same_people(people: People, tmp_path: Path) -> None:
    again = People(tmp_path, SMALL)
    for name in ("waves", "tone", "loudness", "pitch"):
        np.testing.assert_array_equal(getattr(again.voices, name), getattr(people.voices, name))
    other = tiny_people._voice(0, SMALL.seed + 1)
    assert not np.array_equal(other.waves, people.voices.waves[0])


def test_rendered_people_are_found_again(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    before = np.array(people.faces.units)

    def refused(*_: object) -> None:
        raise AssertionError("rendered twice")

    monkeypatch.setattr(tiny_encoders, "render_faces", refused)
    np.testing.assert_array_equal(People(people._scratch, SMALL).faces.units, before)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_few_steps_lower_the_loss(name: str, people: People) -> None:
    learner = make_learner(name, people, seed=0)

    def loss() -> float:
        with torch.inference_mode():
            return float(learner.loss(np.random.default_rng(0), 8))

    before = loss()
    last = list(fit(learner, COURSE, np.random.default_rng(1)))[-1]
    assert loss() < before
    assert last.step == last.steps == COURSE.steps
    assert last.scores and all(np.isfinite(score) for score in last.scores.values())


def test_training_writes_weights_that_the_extractors_load(people: People, tmp_path: Path) -> None:
    config = TinyEncodersConfig(seed=5, clips=8, voices=10, processes=1, mae=COURSE)
    steps = list(tiny_encoders.train_tiny_encoders(tmp_path, people._scratch, config, only=["mae"]))
    assert steps[-1][1].step == COURSE.steps
    tiny.load("mae", mae.build_tiny(), tmp_path)
    assert tiny.entry("mae", tmp_path)["trained"] is True


def test_a_loss_that_is_not_finite_stops_the_training(people: People) -> None:
    learner = make_learner("hubert", people, seed=0)
    with torch.no_grad():
        next(iter(learner.heads.parameters())).fill_(float("nan"))
    with pytest.raises(NonFiniteLoss, match="step 1 of 10"):
        next(fit(learner, COURSE, np.random.default_rng(0)))


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    course = Course(steps=100, batch=1, learning_rate=1.0, warm_up=10)
    rates = [learning_rate(step, course) for step in range(1, 101)]
    assert rates[0] < 0.11
    assert max(rates) == rates[9]
    assert rates[-1] < 0.001


def test_a_first_layer_of_colour_gives_what_the_grey_filters_gave() -> None:
    rng = np.random.default_rng(0)
    grey = torch.from_numpy(rng.standard_normal((40, 16, 16), dtype=np.float32))
    filters = patch_filters(grey, torch.from_numpy(rng.standard_normal((40, 3), dtype=np.float32)), 8, 12, 2)
    colour = functional.interpolate(grey[:, None], scale_factor=2).expand(-1, 3, -1, -1)
    conv = functional.conv2d(colour, coloured_conv(filters, 8, 16), filters.bias, stride=16)
    through = through_filters(grey, filters, 8)
    torch.testing.assert_close(conv.flatten(2).transpose(1, 2), through, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        through.flatten(0, 1).var(dim=0, correction=0), torch.ones(12), atol=0.01, rtol=0
    )


def test_a_regressing_filter_finds_the_target_planted_in_a_patch() -> None:
    rng = np.random.default_rng(0)
    grey = torch.from_numpy(rng.standard_normal((400, 8, 8), dtype=np.float32))
    planted = grey[:, 5, 6] - grey[:, 4, 7]  # in the last of four patches
    filters = patch_filters(grey, planted[:, None], 4, 4, 1)
    seen = through_filters(grey, filters, 4)[:, 3, 3]
    assert abs(float(torch.corrcoef(torch.stack([seen, planted]))[0, 1])) > 0.95


def test_a_mirrored_view_mirrors_picture_and_box() -> None:
    views = draw_views(np.random.default_rng(0), views=4, clips=3, shift=0.05, zoom=0.1)
    view, clip = (int(at) for at in torch.nonzero(views.mirror < 0)[0])
    picture = torch.zeros(1, 64, 64)
    picture[:, 20:30, 8:18] = 1
    box = torch.tensor([8.0, 20.0, 18.0, 30.0]).div(64).expand(5, 3, 1, 4)
    placed = views.place(box)[view, clip, 0] * 32
    seen = views.look(picture, view, clip, 32)[0]
    assert placed[0] > 16, "the box has changed sides"
    rows, columns = (seen.sum(dim=axis) / seen.sum() for axis in (1, 0))
    at = torch.arange(32) + 0.5
    assert float((rows * at).sum()) == pytest.approx(float(placed[1::2].mean()), abs=0.3)
    assert float((columns * at).sum()) == pytest.approx(float(placed[0::2].mean()), abs=0.3)


def test_view_zero_is_the_picture_as_it_is() -> None:
    views = draw_views(np.random.default_rng(0), views=1, clips=1, shift=0.1, zoom=0.1)
    picture = torch.rand(2, 32, 32)
    torch.testing.assert_close(views.look(picture, 0, 0, 16), functional.avg_pool2d(picture, 2))


@pytest.mark.parametrize("semitones", [2.0, 11.0])
def test_the_measured_pitch_is_the_planted_one(semitones: float) -> None:
    tone = Tone(pitch=semitones, melody=0, energy=0, tempo=3, jitter=0, tilt=-8, rise=0, tremor=0)
    rng = generator("test", 0)
    wave = synthesise(draw_identity("test", 0, 0), tone, 2.0, rng)
    times = (np.arange(100) + 0.5) / 50
    measured = tiny_people.measured_pitch(wave, tone, times)
    loud = np.array([np.abs(wave[round(time * 16000) :][:320]).max() > 0.1 for time in times])
    assert np.median(np.abs(measured[loud] - semitones)) < 0.3


def test_shipped_mae_features_tell_raised_brows_from_a_resting_face() -> None:
    states = ({}, {1: 0.9, 2: 0.9})
    faces = np.stack([[_face(number, units) for units in states] for number in range(24)])
    data = ViewData(array=faces.reshape(-1, 96, 96, 3), times=np.arange(48.0))
    features = make_encoder("mae", device="cpu").encode([{mae.TINY_FACES: data}])[0]["frames"]
    change = features[1::2] - features[0::2]
    direction = change[:12].mean(axis=0)
    assert np.mean(change[12:] @ direction > 0) > 0.9
    middle = (features[:24] @ direction).mean()
    assert np.mean((features[24:] @ direction > middle) == np.tile([False, True], 12)) > 0.8


def test_shipped_hubert_features_tell_a_loud_voice_from_a_quiet_one() -> None:
    tones = [
        Tone(pitch=8, melody=1, energy=energy, tempo=4, jitter=0.01, tilt=-9, rise=0, tremor=0)
        for energy in (-6, 4)
    ]
    waves = [
        synthesise(draw_identity("test", 0, number), tone, 1.5, generator("test", 1, number))
        for number in range(12)
        for tone in tones
    ]
    batch = [{AudioView(): ViewData(array=wave, times=np.zeros(1))} for wave in waves]
    features = np.stack([found["utterance"] for found in make_encoder("hubert", device="cpu").encode(batch)])
    direction = (features[1:12:2] - features[0:12:2]).mean(axis=0)
    middle = (features[:12] @ direction).mean()
    assert np.mean((features[12:] @ direction > middle) == np.tile([False, True], 6)) > 0.9


def test_readings_find_what_is_linear_and_nothing_in_noise() -> None:
    rng = np.random.default_rng(0)
    labels, splits = rng.choice(["a", "b", "c"], 240), np.repeat(["train", "val", "test"], 80)
    planted = np.array([[label == each for each in "abc"] for label in labels], np.float32)
    features = {"told": planted + 0.3 * rng.standard_normal((240, 3)), "noise": rng.standard_normal((240, 3))}
    found = readings({name: values.astype(np.float32) for name, values in features.items()}, labels, splits)
    assert found["told"].test > 0.8
    assert found["noise"].test < 0.55
    assert found["fused"].test > 0.8


def test_the_card_says_what_was_measured_and_what_it_is_not(tmp_path: Path) -> None:
    config: Json = {"a": 1}
    tiny.save("mae", torch.nn.Linear(2, 2), config, trained=True, trained_by="test", folder=tmp_path)
    progress = Progress(step=3, steps=3, loss=0.5, scores={"units": 0.47})
    write_card(
        tmp_path,
        SMALL,
        {"mae": Trained(progress=progress, cpu_seconds=12)},
        {"fused": Reading(val=0.6, test=0.5)},
    )
    text = (tmp_path / "card.md").read_text()
    for part in ("check of the pipeline", "units 0.47", "| fused | 0.60 | 0.50 |", "encoder-training", "MIT"):
        assert part in text


def test_lowest_tone_bounds_the_targets() -> None:
    assert tiny_people._voice(3, 1).tone.min() >= 0
    assert tiny_people._voice(3, 1).tone.max() <= 1
    assert LOWEST.pitch == -4


def _face(number: int, units: dict[int, float]) -> np.ndarray[Any, Any]:
    from PIL import Image

    renderer = FaceRenderer(draw_identity("test", 3, number), generator("test", 3, number))
    picture, box = renderer.frame(units)
    x, y, side = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 1.2 * (box[3] - box[1])
    square = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return np.asarray(Image.fromarray(picture).resize((96, 96), Image.Resampling.BICUBIC, box=square))
