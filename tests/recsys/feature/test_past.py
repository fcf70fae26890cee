"""What a moment looks back on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.feature.past import Past, moment_rows, past_before
from tests.recsys.feature.plain import LOGS, Columns, PlainEvent, before


def test_one_instant_of_two_shoppers_is_two_moments() -> None:
    assert moment_rows(np.array([1, 1, 2, 2, 2]), np.array([0, 3, 3, 5])).tolist() == [0, 2, 3]


def test_a_moment_sees_the_whole_moments_before_it_that_are_within_the_lookback() -> None:
    time, start = np.array([1, 2, 2, 3, 4, 1]), np.array([0, 5, 6])
    first = moment_rows(time, start)
    past = past_before(first, np.array([0, 0, 0, 0, 5]), first, lookback=2)
    assert past.high.tolist() == [0, 1, 3, 4, 5]
    assert past.low.tolist() == [0, 0, 1, 3, 5], "at 4, the basket of two at 2 would be too much with the one at 3"


def test_a_basket_longer_than_the_lookback_hides_everything_before_it() -> None:
    time, start = np.array([1, 2, 2, 2, 3]), np.array([0, 5])
    past = past_before(np.array([4]), np.array([0]), moment_rows(time, start), lookback=2)
    assert (past.low.tolist(), past.high.tolist()) == ([4], [4])


def test_a_question_at_the_end_sees_its_own_sequence_only() -> None:
    time, start = np.array([1, 2, 2, 1]), np.array([0, 3, 3, 4])
    past = past_before(start[1:], start[:-1], moment_rows(time, start), lookback=2)
    assert past.low.tolist() == [1, 3, 3]
    assert past.high.tolist() == [3, 3, 4]


def test_rows_can_be_counted_among_some_only() -> None:
    past = Past(np.array([0, 2]), np.array([3, 4])).among(np.array([True, False, True, True]))
    assert (past.low.tolist(), past.high.tolist()) == ([0, 1], [2, 3])


@given(log=LOGS, lookback=st.integers(1, 9))
def test_every_event_looks_back_on_what_a_loop_finds(log: list[list[PlainEvent]], lookback: int) -> None:
    columns = Columns.of(log, unit=1, lookback=lookback)
    row = 0
    for shopper in log:
        for event in shopper:
            seen = slice(int(columns.past.low[row]), int(columns.past.high[row]))
            expected = before(shopper, event.time, lookback=lookback)
            assert columns.item[seen].tolist() == [one.item for one in expected]
            assert columns.time[seen].tolist() == [one.time for one in expected]
            row += 1


@given(log=LOGS, lookback=st.integers(1, 9))
def test_a_question_after_everything_looks_back_on_what_a_loop_finds(
    log: list[list[PlainEvent]], lookback: int
) -> None:
    columns = Columns.of(log, unit=1, lookback=lookback)
    first = moment_rows(columns.time, columns.start)
    past = past_before(columns.start[1:], columns.start[:-1], first, lookback=lookback)
    for number, shopper in enumerate(log):
        seen = slice(int(past.low[number]), int(past.high[number]))
        assert columns.item[seen].tolist() == [event.item for event in before(shopper, 99, lookback=lookback)]
