"""Times that cannot be right."""

import pytest

from recsys.card.findings.clocks import quiet_centre
from recsys.clock import DAY, HOUR, MINUTE, parse_instant
from tests.recsys.card.findings.logs import clean, found, moved
from tests.recsys.card.logs import START, act, bought


def hours(busy: range) -> list[int]:
    return [100 if hour in busy else 1 for hour in range(24)]


@pytest.mark.parametrize(
    ("busy", "centre"),
    [(range(8, 22), 3.0), (range(6, 24), 3.0), (range(18), 21.0), (range(6, 20), 1.0)],
)
def test_the_quiet_hours_are_found_around_the_clock(busy: range, centre: float) -> None:
    assert quiet_centre(hours(busy), night_share=0.08) == pytest.approx(centre)


def test_days_without_a_night_and_thin_logs_say_nothing() -> None:
    assert quiet_centre([100] * 24, night_share=0.08) is None
    assert quiet_centre([hour // 10 for hour in hours(range(8, 22))], night_share=0.08) is None


@pytest.mark.parametrize(("ahead", "early_or_late"), [(10, "10 hours late"), (-8, "8 hours early"), (12, "12 hours")])
def test_clocks_of_another_zone_are_told_with_the_offset_that_would_be_right(ahead: int, early_or_late: str) -> None:
    warned = found(moved(clean(), ahead))
    assert set(warned) == {"wrong time zone"}
    (zone,) = warned.values()
    assert early_or_late in zone.says
    assert zone.grave
    if abs(ahead) < 12:
        assert f"UTC{-ahead:+03d}:00" in zone.evidence[0]


def test_a_shop_read_in_the_wrong_zone_is_told_so() -> None:
    warned = found(clean(), time_zone="Asia/Tokyo")
    assert set(warned) == {"wrong time zone"}
    assert "around 12:" in warned["wrong time zone"].says
    assert "UTC+00:00 would" in warned["wrong time zone"].evidence[0]


def test_one_channel_with_another_clock_is_named() -> None:
    store = [{**row, "channel": "till", "event_id": f"t{n}"} for n, row in enumerate(moved(clean(seed=1), 11))]
    warned = found(clean(shoppers=200) + store)
    assert set(warned) == {"clock of channel till"}


def test_dates_without_times() -> None:
    dates = [{**row, "occurred_at": int(row["occurred_at"]) // DAY * DAY} for row in clean()]  # type: ignore[call-overload]
    warned = found(dates)
    assert set(warned) == {"dates without times"}
    assert warned["dates without times"].grave
    local = [{**row, "occurred_at": int(row["occurred_at"]) + 5 * HOUR} for row in dates]  # type: ignore[call-overload]
    assert set(found(local, time_zone="America/New_York")) == {"dates without times"}
    assert "dates without times" not in found([act(0), act(DAY)]), "two moments say nothing"


def test_events_after_now() -> None:
    now = START + 58 * DAY
    warned = found(clean(), now=now)
    assert set(warned) == {"events in the future"}
    assert "2024-02-28 00:00:00 UTC" in warned["events in the future"].says
    last = [bought(58 * DAY + MINUTE, price=4.0)]
    assert "0 events lie on later dates than today" in found(last, now=now)["events in the future"].says


def test_stamps_at_the_dawn_of_computing() -> None:
    zeros = [bought(parse_instant("1970-01-20") - START, f"s{number}", price=4.0) for number in range(3)]
    warned = found(clean() + zeros)
    assert "events before 2000" in warned
    assert warned["events before 2000"].says.startswith(
        "3 events are stamped before the year 2000, the first 1970-01-20"
    )


def test_an_instant_at_which_hundreds_act_at_once() -> None:
    batch = [bought(20 * DAY + 9 * HOUR, f"s{number}", price=4.0) for number in range(150)]
    warned = found(clean() + batch)
    assert set(warned) == {"crowded instants"}
    assert warned["crowded instants"].evidence == ("2024-01-21 09:00:00 UTC: 150 shoppers at once",)
