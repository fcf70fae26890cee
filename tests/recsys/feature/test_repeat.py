"""Recency, count and usual interval of earlier purchases."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY, HOUR
from recsys.event import EventType
from recsys.feature.repeat import (
    COUNTS,
    DUES,
    INTERVALS,
    NEVER,
    RECENCIES,
    Repeats,
    category_repeats,
    item_repeats,
    repeats,
    since_bought,
)
from tests.recsys.by_hand import history
from tests.recsys.feature.plain import LOGS, Columns, PlainEvent, before

CATEGORY = np.array([0, 1, 1, 2, 0])
"""Items 1 and 2 share a category, item 4 has none."""


def test_coffee_bought_every_ten_days_is_counted_dated_and_timed() -> None:
    seen = history((1, 0), (2, 3), (1, 10), (1, 20), (3, 20, EventType.VIEW), unit=DAY)
    found = item_repeats(seen, 25 * DAY, np.array([1, 2, 3, 0]))
    assert found.count.tolist() == [3, 1, 0, 0]
    assert found.elapsed.tolist() == [5 * DAY, 22 * DAY, NEVER, NEVER]
    assert found.interval.tolist() == [10 * DAY, NEVER, NEVER, NEVER]


def test_a_category_is_bought_whenever_one_of_its_items_is() -> None:
    seen = history((1, 0), (2, 3), (1, 3), (4, 4), unit=DAY)
    found = category_repeats(seen, 5 * DAY, np.array([1, 2, 3, 4]), CATEGORY)
    assert found.count.tolist() == [2, 2, 0, 0], "two of one basket count once, and no category is none"
    assert found.interval.tolist() == [3 * DAY, 3 * DAY, NEVER, NEVER]


def test_what_happens_at_the_instant_of_the_question_is_not_seen() -> None:
    seen = history((1, 0), (1, 5), unit=DAY)
    assert item_repeats(seen, 5 * DAY, np.array([1])).count.tolist() == [1]
    assert item_repeats(seen, 5 * DAY + 1, np.array([1])).count.tolist() == [2]


def test_classes_by_hand() -> None:
    found = Repeats(
        count=np.array([0, 1, 2, 4, 17]),
        elapsed=np.array([NEVER, HOUR - 1, DAY, 29 * DAY, 300 * DAY]),
        interval=np.array([NEVER, NEVER, DAY, 58 * DAY, 100 * DAY]),
    )
    assert found.count_class().tolist() == [0, 1, 2, 3, COUNTS - 1]
    assert found.recency_class().tolist() == [0, 1, 3, 6, RECENCIES - 1]
    assert found.interval_class().tolist() == [0, 0, 1, 7, 8]
    assert found.due_class().tolist() == [0, 0, 6, 4, 8], "just due, half due, three times overdue"
    assert max(found.interval_class()) < INTERVALS
    assert max(found.due_class()) < DUES


def test_a_shopper_without_events_has_bought_nothing() -> None:
    found = item_repeats(history(), 5, np.array([1, 2]))
    assert (found.count.tolist(), found.elapsed.tolist()) == ([0, 0], [NEVER, NEVER])
    assert item_repeats(history((1, 1)), 5 * DAY, np.array([], np.int64)).count.tolist() == []


def by_definition(
    shopper: list[PlainEvent], event: PlainEvent, lookback: int, *, category: bool
) -> tuple[int, int, int]:
    def key(one: PlainEvent) -> int:
        return int(CATEGORY[one.item]) if category else one.item

    wanted = key(event)
    times = sorted({e.time for e in before(shopper, event.time, lookback=lookback) if e.bought and key(e) == wanted})
    if not wanted or not times:
        return 0, NEVER, NEVER
    gaps = [b - a for a, b in pairwise(times)]
    return len(times), (event.time - times[-1]) * 60, sum(gaps) * 60 // len(gaps) if gaps else NEVER


@given(log=LOGS, lookback=st.integers(1, 9), category=st.booleans())
def test_every_event_gets_what_a_loop_over_its_past_finds(
    log: list[list[PlainEvent]], lookback: int, category: bool
) -> None:
    columns = Columns.of(log, unit=60, lookback=lookback)
    keys = CATEGORY[columns.item] if category else columns.item
    found = repeats(
        columns.past, columns.time, keys, bought=columns.bought, keys=keys, time=columns.time, start=columns.start
    )
    expected = [by_definition(shopper, event, lookback, category=category) for shopper in log for event in shopper]
    assert list(zip(*(a.tolist() for a in (found.count, found.elapsed, found.interval)), strict=True)) == expected


@given(log=LOGS.filter(lambda log: len(log[0]) > 0), at=st.integers(0, 9))
def test_candidates_at_a_question_get_what_an_event_of_that_instant_gets(log: list[list[PlainEvent]], at: int) -> None:
    shopper = log[0]
    seen = history(*((e.item, e.time, EventType.PURCHASE if e.bought else EventType.VIEW) for e in shopper), unit=60)
    item = np.arange(5)
    for found, category in (
        (item_repeats(seen, at * 60, item), False),
        (category_repeats(seen, at * 60, item, CATEGORY), True),
    ):
        for number in range(5):
            asked = PlainEvent(time=at, item=number, bought=True, price=1.0, list_price=1.0)
            row = (int(found.count[number]), int(found.elapsed[number]), int(found.interval[number]))
            assert row == by_definition(shopper, asked, 99, category=category)


@given(log=LOGS.filter(lambda log: len(log[0]) > 0))
def test_the_quick_way_to_the_time_since_a_purchase_says_the_same(log: list[list[PlainEvent]]) -> None:
    rows = ((e.item, e.time, EventType.PURCHASE if e.bought else EventType.VIEW) for e in log[0])
    seen, item = history(*rows, unit=60), np.array([4, 2, 2, 1, 3])
    again, elapsed = since_bought(seen, 9 * 60, item)
    found = item_repeats(seen, 9 * 60, item)
    assert again.tolist() == (found.count > 0).tolist()
    assert elapsed.tolist() == found.elapsed[again].tolist()
