"""Too little to learn or to measure from."""

import pytest

from recsys.clock import DAY, HOUR
from tests.recsys.by_hand import items_table
from tests.recsys.card.findings.logs import clean, found, with_rows
from tests.recsys.card.logs import START, act, bought, card


def test_a_log_without_interactions_says_so_and_nothing_else_breaks() -> None:
    assert set(found([])) == {"no interactions"}
    assert set(found([act(0, type="impression")])) == {"no interactions"}
    assert set(found(card(order_only=True))) == {"no interactions"}


def test_shoppers_with_one_moment_only() -> None:
    rows = [bought(number * HOUR // 60, f"s{number}", f"i{number % 9}") for number in range(50)]
    assert "little to learn an order from" in found(rows)
    assert "little to learn an order from" not in found(rows + [bought(DAY, f"s{number}") for number in range(10)])


@pytest.mark.parametrize(("day", "towards"), [(-5, "later"), (5, "later"), (60, "earlier"), (900, "earlier")])
def test_a_cut_off_outside_of_the_log_or_at_its_ends(day: int, towards: str) -> None:
    warned = found(clean(), cutoff=START + day * DAY)
    assert set(warned) - {"many new items"} == {"cut-off leaves too little"}
    assert f"move data.cutoff {towards}" in warned["cut-off leaves too little"].remedy
    assert warned["cut-off leaves too little"].evidence == ("the log reaches from 2024-01-01 to 2024-02-29",)


def test_many_new_items_after_the_cut_off() -> None:
    news = [bought(55 * DAY + 10 * HOUR + n * 1_000_000, f"s{n % 60}", f"new{n}", price=3.0) for n in range(200)]
    warned = found(clean() + news)
    assert set(warned) == {"many new items"}
    assert not warned["many new items"].grave


def test_many_refused_rows_with_the_most_frequent_reasons() -> None:
    reasons = {"no price": 10, "no item": 41}
    warned = found(clean(), summary=with_rows(quarantined=51, quarantine_reasons=reasons))
    assert set(warned) == {"many rows refused"}
    assert warned["many rows refused"].evidence == ("no item: 41", "no price: 10")


def test_items_without_a_description() -> None:
    rows = clean()
    warned = found([{**row, "price": None} for row in rows], items=items_table([f"i{n}" for n in range(30)]))
    assert set(warned) == {"items not described"}
    assert warned["items not described"].says.startswith("10 of 40 items")


def test_empty_dates_are_holes_closing_days_are_not() -> None:
    def weekday(row: dict[str, object]) -> int:
        return (int(row["occurred_at"]) - START) // DAY % 7  # type: ignore[call-overload, no-any-return]

    def date(row: dict[str, object]) -> int:
        return (int(row["occurred_at"]) - START) // DAY  # type: ignore[call-overload, no-any-return]

    assert found([row for row in clean() if weekday(row) != 6]) == {}
    warned = found([row for row in clean() if date(row) not in range(20, 27)])
    assert set(warned) == {"days without events"}
    assert warned["days without events"].evidence[0] == "2024-01-21"
    assert warned["days without events"].evidence[-1] == "and 2 more"
    thin = clean(shoppers=4)
    assert found([row for row in thin if date(row) not in range(20, 27)]) == {}, "few acts a day, any day may be empty"


def test_offers_before_the_shop_opened_are_no_hole() -> None:
    assert found([*clean(), act(-40 * DAY, "s1", None, type="offer")]) == {}
