"""Reasons of the rendered corpus are scored against what was drawn."""

from dataclasses import replace

import pytest

from emo.clip import Clip
from emo.config.corpus import CorpusConfig
from emo.corpora.rendered.cast import cast_corpus
from emo.corpora.rendered.clues import LEXICON, clues_of
from emo.corpora.rendered.merr import Annotation, write_merr
from emo.corpora.rendered.planning import plan_clip
from emo.errors import ConfigError
from emo.evaluation.reasons import named_clues
from emo.labels import MER2023
from emo.pipeline.answers import Answer
from emo.pipeline.score import score_rendered_reasons


@pytest.fixture(scope="module")
def annotations():
    config = CorpusConfig(clips=36, seed=4)
    planned = [plan_clip(config, role) for role in cast_corpus(config)]
    return [
        Annotation(clip_id=each.role.clip_id, frames=50, peak_frame=each.peak_frame,
                   performance=each.performance, texts=each.texts)
        for each in planned
    ]  # fmt: skip


@pytest.fixture(scope="module")
def merr(annotations, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merr")
    write_merr(folder, annotations)
    return folder


@pytest.fixture
def clips(annotations, tmp_path):
    return [
        Clip(clip_id=each.clip_id, path=tmp_path / "x.mp4", label=each.performance.label, speaker=str(n % 6))
        for n, each in enumerate(annotations)
    ]


def answered(annotations):
    return [
        Answer(clip_id=each.clip_id, label=each.performance.label, probabilities={}, text=each.texts.reason)
        for each in annotations
    ]


def test_the_corpus_own_reasons_name_exactly_their_clues(annotations):
    for each in annotations:
        assert named_clues(each.texts.reason, LEXICON) == clues_of(each.coarse())[0]


def test_the_corpus_own_reasons_score_full_marks(annotations, clips, merr):
    scores = score_rendered_reasons(clips, answered(annotations), merr, MER2023)
    assert scores.clue_f1.point == scores.names_label.point == 1
    assert scores.chance_f1 < 0.5 and scores.clue_f1.clusters == 6


def test_reasons_of_other_clips_score_near_chance(annotations, clips, merr):
    answers = answered(annotations)
    moved = [
        replace(one, text=other.text) for one, other in zip(answers, answers[1:] + answers[:1], strict=True)
    ]
    scores = score_rendered_reasons(clips, moved, merr, MER2023)
    assert scores.clue_f1.low < 0.5 and scores.names_label.point < 1


def test_a_clip_without_annotation_is_named(clips, annotations, merr, tmp_path):
    with pytest.raises(ConfigError, match="36 clips"):
        score_rendered_reasons(clips, answered(annotations), tmp_path, MER2023)
