"""People are the same whenever they are drawn, and no two namespaces share anything of them."""

from collections import Counter
from dataclasses import asdict

import numpy as np

from emo.corpora.rendered.identity import draw_identity
from emo.seeds import generator


def numbers_in(value):
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers_in(each)]
    if isinstance(value, list | tuple):
        return [number for each in value for number in numbers_in(each)]
    return [value] if isinstance(value, float) and value != 0.0 else []


def drawn_parameters(namespace, seed, count):
    people = [asdict(draw_identity(namespace, seed, number)) for number in range(count)]
    shapes_and_voices = [{"shape": person["shape"], "voice": person["voice"]} for person in people]
    return [number for person in shapes_and_voices for number in numbers_in(person)]


def test_a_person_is_the_same_each_time():
    assert draw_identity("corpus", 3, 17) == draw_identity("corpus", 3, 17)


def test_people_of_the_encoder_training_share_no_parameter_with_a_corpus():
    training = drawn_parameters("encoder-training", 0, 60)
    corpus = drawn_parameters("corpus", 0, 60)
    assert len(set(training)) == len(training)
    assert not set(training) & set(corpus)


def test_people_of_two_seeds_share_no_parameter():
    assert not set(drawn_parameters("corpus", 0, 60)) & set(drawn_parameters("corpus", 1, 60))


def test_a_key_is_not_a_concatenation_of_its_parts():
    draws = [generator(*key).random() for key in (("a", 1, 23), ("a", 12, 3), ("a1", 23), ("a", "1", 23))]
    assert len(set(draws)) == len(draws)


def test_forty_two_people_in_a_row_cover_every_group_equally():
    people = [draw_identity("corpus", 5, number) for number in range(100, 142)]
    assert set(Counter(person.skin_group for person in people).values()) == {6}
    assert set(Counter(person.age_look for person in people).values()) == {14}
    assert set(Counter(person.presentation for person in people).values()) == {21}


def test_darker_groups_are_drawn_darker():
    brightness = {group: [] for group in range(1, 8)}
    for number in range(84):
        person = draw_identity("corpus", 0, number)
        brightness[person.skin_group].append(sum(person.look.skin))
    means = [np.mean(brightness[group]) for group in range(1, 8)]
    assert means == sorted(means, reverse=True)


def test_feminine_voices_lie_above_masculine_ones():
    people = [draw_identity("corpus", 0, number) for number in range(84)]
    low = max(person.voice.habit.pitch for person in people if not person.feminine)
    high = min(person.voice.habit.pitch for person in people if person.feminine)
    assert low < high
