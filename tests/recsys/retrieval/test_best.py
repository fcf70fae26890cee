"""The compiled selections against sorting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.retrieval.best import Sums, ascend, best_into, best_of_each, sums

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, float("-inf")]), max_size=40)


@given(SCORES, st.integers(1, 45))
def test_the_best_come_first_and_ties_go_to_the_smaller_index(scores: list[float], most: int) -> None:
    score = np.array(scores)
    item = np.arange(1, len(scores) + 1)[::-1].copy()
    start, found, of_found = best_of_each(np.array([0, len(scores)]), item, score, most)
    order = np.lexsort((item, -score))[:most]
    assert start.tolist() == [0, len(order)]
    assert found.tolist() == item[order].tolist()
    assert of_found.tolist() == score[order].tolist()


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([1.0, 2.0, 3.0])), max_size=60), st.integers(1, 10))
def test_the_best_sums_are_those_of_adding_up(rows: list[tuple[int, float]], most: int) -> None:
    room, whole = Sums(31), np.zeros(31)
    for index, value in rows:
        whole[index] += value
    touched = np.array([*{index for index, _ in rows}, 0])
    items, scores = np.zeros(50, np.int64), np.zeros(50)
    end = best_into(items, scores, 3, most, whole, touched, len(touched) - 1)
    expected = sorted({index for index, _ in rows}, key=lambda index: (-whole[index], index))[:most]
    assert items[3:end].tolist() == expected
    assert scores[3:end].tolist() == [whole[index] for index in expected]
    assert room.tick[0] == 0, "whoever begins a sum raises the tick"


@given(st.lists(st.integers(0, 1_000), max_size=200), st.integers(0, 5), st.integers(0, 5))
def test_ascending_touches_its_own_places_only(values: list[int], before: int, after: int) -> None:
    items = np.array([*[7] * before, *values, *[3] * after], np.int64)
    ascend(items, before, before + len(values))
    assert items.tolist() == [*[7] * before, *sorted(values), *[3] * after]


def test_room_is_kept_and_grows() -> None:
    small = sums(3)
    assert sums(2) is small or len(sums(2).total) >= 2
    assert len(sums(len(small.total) + 5).total) == len(small.total) + 5
