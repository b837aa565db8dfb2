"""Counting, no timer: rows are full, nothing is lost, ranks get the same number of tokens."""

import numpy as np
import pytest

from emo.llm.packing.balance import imbalance, shares
from emo.llm.packing.rows import balanced_rows, fill, full_rows, useful_share

BUDGET = 16_384


def realistic_lengths(count, seed=0):
    """Tokens of label examples (about 350), coarse reasons (about 440) and long answers (EMER, 340 and more
    beside the prompt), with subtitles of a median 19 tokens."""
    rng = np.random.default_rng(seed)
    answers = np.stack(
        [
            rng.integers(2, 5, count),
            rng.lognormal(np.log(110), 0.5, count).clip(30, 200),
            rng.lognormal(np.log(343), 0.2, count).clip(100, 900),
        ]
    )
    kind = rng.choice(3, count, p=[0.5, 0.4, 0.1])
    subtitles = rng.lognormal(np.log(19), 0.65, count).clip(3, 90)
    return [int(one) for one in 326 + subtitles + answers[kind, np.arange(count)]]


def totals(lengths, rows):
    return [sum(lengths[place] for place in row) for row in rows]


@pytest.fixture(scope="module", params=[0, 1])
def lengths(request):
    return realistic_lengths(4000, request.param)


def test_full_rows_are_full_and_lose_nothing(lengths):
    rows = full_rows(lengths, BUDGET)
    assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
    filled = totals(lengths, rows)
    assert max(filled) <= BUDGET
    assert useful_share(filled[:-1], BUDGET) >= 0.995
    assert useful_share(filled, BUDGET) >= 0.98


def test_full_rows_keep_nearly_the_order_given(lengths):
    """So that a shuffled epoch stays shuffled: long answers do not gather in some rows."""
    rows = full_rows(lengths, BUDGET)
    moved = [abs(place - at) for at, place in enumerate(place for row in rows for place in row)]
    assert max(moved) < 200
    means = [total / len(row) for total, row in zip(totals(lengths, rows), rows, strict=True)]
    assert np.std(means[:-1]) < 0.1 * np.mean(means)


@pytest.mark.parametrize("ranks", range(1, 9))
def test_ranks_get_the_same_tokens_from_full_rows(lengths, ranks):
    filled = totals(lengths, full_rows(lengths, BUDGET))[:-1]
    for start in range(0, len(filled) - 2 * ranks, 2 * ranks):
        step = filled[start : start + 2 * ranks]
        assert imbalance(totals(step, shares(step, ranks))) <= 1.02


@pytest.mark.parametrize("ranks", range(1, 9))
@pytest.mark.parametrize("clips", [64, 256])
def test_ranks_get_the_same_tokens_from_a_step_of_clips(lengths, ranks, clips):
    for start in range(0, 2000, clips):
        step = lengths[start : start + clips]
        rows = balanced_rows(step, BUDGET, ranks)
        filled = totals(step, rows)
        assert len(rows) % ranks == 0 and max(filled) <= BUDGET
        dealt = shares(filled, ranks)
        assert {len(places) for places in dealt} == {len(rows) // ranks}
        assert imbalance(totals(filled, dealt)) <= 1.02


def test_a_step_takes_as_few_rows_as_it_can():
    assert len(balanced_rows([400] * 8, BUDGET)) == 1
    assert len(balanced_rows([400] * 8, 1600)) == 2
    assert len(balanced_rows([400] * 8, 1600, ranks=3)) == 3
    assert len(balanced_rows([400] * 2, BUDGET, ranks=4)) == 2


def test_an_example_longer_than_the_budget_is_not_cut():
    assert balanced_rows([900, 100, 200], 500) == [[0], [1, 2]]
    assert sorted(map(tuple, full_rows([900, 100, 200], 500))) == [(0,), (1, 2)]


def test_no_rank_is_idle_where_there_is_work_for_it():
    for count in range(3, 12):
        assert all(shares([1000, *[1] * (count - 1)], 3))
    assert shares([5, 4], 3) == [[0], [1], []]


def test_shares_lose_nothing():
    lengths = [7, 3, 9, 1, 4, 4]
    dealt = shares(lengths, 2)
    assert sorted(place for places in dealt for place in places) == list(range(6))
    assert totals(lengths, dealt) == [14, 14]


def test_the_end_of_a_row_is_filled_as_well_as_can_be():
    assert fill([5, 8, 3, 9], 16) == [0, 1, 2]
    assert fill([5, 8, 3, 9], 2) == []
    assert fill([4, 4, 4], 8) == [0, 1]
