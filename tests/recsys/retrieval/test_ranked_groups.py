"""Ranked lists of groups, by hand."""

import numpy as np
import pytest

from recsys.retrieval.ranked_groups import RankedGroups

GROUP = np.array([1, 0, 1, 1, 1, 0])
ITEM = np.array([4, 1, 2, 3, 5, 2])
SCORE = np.array([0.2, 0.0, 0.2, 0.9, 0.1, 0.5])


def test_each_group_is_ranked_and_cut_and_what_scores_nothing_is_left_out() -> None:
    lists = RankedGroups.of(GROUP, ITEM, SCORE, groups=3, most=3)
    assert [lists.best(group).item.tolist() for group in range(3)] == [[2], [3, 2, 4], []]
    assert lists.best(1).score.tolist() == pytest.approx([0.9, 0.2, 0.2])
    assert lists.best(1, 1).item.tolist() == [3]


def test_a_group_that_there_is_not_has_no_list() -> None:
    lists = RankedGroups.of(GROUP, ITEM, SCORE, groups=3, most=3)
    assert [len(lists.best(group)) for group in (-1, 3)] == [0, 0]
    assert len(RankedGroups.none().best(0)) == 0


def test_groups_are_added_up_by_their_weights() -> None:
    lists = RankedGroups.of(GROUP, ITEM, SCORE, groups=3, most=3)
    found = lists.mixed(np.array([0, 1]), np.array([0.5, 2.0]))
    assert dict(zip(found.item.tolist(), found.score.tolist(), strict=True)) == pytest.approx(
        {3: 1.8, 2: 0.5 * 0.5 + 2 * 0.2, 4: 0.4}
    )
    assert found.item.tolist() == [3, 2, 4]
    assert lists.mixed(np.array([0, 1]), np.array([0.5, 2.0]), 2).item.tolist() == [3, 2]
    assert len(lists.mixed(np.array([2]), np.array([1.0]))) == 0
