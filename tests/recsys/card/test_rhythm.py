"""Sessions, gaps and baskets, carried over midnight."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.card.rhythm import Rhythm, RhythmMeasure
from recsys.clock import DAY, HOUR, MINUTE
from recsys.state import SESSION_GAP
from tests.recsys.card.logs import Row, act, bought, card, pieces

LOGS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3 * 24 * 6)), max_size=30)


def rhythm(*rows: Row) -> Rhythm:
    found = card(rows).rhythm
    assert found is not None
    return found


def test_sessions_are_told_by_acts_moments_and_minutes() -> None:
    visit = [act(0), act(0, item="b"), act(10 * MINUTE), act(12 * MINUTE)]
    found = rhythm(*visit, act(5 * HOUR), act(0, "bob"))
    assert (found.sessions, found.one_moment) == (3, 2)
    assert (found.events.median, found.events.most) == (1.0, 4.0)
    assert (found.moments.median, found.moments.most) == (1.0, 3.0)
    assert (found.minutes.least, found.minutes.most) == (0.0, 12.0)


def test_a_session_goes_on_over_midnight() -> None:
    found = rhythm(act(DAY - 20 * MINUTE), act(DAY - 5 * MINUTE), act(DAY + 5 * MINUTE), act(DAY + 34 * MINUTE))
    assert (found.sessions, found.events.most, found.moments.most, found.minutes.most) == (1, 4.0, 4.0, 54.0)


def test_a_session_may_last_for_days() -> None:
    found = rhythm(*(act(step * 29 * MINUTE) for step in range(150)))
    assert (found.sessions, found.events.most) == (1, 150.0)
    assert found.minutes.most == 149 * 29


def test_gaps_lie_between_moments_of_one_shopper_across_sessions_and_dates() -> None:
    found = rhythm(act(0), act(0, item="b"), act(60 * MINUTE), act(2 * DAY), act(5, "bob"))
    assert found.gap_s.count == 2
    assert (found.gap_s.least, found.gap_s.most) == (3_600.0, 2 * 86_400 - 3_600)


def test_impressions_and_offers_make_no_session() -> None:
    found = rhythm(act(0), act(20 * MINUTE, type="impression"), act(45 * MINUTE), act(DAY, "bob", type="offer"))
    assert (found.sessions, found.gap_s.most) == (2, 45 * 60)


def test_a_basket_has_the_purchased_lines_of_one_moment() -> None:
    basket = [bought(0, item=item) for item in "abc"]
    found = rhythm(*basket, act(0, item="d"), bought(5), act(DAY))
    assert (found.basket.count, found.basket.least, found.basket.most) == (2, 1.0, 3.0)


def test_results_can_be_asked_for_in_between() -> None:
    crowd, (monday, tuesday) = pieces([act(0), act(DAY)])
    measure = RhythmMeasure()
    measure.add(monday, len(crowd.shopper))
    assert [measure.result().sessions for _ in range(2)] == [1, 1]
    measure.add(tuesday, len(crowd.shopper))
    assert measure.result().sessions == 2


@given(log=LOGS)
def test_sessions_are_what_a_loop_over_each_shopper_finds(log: list[tuple[int, int]]) -> None:
    rows = [act(ten * 10 * MINUTE, f"s{shopper}") for shopper, ten in log]
    sizes, gaps = [], []
    for shopper in range(3):
        times = sorted(ten * 10 * MINUTE for who, ten in log if who == shopper)
        gaps += [b - a for a, b in itertools.pairwise(times) if b > a]
        cuts = [0, *(n + 1 for n, gap in enumerate(np.diff(times)) if gap > SESSION_GAP), len(times)]
        sizes += [high - low for low, high in itertools.pairwise(cuts) if high > low]
    found = rhythm(*rows)
    assert (found.sessions, found.gap_s.count) == (len(sizes), len(gaps))
    assert found.events.most == max(sizes, default=0)
    assert found.events.median == (sorted(sizes)[(len(sizes) - 1) // 2] if sizes else 0)
    assert found.gap_s.median * 1e6 == pytest.approx(sorted(gaps)[(len(gaps) - 1) // 2] if gaps else 0, rel=0.006)
