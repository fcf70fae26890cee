"""What is beyond accuracy, worked by hand on a catalogue of five items."""

import numpy as np
import pytest

from recsys.catalogue import Catalogue
from recsys.metric.beyond import Mix, coverage, debiased_hit_rate, diversity, miscalibration, novelty
from recsys.metric.crowd import Crowd
from recsys.metric.ranking import MISS
from tests.recsys.by_hand import catalogue_of, histories, items_table

CROWD = Crowd(
    taken=np.array([0, 7, 3, 1, 0, 0]),
    takers=np.array([0, 4, 2, 1, 0, 0]),
    shoppers=8,
    path=np.array([[0, 0, 0], [1, 2, 3], [1, 2, 4], [1, 5, 5], [6, 6, 6], [0, 0, 0]]),
)
"""Items 1 and 2 share two levels, 3 the first with them, 4 nothing; 5 has no category."""


def test_coverage_is_the_share_of_items_in_any_list() -> None:
    assert coverage(np.array([[1, 2], [2, 0]]), 5) == 2 / 5


def test_an_item_that_half_of_the_shoppers_took_tells_one_bit() -> None:
    assert novelty(np.array([[1, 1]]), CROWD) == 1.0
    assert novelty(np.array([[1, 2], [3, 0], [0, 0]]), CROWD) == ((1 + 2) / 2 + 3) / 2


def test_an_item_that_nobody_took_is_as_novel_as_one_that_one_took() -> None:
    assert novelty(np.array([[4]]), CROWD) == novelty(np.array([[3]]), CROWD) == 3.0
    assert novelty(np.array([[0]]), CROWD) is None


def test_a_rare_hit_weighs_more_than_a_popular_miss() -> None:
    ranks, target = np.array([MISS, 9, 10]), np.array([1, 2, 3])
    assert debiased_hit_rate(ranks, target, CROWD, at=10) == pytest.approx((1 / 4) / (1 / 8 + 1 / 4 + 1 / 2))
    assert debiased_hit_rate(ranks, target, CROWD, at=11) == pytest.approx((1 / 4 + 1 / 2) / (1 / 8 + 1 / 4 + 1 / 2))
    assert debiased_hit_rate(ranks[:0], target[:0], CROWD, at=10) is None


def test_diversity_is_the_share_of_levels_that_part_the_pairs_of_a_list() -> None:
    assert diversity(np.array([[1, 2]]), CROWD) == pytest.approx(1 / 3)
    assert diversity(np.array([[1, 3]]), CROWD) == pytest.approx(2 / 3)
    assert diversity(np.array([[1, 2, 4]]), CROWD) == pytest.approx((1 / 3 + 1 + 1) / 3)
    assert diversity(np.array([[1, 2], [1, 4], [1, 0], [1, 5]]), CROWD) == pytest.approx((1 / 3 + 1) / 2)


def test_diversity_of_items_without_categories_is_not_told() -> None:
    assert diversity(np.array([[5, 5], [1, 0]]), CROWD) is None


def test_a_list_that_mixes_categories_like_the_past_is_perfectly_calibrated() -> None:
    past = Mix.of(np.array([1, 4]), np.array([0, 0]), CROWD)
    assert miscalibration(np.array([[4, 2]]), past, CROWD) == 0.0


def test_a_list_that_leaves_out_half_of_the_past_is_smoothed_by_a_hundredth() -> None:
    past = Mix.of(np.array([1, 4]), np.array([0, 0]), CROWD)
    expected = 0.5 * np.log(0.5 / (0.99 + 0.005)) + 0.5 * np.log(0.5 / 0.005)
    assert miscalibration(np.array([[1, 2]]), past, CROWD) == pytest.approx(expected)


def test_questions_without_a_category_in_past_or_list_are_not_asked() -> None:
    past = Mix.joined([Mix.of(np.array([1]), np.array([0]), CROWD), Mix.of(np.array([1, 5]), np.array([1, 2]), CROWD)])
    assert miscalibration(np.array([[4], [1], [1], [1]]), past, CROWD) == pytest.approx(-np.log(0.01) / 2)
    assert miscalibration(np.array([[5]]), past, CROWD) is None


def test_the_crowd_counts_what_was_learnt_once_and_distinct_shoppers() -> None:
    log = histories([(1, 1), (1, 2), (2, 3), (0, 3)], [(1, 1), (3, 9)])
    crowd = Crowd.of(log, until=np.array([3, 5]) * 1_000_000, catalogue=catalogue_of(3))
    assert crowd.taken.tolist() == [0, 3, 0, 0]
    assert crowd.takers.tolist() == [0, 2, 0, 0]
    assert crowd.shoppers == 2


def test_paths_share_numbers_as_far_as_they_share_names() -> None:
    paths = [["food", "milk"], ["food", "milk", "oat"], ["toys", "milk"], []]
    catalogue = Catalogue(items_table(["a", "b", "c", "d"], paths))
    path = Crowd.of(histories([(1, 1)]), until=np.array([9]), catalogue=catalogue).path
    assert path[1, 0] == path[2, 0] != path[3, 0]
    assert path[1, 1] == path[2, 1] != path[3, 1]
    assert path[1, 2] == path[1, 1] != path[2, 2]
    assert path[4].tolist() == path[0].tolist() == [0, 0, 0]
