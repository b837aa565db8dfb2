"""A modality left out is left out everywhere: no subtitle without `text`, no projector without features."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from emo.clip import Clip
from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.features import slot_arrays
from emo.llm.tiny.base import make_tiny_base
from emo.llm.training import forward
from emo.llm.training.runs import RunStarted, run_llm
from emo.pipeline.systems import answer_all, load_system


class Voices:
    """A space of HuBERT vectors, the same for every clip."""

    def __init__(self, spec):
        self.spec = spec

    def info(self, clip_id):
        return SimpleNamespace(status="ok")

    def read_many(self, clip_ids, array):
        return [np.arange(12, dtype=np.float32) for _ in clip_ids]


@pytest.fixture
def spaces(kit):
    return {"hubert": Voices(kit.spec("hubert"))}


@pytest.fixture
def clips(texts, tmp_path):
    splits = ["train"] * 24 + ["val"] * 6 + ["test"] * 6
    return [
        Clip(clip_id=each.clip_id, path=tmp_path, text=each.text, label=each.label, split=split)
        for each, split in zip(texts, splits, strict=True)
    ]


@pytest.fixture
def folder(texts, tiny_settings, tmp_path):
    list(make_tiny_base(texts, MER2023, tmp_path / "base", tiny_settings))
    return tmp_path


def test_a_stage_without_features_reads_the_words_alone(clips, texts, config, folder):
    stage = replace(config.stages["coarse"], modality_dropout=0.5)
    config = replace(config, stages={"coarse": stage})
    events = list(run_llm(clips, texts, {}, str(folder / "base"), config, folder / "run", seed=0))
    counts = next(event.counts for event in events if isinstance(event, RunStarted))
    assert counts.projectors == 0 < counts.lora
    system = load_system(folder / "run")
    answers = list(answer_all(system, clips[30:], {}))
    assert [answer.clip_id for answer in answers] == [clip.clip_id for clip in clips[30:]]
    assert all(answer.features == answer.missing == () for answer in answers)
    said = "".join(part for part in system.questions(clips[30:31])[0] if isinstance(part, str))
    assert clips[30].text in said


def test_without_text_no_prompt_quotes_a_subtitle(clips, texts, config, folder, spaces, monkeypatch):
    seen = []
    whole = forward.ask
    monkeypatch.setattr(forward, "ask", lambda *given: seen.append(whole(*given)) or seen[-1])
    config = replace(config, text=False)
    list(run_llm(clips, texts, spaces, str(folder / "base"), config, folder / "run", seed=0))
    system = load_system(folder / "run")
    asked = [*seen, *system.questions(clips)]
    assert len(asked) >= 2 * config.stages["coarse"].batch_size + len(clips)
    for prompt in asked:
        words = "".join(part for part in prompt if isinstance(part, str))
        assert "[INST]" in words
        assert "The person in video says" not in words


def test_nothing_to_read_is_refused(clips, texts, config, folder):
    with pytest.raises(ConfigError, match="nothing to read"):
        list(
            run_llm(
                clips,
                texts,
                {},
                str(folder / "base"),
                replace(config, text=False),
                folder / "run",
                seed=0,
            )
        )


def test_frames_in_bins_are_refused_where_a_slot_has_no_mask_for_them():
    with pytest.raises(ConfigError, match="mae as frames:bins16: only heads read frames in bins"):
        slot_arrays(("mae", "hubert"), {"mae": "frames:bins16"})
    assert slot_arrays(("mae",), {"mae": "frames:mean+std"}) == {"mae": "frames:mean+std"}
