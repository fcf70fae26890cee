"""The measures of many questions at once, worked by hand and against those of one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.metric.measures import MEASURES, Ragged, measured
from recsys.metric.ranking import MISS, ndcg, recall, reciprocal_rank

LISTS = st.lists(st.lists(st.integers(1, 9), max_size=4), min_size=1, max_size=6)
RANKS = st.lists(st.sampled_from([0, 1, 8, 9, 10, 18, 19, 20, 500, MISS]), max_size=5, unique=True)


def test_three_questions_by_hand() -> None:
    found = measured(np.array([0, 12, 4, MISS]), np.array([0, 0, 1, 2]), np.array([2, 1, 3]))
    assert found["hr10"].tolist() == [1, 1, 0]
    assert found["recall10"].tolist() == [1 / 2, 1, 0]
    assert found["recall20"].tolist() == [1, 1, 0]
    assert found["mrr10"].tolist() == [1, 1 / 5, 0]
    assert found["ndcg10"].tolist() == pytest.approx([1 / (1 + 1 / np.log2(3)), 1 / np.log2(6), 0])
    assert found["ndcg20"][0] == pytest.approx((1 + 1 / np.log2(14)) / (1 + 1 / np.log2(3)))


def test_a_question_of_unknown_targets_only_is_missed() -> None:
    found = measured(np.array([0]), np.array([1]), np.array([2, 1]))
    assert {name: values.tolist() for name, values in found.items()} == {name: [0, 1] for name in MEASURES}


@given(st.lists(st.tuples(RANKS, st.integers(0, 30)), min_size=1, max_size=5))
def test_many_questions_at_once_give_what_each_gives_alone(questions: list[tuple[list[int], int]]) -> None:
    target = Ragged.of([np.array(ranks, np.int64) for ranks, _ in questions])
    wanted = np.maximum(target.size + [unknown for _, unknown in questions], 1)
    found = measured(target.value, target.owner, wanted)
    for place, ranks in enumerate(target.split()):
        for at in (10, 20):
            assert found[f"recall{at}"][place] == recall(ranks, wanted=wanted[place], at=at)
            assert found[f"ndcg{at}"][place] == pytest.approx(ndcg(ranks, wanted=wanted[place], at=at))
            assert found[f"mrr{at}"][place] == reciprocal_rank(ranks, at=at)
            assert found[f"hr{at}"][place] == (recall(ranks, wanted=wanted[place], at=at) > 0)


@given(LISTS, st.randoms())
def test_lists_end_to_end_are_taken_in_any_order(lists: list[list[int]], random: object) -> None:
    ragged = Ragged.of([np.array(one, np.int64) for one in lists])
    order = list(range(len(lists)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert [one.tolist() for one in ragged.take(np.array(order)).split()] == [lists[place] for place in order]
    assert ragged.owner.tolist() == [place for place, one in enumerate(lists) for _ in one]
