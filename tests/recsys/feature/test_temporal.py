"""Local time, days of the month and gaps, by hand."""

import calendar
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY, HOUR, SECOND, parse_instant
from recsys.errors import ConfigError
from recsys.feature.temporal import (
    DAYS_OF_MONTH,
    GAPS,
    _clock_changes,
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


ZONES = st.sampled_from(["UTC", "America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Africa/Casablanca"])


@given(zone=ZONES, instants=st.lists(st.integers(-(10**15), 5 * 10**15), max_size=4), near=st.integers(0, 200))
def test_looked_up_clocks_are_those_that_arrow_tells_for_each_instant(
    zone: str, instants: list[int], near: int
) -> None:
    """Also before 1970, far ahead, and in the microseconds around a change of clock."""
    change = [at for at in _clock_changes(zone)[0].tolist() if at][near % max(1, len(_clock_changes(zone)[0]) - 1)]
    time = np.array([*instants, change - 1, change, change + 1], np.int64)
    aware = pa.array(time).cast(pa.timestamp("us", tz=zone))
    expected = np.asarray(pc.local_timestamp(aware).cast(pa.int64()))
    np.testing.assert_array_equal(local_time(time, zone), expected)
    np.testing.assert_array_equal(local_time(time[-3:-1], zone), expected[-3:-1])


def test_the_changes_of_clock_of_new_york_in_2017_are_known_to_the_microsecond() -> None:
    change, offset = _clock_changes("America/New_York")
    spring, autumn = (change.tolist().index(parse_instant(f"2017-{day}:00:00Z")) for day in ("03-12T07", "11-05T06"))
    assert autumn == spring + 1
    assert [hours * HOUR for hours in (-5, -4, -5)] == offset[spring : autumn + 2].tolist()
