"""Parts of the questions, and the figures of each, counted by hand."""

import numpy as np
import pytest

from recsys.clock import HOUR
from recsys.event import EventType
from recsys.metric.case import Case
from recsys.metric.circumstances import Circumstances
from recsys.metric.crowd import Crowd
from recsys.metric.evaluation import Ranked, Score, score_rows
from recsys.metric.ranking import MISS
from recsys.metric.slices import nested
from tests.recsys.by_hand import state

VIEW, PURCHASE = EventType.VIEW.code, EventType.PURCHASE.code
CROWD = Crowd(
    taken=np.array([0, 5, 50, 0]),
    takers=np.array([0, 3, 9, 0]),
    shoppers=12,
    path=np.array([[0] * 3, [1] * 3, [1] * 3, [2] * 3]),
)
"""Item 1 was learnt from 5 times, 2 fifty times, 3 never."""

CASES = [
    Case(state(at=3), 0, np.array([1, 3]), np.array([False, False]), 2, np.array([VIEW, PURCHASE])),
    Case(state((1, 1), (2, 1), at=3), 1, np.array([2]), np.array([True]), 3, np.array([PURCHASE])),
]
"""One about a warm and a cold item, and one about a repeat and two unknown items."""


def figures(*ranks: int, time_zone: str | None = "UTC") -> dict[str, dict[str, dict[str, float]]]:
    """Cut -> part -> measure -> value of a row that ranks the three targets like this."""
    return nested(scored(*ranks, time_zone=time_zone).slices)


def scored(*ranks: int, time_zone: str | None = "UTC") -> Score:
    around = Circumstances.of(CASES, CROWD, time_zone=time_zone)
    found = Ranked(np.array(ranks), np.array([[1, 3], [2, 0]]))
    return score_rows(CASES, {"row": found}, around=around, draws=0)["row"]


def test_warm_cold_and_unknown_targets_are_each_held_against_their_own_number() -> None:
    warmth = figures(0, MISS, 0)["warmth"]
    assert {part: told["queries"] for part, told in warmth.items()} == {"warm": 2, "cold": 1, "unknown": 1}
    assert {part: told["recall10"] for part, told in warmth.items()} == {"warm": 1, "cold": 0, "unknown": 0}


def test_the_row_tells_of_cold_items_what_the_slice_tells() -> None:
    row = scored(0, 3, 0)
    assert row.cold_recall10 == row.slices["warmth/cold/recall10"] == 1.0
    assert row.cold_ndcg10 == pytest.approx(1 / np.log2(5))


def test_unknown_targets_are_new_ones() -> None:
    kind = figures(0, MISS, 0)["kind"]
    assert kind["repeat"] == {"queries": 1, "hr10": 1, "recall10": 1, "ndcg10": 1, "recall20": 1, "mrr20": 1}
    assert kind["new"]["queries"] == 2
    assert kind["new"]["recall10"] == (1 / 2 + 0 / 2) / 2


def test_targets_are_parted_by_how_often_they_were_learnt_from() -> None:
    popularity = figures(0, MISS, 15)["popularity"]
    assert list(popularity) == ["0", "1-9", "10-99"]
    assert popularity["1-9"]["hr10"] == 1
    assert popularity["10-99"] == {"queries": 1, "hr10": 0, "recall10": 0, "ndcg10": 0, "recall20": 1, "mrr20": 1 / 16}


def test_targets_are_parted_by_the_event_that_took_them() -> None:
    event = figures(0, MISS, 0)["event"]
    assert {part: told["queries"] for part, told in event.items()} == {"view": 1, "purchase": 2}
    assert event["purchase"]["recall10"] == 1 / 2


def test_questions_are_parted_by_the_length_of_the_history_and_keep_their_unknown_targets() -> None:
    history = figures(0, MISS, 0)["history"]
    assert list(history) == ["0", "1-4"]
    assert history["0"]["recall10"] == 1 / 2
    assert history["1-4"]["recall10"] == 1 / 3


def test_the_hour_is_that_of_the_shops_clock_and_there_is_none_without_times() -> None:
    assert list(figures(0, 0, 0)["hour"]) == ["00"]
    assert list(figures(0, 0, 0, time_zone="Etc/GMT-5")["hour"]) == ["05"]
    assert "hour" not in figures(0, 0, 0, time_zone=None)


def test_instants_of_two_hours_are_two_parts() -> None:
    cases = [Case(state(at=hour * HOUR, unit=1), 0, np.array([1]), np.array([False]), 1) for hour in (9, 10, 33)]
    around = Circumstances.of(cases, CROWD, time_zone="UTC")
    row = score_rows(cases, {"": Ranked(np.zeros(3, np.int64), np.zeros((3, 0), np.int64))}, around=around, draws=0)[""]
    assert (row.slices["hour/09/queries"], row.slices["hour/10/queries"]) == (2, 1)


def test_a_row_without_circumstances_tells_repeat_and_new_only() -> None:
    found = Ranked(np.array([0, 1, 2]), np.zeros((2, 0), np.int64))
    row = score_rows(CASES, {"": found}, draws=0)[""]
    assert {key.split("/")[0] for key in row.slices} == {"kind"}
    assert (row.cold_recall10, row.coverage10, row.novelty10, row.debiased_hr10) == (None,) * 4


def test_what_is_beyond_accuracy_comes_with_the_circumstances() -> None:
    row = scored(0, MISS, 0)
    assert row.coverage10 == 1.0
    assert row.novelty10 == pytest.approx(((2 + np.log2(12)) / 2 + np.log2(12 / 9)) / 2)
    assert row.debiased_hr10 == pytest.approx((1 / 6 + 1 / 51) / (1 / 6 + 1 + 1 / 51))
    assert row.diversity10 == 1.0
    assert row.miscalibration10 == 0.0, "the second shopper's past and list are all of one category"
