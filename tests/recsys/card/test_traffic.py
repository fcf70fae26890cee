"""When things happen."""

from recsys.card.traffic import Traffic
from recsys.clock import DAY, HOUR, MINUTE, SECOND
from tests.recsys.card.logs import START, Row, act, bought, card

MONDAY = START // DAY


def traffic(*rows: Row, **view: object) -> Traffic:
    found = card(rows, **view).traffic
    assert found is not None
    return found


def test_events_are_counted_by_type_and_local_date() -> None:
    found = traffic(bought(0), act(HOUR), act(DAY, type="impression"), act(2 * DAY - 1))
    assert found.events == {"view": 2, "purchase": 1, "impression": 1}
    assert found.days == {
        MONDAY: {"view": 1, "purchase": 1},
        MONDAY + 1: {"view": 1, "impression": 1},
    }
    assert (found.first, found.last) == (START, START + 2 * DAY - 1)
    early = traffic(bought(0), time_zone="America/New_York")
    assert list(early.days) == [MONDAY - 1], "midnight in London is the evening before in New York"


def test_a_shopper_counts_once_for_every_hour_of_the_week() -> None:
    rows = [act(9 * HOUR, "ann"), act(9 * HOUR + 5, "ann"), act(9 * HOUR, "bob"), act(10 * HOUR, "ann")]
    found = traffic(*rows, act(DAY + 9 * HOUR, "ann"), act(9 * HOUR, "cem", type="offer"))
    assert found.week[0][9:11] == (2, 1)
    assert found.week[1][9] == 1
    assert sum(map(sum, found.week)) == 4
    assert (found.hours[9], found.hours[10]) == (3, 1)


def test_hours_are_told_apart_by_channel() -> None:
    found = traffic(act(HOUR, channel="web"), act(2 * HOUR, channel="store"), act(3 * HOUR))
    assert {name: hours.index(1) for name, hours in found.channels.items()} == {"web": 1, "store": 2, "not stated": 3}


def test_how_fine_the_stamps_are() -> None:
    found = traffic(act(0), act(HOUR), act(MINUTE), act(SECOND), act(5))
    assert (found.moments, found.on_second, found.on_minute, found.on_hour, found.on_midnight) == (5, 4, 3, 2, 1)
    local = traffic(act(DAY - HOUR), time_zone="Europe/Berlin")
    assert local.on_midnight == 1, "midnight in Berlin counts as well as midnight in UTC"


def test_instants_shared_by_shoppers_stand_out_a_basket_does_not() -> None:
    basket = [bought(0, "ann", item) for item in "abc"]
    found = traffic(*basket, act(0, "bob"), act(7, "ann"))
    assert found.crowded == ((START, 2), (START + 7, 1))
    assert (found.moments, found.instants) == (3, 2)


def test_acts_that_say_the_same_again_are_counted() -> None:
    again = [act(0, "ann", "a"), act(0, "ann", "a"), act(0, "ann", "a")]
    other = [act(0, "ann", "b"), bought(0, "ann", "a"), act(1, "ann", "a"), act(0, "bob", "a")]
    assert traffic(*again, *other, act(0, "ann", None, type="search")).repeats == 2


def test_an_empty_log_has_no_days() -> None:
    found = traffic()
    assert (found.events, found.days, found.first, found.moments) == ({}, {}, 0, 0)
