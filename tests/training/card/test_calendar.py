"""Counts by date."""

import pytest

from recsys.card.traffic import Traffic
from recsys.clock import DAY, parse_instant
from tests.recsys.card.logs import START, Row, act, bought, card
from training.card.calendar import calendar_of


def traffic(*rows: Row) -> Traffic:
    found = card(rows).traffic
    assert found is not None
    return found


def test_dates_without_events_are_there_with_none() -> None:
    calendar = calendar_of(traffic(act(0), act(1), bought(3 * DAY)))
    assert [str(date) for date in calendar.date] == ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]
    assert {name: count.tolist() for name, count in calendar.count.items()} == {
        "view": [2, 0, 0, 0],
        "purchase": [0, 0, 0, 1],
    }


def test_a_day_has_its_place_between_the_ends() -> None:
    calendar = calendar_of(traffic(act(0), act(3 * DAY)))
    assert [calendar.place(START // DAY + days) for days in (0, 2, 4)] == pytest.approx([0.0, 0.5, 1.0])


def test_a_stamp_from_another_age_does_not_stretch_the_picture() -> None:
    rows = [act(number * DAY // 100, f"s{number}") for number in range(2_000)]
    calendar = calendar_of(traffic(*rows, act(parse_instant("1970-01-02") - START)))
    assert (str(calendar.date[0]), len(calendar.date)) == ("2024-01-01", 20)
