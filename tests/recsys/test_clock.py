"""Instants."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import (
    DAY,
    HOUR,
    SECOND,
    ManualClock,
    ShiftedClock,
    SystemClock,
    parse_instant,
    to_datetime,
    to_instant,
)


def test_an_instant_is_microseconds_since_1970() -> None:
    assert parse_instant("1970-01-02") == DAY
    assert parse_instant("1970-01-01T00:00:00.000001+00:00") == 1
    assert parse_instant("1970-01-01T02:00:00+02:00") == 0
    assert parse_instant("1969-12-31") == -DAY


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no zone; add an offset"):
        to_instant(datetime(2024, 1, 1))  # noqa: DTZ001


MOMENTS = st.datetimes(timezones=st.timezones() | st.just(timezone(timedelta(hours=5, minutes=45))))


@given(MOMENTS.filter(lambda moment: 1 < moment.year < 9999))
def test_instants_and_datetimes_convert_to_each_other_to_the_microsecond(moment: datetime) -> None:
    assert to_datetime(to_instant(moment)) == moment.astimezone(UTC)


def test_a_shifted_clock_starts_where_it_is_told_and_runs_with_the_machine() -> None:
    clock, system = ShiftedClock.starting_at(parse_instant("2018-01-01")), SystemClock()
    before = system.now()
    assert 0 <= clock.now() - parse_instant("2018-01-01") < 10 * SECOND
    assert clock.now() - clock.shift >= before


def test_a_clock_moved_by_hand_stays_until_moved() -> None:
    clock = ManualClock(5)
    clock.advance(HOUR)
    assert clock.now() == clock.now() == 5 + HOUR
