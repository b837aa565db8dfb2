"""Captions and reasons are short, say what was planted, and give the class away only where they should."""

import re

import numpy as np
import pytest

from emo import wording
from emo.config.corpus import CorpusConfig
from emo.corpora.rendered.cast import cast_corpus
from emo.corpora.rendered.identity import draw_identity
from emo.corpora.rendered.openface import PRESENCE_ONLY
from emo.corpora.rendered.performance import plan_performance
from emo.corpora.rendered.planning import plan_clip
from emo.corpora.rendered.texts import tone_word, write_subtitle, write_texts
from emo.corpora.rendered.tone import Tone
from emo.corpora.rendered.units import EXPRESSIVE
from emo.labels import MERR, parse_label

CONFIG = CorpusConfig(clips=270, labels=MERR)


@pytest.fixture(scope="module")
def planned():
    return [plan_clip(CONFIG, role) for role in cast_corpus(CONFIG)]


def words(text):
    return re.findall(r"[a-z]+", text.lower())


def test_the_reason_names_the_label_and_no_other(planned):
    for clip in planned:
        assert parse_label(clip.texts.reason, MERR) == clip.role.label
        assert [word for word in words(clip.texts.reason) if word in MERR] == [clip.role.label]
        assert words(clip.texts.reason)[-1] == clip.role.label


def test_captions_subtitles_and_clues_name_no_class(planned):
    for clip in planned:
        texts = clip.texts
        said = " ".join((texts.caption, texts.subtitle, texts.tone_phrase, *texts.unit_phrases))
        assert not set(words(said)) & set(MERR)


def test_texts_are_short(planned):
    assert max(len(words(clip.texts.caption)) for clip in planned) <= 45
    assert max(len(words(clip.texts.reason)) for clip in planned) <= 45
    assert max(len(words(clip.texts.subtitle)) for clip in planned) <= 12


def test_the_vocabulary_is_small_and_the_texts_differ(planned):
    vocabulary = {word for clip in planned for word in words(clip.texts.caption + clip.texts.reason)}
    assert len(vocabulary) < 260
    assert len({clip.texts.caption for clip in planned}) > 0.95 * len(planned)


def test_subtitles_are_drawn_without_the_label(planned):
    rng = np.random.default_rng(0)
    first = write_subtitle(rng)
    speaker = draw_identity("corpus", 0, 0)
    for label in MERR:
        plan = plan_performance(np.random.default_rng(1), speaker, label)
        texts = write_texts(plan, speaker.voice.habit, np.random.default_rng(0))
        assert texts.subtitle == first


def test_the_caption_holds_the_phrases_the_tone_and_the_subtitle(planned):
    for clip in planned:
        texts = clip.texts
        assert all(phrase in texts.caption for phrase in texts.unit_phrases)
        assert texts.subtitle in texts.caption
        assert all(word in texts.caption for word in words(texts.tone_phrase)[3:-1])


def test_a_still_face_is_called_still():
    speaker = draw_identity("corpus", 0, 0)
    rng = np.random.default_rng(4)
    plans = [plan_performance(rng, speaker, "happy", "face_weak") for _ in range(20)]
    still = [plan for plan in plans if not any(movement.idle for movement in plan.movements)]
    for plan in still:
        texts = write_texts(plan, speaker.voice.habit, rng)
        assert texts.units == () and any(face in texts.caption for face in wording.STILL_FACES)


def test_intensity_becomes_an_adverb():
    rng = np.random.default_rng(0)
    assert wording.unit_phrase(6, 0.25, rng).startswith("slightly ")
    assert wording.unit_phrase(6, 0.9, rng).startswith("strongly ")
    assert wording.unit_phrase(6, 0.5, rng).split()[0] in wording.UNIT_PHRASES[6][1]


def test_every_drawn_unit_has_words():
    assert set(wording.UNIT_PHRASES) == {*EXPRESSIVE, PRESENCE_ONLY}
    assert set(wording.REASONS) == set(MERR)


def test_tone_words_come_from_the_distance_to_the_habit():
    habit = Tone(pitch=10, melody=1, energy=0, tempo=4, jitter=0.008, tilt=-9, rise=0, tremor=0.1)
    changed = Tone(pitch=4, melody=1, energy=7, tempo=4, jitter=0.008, tilt=-9, rise=0, tremor=0.1)
    assert tone_word(changed, habit) == "low and loud"
    assert tone_word(habit, changed) == "high and soft"
    assert tone_word(habit, habit) == "even"


def test_articles_fit(planned):
    for clip in planned:
        assert not re.search(r"\ba (?=[aeiou])", clip.texts.caption + clip.texts.reason)
