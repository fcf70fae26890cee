"""Inhuman rates."""

from recsys.card.pace import Haste, Limits
from recsys.clock import DAY, HOUR, MINUTE, SECOND
from tests.recsys.card.logs import Row, act, bought, card

LIMITS = Limits(per_minute=10, per_hour=100, per_day=200, hours_a_day=20, items_a_day=50)


def haste(*rows: Row, limits: Limits = LIMITS, show_ids: bool = False) -> Haste:
    found = card(rows, limits=limits, show_ids=show_ids).haste
    assert found is not None
    return found


def test_the_most_in_a_minute_an_hour_and_a_day() -> None:
    minute = [act(second * SECOND, "bot") for second in range(12)]
    hour = [act(HOUR + step * MINUTE, "bot") for step in range(15)]
    found = haste(*minute, *hour, act(DAY, "bot"), act(0, "ann"))
    (bot,) = found.worst
    assert (bot.acts, bot.per_minute, bot.per_hour, bot.per_day, bot.hours_a_day) == (28, 12, 15, 27, 2)
    assert (found.shoppers, found.acts) == (1, 28)
    assert found.beyond == {"per_minute": 1, "per_hour": 0, "per_day": 0, "hours_a_day": 0, "items_a_day": 0}


def test_a_large_basket_or_a_page_of_impressions_is_not_haste() -> None:
    basket = [bought(0, item=f"i{number}") for number in range(40)]
    page = [act(number, type="impression") for number in range(300)]
    assert haste(*basket, *page).shoppers == 0


def test_who_acts_at_every_hour_of_a_day_does_not_sleep() -> None:
    (found,) = haste(*(act(hour * HOUR, "bot") for hour in range(21))).worst
    assert (found.hours_a_day, found.per_hour) == (21, 1)
    night_and_day = [act(12 * HOUR + hour * HOUR, "ann") for hour in range(21)]
    assert haste(*night_and_day).shoppers == 0, "12 hours on one date and 9 on the next"


def test_items_of_one_day_count_once_each() -> None:
    wide = [act(number * 10 * SECOND, "bot", f"i{number}") for number in range(51)]
    again = [act(DAY + number * 10 * SECOND, "bot", "i0") for number in range(60)]
    (found,) = haste(*wide, *again).worst
    assert found.items_a_day == 51


def test_the_worst_come_first_and_are_named_only_on_request() -> None:
    rows = [act(second * SECOND, f"bot-{speed}") for speed in range(11, 20) for second in range(speed)]
    assert [pace.per_minute for pace in haste(*rows).worst] == [19, 18, 17, 16, 15]
    assert {pace.shopper for pace in haste(*rows).worst} == {None}
    assert [pace.shopper for pace in haste(*rows, show_ids=True).worst][:2] == ["bot-19", "bot-18"]
    assert haste(*rows).shoppers == 9
