"""Sessions by a gap of inactivity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import MINUTE
from recsys.errors import DataError
from recsys.sequence.sessions import Sessions, sessions
from recsys.state import SESSION_GAP
from tests.recsys.by_hand import history

LOGS = st.lists(st.lists(st.integers(0, 40), max_size=8).map(sorted), max_size=5)


def cut(*shoppers: list[int], gap: int = 30) -> Sessions:
    """Sessions of shoppers whose instants are given in minutes."""
    start = np.cumsum([0, *map(len, shoppers)])
    minutes = np.array([minute for times in shoppers for minute in times], np.int64)
    return sessions(minutes * MINUTE, start, gap=gap * MINUTE)


def test_a_session_ends_after_more_than_the_gap() -> None:
    found = cut([0, 30, 61, 91, 200])
    assert found.number.tolist() == [0, 0, 1, 1, 2]
    assert (found.began // MINUTE).tolist() == [0, 0, 61, 61, 200]
    assert found.first.tolist() == [0, 2, 4]
    assert len(found) == 3


def test_a_session_has_no_longest_duration() -> None:
    day_and_night = list(range(0, 3 * 24 * 60, 29))
    assert len(cut(day_and_night)) == 1


def test_events_of_one_instant_are_of_one_session() -> None:
    assert cut([5, 5, 5], gap=0).number.tolist() == [0, 0, 0]


def test_two_shoppers_never_share_a_session() -> None:
    found = cut([0, 10], [10, 20], [], [5])
    assert found.number.tolist() == [0, 0, 1, 1, 2]
    assert (found.began // MINUTE).tolist() == [0, 0, 10, 10, 5]


def test_no_events_are_no_sessions() -> None:
    assert len(cut()) == len(cut([], [])) == 0


def test_unsorted_events_are_refused() -> None:
    with pytest.raises(DataError, match="sort them by shopper and instant"):
        cut([0, 10], [30, 20])


@given(log=LOGS, gap=st.integers(0, 15))
def test_sessions_are_what_a_loop_over_the_events_finds(log: list[list[int]], gap: int) -> None:
    number, expected, began = -1, [], []
    for times in log:
        before = None
        for minute in times:
            if before is None or minute - before > gap:
                number, opened = number + 1, minute
            before = minute
            expected.append(number)
            began.append(opened)
    found = cut(*log, gap=gap)
    assert found.number.tolist() == expected
    assert (found.began // MINUTE).tolist() == began


@given(times=st.lists(st.integers(0, 200), min_size=1, max_size=12).map(sorted))
def test_offline_sessions_begin_where_an_online_history_says(times: list[int]) -> None:
    """The state at serving time and the log agree on when the running session began."""
    found = cut(times, gap=SESSION_GAP // MINUTE)
    for row, minute in enumerate(times):
        past = history(*((1, earlier) for earlier in times[:row]), unit=MINUTE)
        assert past.session_start(minute * MINUTE) == found.began[row]
