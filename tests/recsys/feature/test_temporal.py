"""Local time, days of the month and gaps, by hand."""

import calendar
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY, SECOND, parse_instant
from recsys.errors import ConfigError
from recsys.feature.temporal import (
    DAYS_OF_MONTH,
    GAPS,
    day_of_month,
    gap_class,
    hour_of,
    local_time,
    month_length,
    weekday_of,
)


@pytest.mark.parametrize(
    ("utc", "hour", "weekday"),
    [
        ("2017-03-12T06:59:59Z", 1, 6),  # the last second of winter time, Sunday
        ("2017-03-12T07:00:00Z", 3, 6),  # clocks go from 2 to 3
        ("2017-11-05T05:59:59Z", 1, 6),  # the last second of summer time
        ("2017-11-05T06:00:00Z", 1, 6),  # the hour from 1 to 2 comes twice
        ("2017-11-05T07:00:00Z", 2, 6),
        ("2017-07-01T03:30:00Z", 23, 4),  # still Friday
        ("2017-12-05T04:30:00Z", 23, 0),  # still Monday
    ],
)
def test_new_york_reads_its_own_clock_through_daylight_saving(utc: str, hour: int, weekday: int) -> None:
    local = local_time(np.array([parse_instant(utc)]), "America/New_York")
    assert (hour_of(local).tolist(), weekday_of(local).tolist()) == ([hour], [weekday])


def test_instants_before_1970_have_hours_and_weekdays_too() -> None:
    local = local_time(np.array([parse_instant("1969-12-31T23:00:00Z")]), "UTC")
    assert (hour_of(local).tolist(), weekday_of(local).tolist()) == ([23], [2])


def test_an_unheard_of_zone_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'America/Gotham'"):
        local_time(np.array([0]), "America/Gotham")


def test_gap_classes_double() -> None:
    seconds = [0, 0.4, 1, 1.99, 2, 3.9, 4, 60, 3600, 86_400, 604_800]
    expected = [1, 1, 1, 1, 2, 2, 3, 6, 12, 17, 20]
    assert gap_class((np.array(seconds) * SECOND).astype(np.int64)).tolist() == expected


def test_no_moment_before_is_a_class_of_its_own_and_centuries_are_the_last() -> None:
    assert gap_class(np.array([-1, 2**62])).tolist() == [0, GAPS - 1]


def test_gap_classes_end_at_their_borders_to_the_microsecond() -> None:
    for power in range(1, GAPS - 1):
        border = SECOND * 2**power
        assert gap_class(np.array([border - 1, border])).tolist() == [power, power + 1]


@given(number=st.integers(-200_000, 200_000))
def test_days_of_the_month_are_those_of_the_calendar(number: int) -> None:
    day = date(1970, 1, 1) + timedelta(days=number)
    assert day_of_month(np.array([number])).tolist() == [day.day]
    assert month_length(np.array([number])).tolist() == [calendar.monthrange(day.year, day.month)[1]]
    assert 0 < day.day < DAYS_OF_MONTH


def test_the_day_of_the_month_is_the_shops_own() -> None:
    local = local_time(np.array([parse_instant("2024-03-01T04:30:00Z")]), "America/New_York")
    assert day_of_month(local // DAY).tolist() == [29]
