"""Ranks and metrics, worked by hand and against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.metric.ranking import (
    MISS,
    Board,
    dense_ranks,
    list_ranks,
    ndcg,
    pessimistic_ranks,
    recall,
    reciprocal_rank,
    standing,
)

SCORES = st.sampled_from([-math.inf, -1.0, 0.0, 0.25, 0.5, 1.0])


def test_recall_divides_the_hits_by_what_was_wanted():
    ranks = np.array([0, 9, 10, MISS])
    assert recall(ranks, wanted=5, at=10) == 2 / 5
    assert recall(ranks, wanted=5, at=11) == 3 / 5


def test_recall_of_a_basket_larger_than_the_list_cannot_reach_one():
    assert recall(np.arange(20), wanted=20, at=10) == 0.5


def test_ndcg_discounts_a_hit_at_rank_three_by_half():
    assert ndcg(np.array([2]), wanted=1, at=10) == 1 / math.log2(4) == 0.5


def test_ndcg_of_two_hits_is_their_gain_over_the_best_gain():
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert ndcg(np.array([0, 2, MISS]), wanted=3, at=10) == pytest.approx(1.5 / ideal)


def test_ndcg_of_a_full_list_is_one_although_more_was_wanted():
    assert ndcg(np.arange(10), wanted=30, at=10) == pytest.approx(1.0)


def test_ndcg_counts_nothing_from_the_cut_on():
    assert ndcg(np.array([10]), wanted=1, at=10) == 0.0


def test_the_reciprocal_rank_is_that_of_the_first_hit():
    assert reciprocal_rank(np.array([7, 3, MISS]), at=20) == 1 / 4
    assert reciprocal_rank(np.array([19]), at=20) == 1 / 20
    assert reciprocal_rank(np.array([20]), at=20) == 0.0
    assert reciprocal_rank(np.array([], np.int64), at=20) == 0.0


def test_a_target_ranks_below_everything_it_ties_with():
    item, score = np.array([4, 8, 6, 2]), np.array([0.5, 0.9, 0.5, 0.5])
    assert pessimistic_ranks(item, score, np.array([4])).tolist() == [3]


def test_tied_targets_do_not_push_each_other_below_the_others_twice():
    item, score = np.array([4, 8, 6]), np.array([0.5, 0.9, 0.5])
    assert pessimistic_ranks(item, score, np.array([6, 4])).tolist() == [1, 2]


def test_a_target_without_a_score_is_a_miss():
    assert pessimistic_ranks(np.array([1]), np.array([0.1]), np.array([2, 1])).tolist() == [MISS, 0]
    assert pessimistic_ranks(np.array([], np.int64), np.array([]), np.array([2])).tolist() == [MISS]


def test_an_encoder_that_gives_the_same_score_to_all_hits_nothing_at_the_top():
    assert dense_ranks(np.zeros(101, np.float32), np.array([1, 50])).tolist() == [98, 99]


def test_scores_that_are_no_numbers_rank_last_not_first():
    assert dense_ranks(np.array([0, np.nan, 1, 2], np.float32), np.array([1])).tolist() == [2]
    assert pessimistic_ranks(np.array([1, 2, 3]), np.array([np.nan, 1, 2]), np.array([1])).tolist() == [2]


def test_index_zero_never_takes_a_rank():
    assert dense_ranks(np.array([9.0, 1.0, 2.0]), np.array([2])).tolist() == [0]


def test_a_list_in_its_final_order_gives_its_places():
    assert list_ranks(np.array([5, 3, 9]), np.array([9, 4, 5])).tolist() == [2, MISS, 0]


@given(st.data())
def test_dense_and_sparse_ranks_follow_the_definition(data: st.DataObject):
    score = np.array([0.0, *data.draw(st.lists(SCORES, min_size=1, max_size=12))])
    every = range(1, len(score))
    target = np.array(data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True)))
    expected = [by_definition(score, target.tolist(), place) for place in range(len(target))]
    assert dense_ranks(score, target).tolist() == expected
    shuffled = np.array(data.draw(st.permutations(every)))
    assert pessimistic_ranks(shuffled, score[shuffled], target).tolist() == expected


@given(st.data())
def test_what_is_excluded_takes_no_rank_and_gets_none(data: st.DataObject):
    score = np.array([0.0, *data.draw(st.lists(SCORES, min_size=1, max_size=12))])
    every = range(1, len(score))
    target = np.array(data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True)))
    excluded = data.draw(st.lists(st.sampled_from(every), unique=True))
    found = dense_ranks(score, target, np.array(excluded, np.int64))
    kept = [item for item in every if item not in excluded]
    assert found.tolist() == pessimistic_ranks(np.array(kept, np.int64), score[kept], target).tolist()
    assert all((rank == MISS) == (item in excluded) for rank, item in zip(found, target, strict=True))


@given(st.data())
def test_a_sorted_board_says_what_going_through_the_list_says(data: st.DataObject):
    item = np.array(data.draw(st.lists(st.integers(1, 20), unique=True)), np.int64)
    score = np.array(data.draw(st.lists(SCORES, min_size=len(item), max_size=len(item))))
    target = np.array(data.draw(st.lists(st.integers(1, 25), unique=True)), np.int64)
    for one, other in zip(Board(item, score).standing(target), standing(item, score, target), strict=True):
        assert one.tolist() == other.tolist()


def by_definition(score: np.ndarray, target: list[int], place: int) -> int:
    """One item after the other: who stands before this target?"""
    own = score[target[place]]
    strangers = [item for item in range(1, len(score)) if item not in target and score[item] >= own]
    higher = [other for other in target if score[other] > own]
    tied_before = [other for other in target[:place] if score[other] == own]
    return len(strangers) + len(higher) + len(tied_before)
