"""Roles are dealt out as the settings say, in every split."""

from collections import Counter, defaultdict

import pytest

from emo.config.corpus import CorpusConfig
from emo.corpora.rendered.cast import cast_corpus
from emo.errors import ConfigError
from emo.labels import MER2023, MERR


def by_split(roles):
    found = defaultdict(list)
    for role in roles:
        found[role.split].append(role)
    return found


def test_speakers_stay_in_one_split():
    splits = defaultdict(set)
    for role in cast_corpus(CorpusConfig()):
        splits[role.speaker].add(role.split)
    assert len(splits) == 60 and all(len(found) == 1 for found in splits.values())


def test_splits_have_their_shares_and_every_class_equally():
    splits = by_split(cast_corpus(CorpusConfig()))
    assert {name: len(roles) for name, roles in splits.items()} == {"train": 192, "val": 48, "test": 240}
    for roles in splits.values():
        counts = Counter(role.label for role in roles)
        assert set(counts) == set(MER2023) and max(counts.values()) - min(counts.values()) <= 1


def test_every_speaker_plays_every_class():
    labels = defaultdict(Counter)
    for role in cast_corpus(CorpusConfig(clips_per_speaker=12)):
        labels[role.speaker][role.label] += 1
    assert all(set(counts) == set(MER2023) and set(counts.values()) == {2} for counts in labels.values())


def test_conditions_have_their_exact_share_in_every_split():
    config = CorpusConfig()
    for roles in by_split(cast_corpus(config)).values():
        counts = Counter(role.condition for role in roles)
        for condition in ("face_weak", "voice_weak", "face_differs", "voice_differs"):
            assert abs(counts[condition] - getattr(config, condition) * len(roles)) <= 1
        assert abs(sum(role.short for role in roles) - config.short * len(roles)) <= 1


def test_the_label_does_not_follow_from_the_number():
    roles = cast_corpus(CorpusConfig())
    hits = sum(role.label == MER2023[role.number % 6] for role in roles) / len(roles)
    assert hits < 0.3


def test_two_seeds_deal_differently_and_one_seed_the_same():
    assert cast_corpus(CorpusConfig(seed=1)) == cast_corpus(CorpusConfig(seed=1))
    assert cast_corpus(CorpusConfig(seed=1)) != cast_corpus(CorpusConfig(seed=2))


@pytest.mark.parametrize("clips", [1, 2, 3, 5, 8, 25])
def test_a_handful_of_clips_is_a_corpus_too(clips):
    roles = cast_corpus(CorpusConfig(clips=clips))
    assert [role.number for role in roles] == list(range(clips))
    if clips >= 3:
        assert set(by_split(roles)) == {"train", "val", "test"}


def test_a_corpus_of_the_size_of_merr_is_cast():
    roles = cast_corpus(CorpusConfig(clips=28_618, labels=MERR))
    assert len({role.clip_id for role in roles}) == 28_618
    assert [role.clip_id for role in roles] == sorted(role.clip_id for role in roles)


@pytest.mark.parametrize("share", [1.0, 0.9, 0.0])
def test_a_split_left_out_gets_nobody(share):
    config = CorpusConfig(train=share, val=0.0, test=1 - share)
    found = {role.split for role in cast_corpus(config)}
    assert found == {name for name, part in (("train", share), ("test", 1 - share)) if part > 1e-9}


def test_everything_impossible_is_listed_at_once():
    config = CorpusConfig(
        clips=0, labels=("happy", "bored"), train=0.9, face_weak=0.9, voice_weak=0.5, width=31, height=33
    )
    with pytest.raises(ConfigError) as caught:
        cast_corpus(config)
    assert len(caught.value.mistakes) == 5
