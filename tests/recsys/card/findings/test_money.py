"""Prices and quantities that look like something else."""

from collections.abc import Callable

from recsys.clock import DAY
from tests.recsys.by_hand import items_table
from tests.recsys.card.findings.logs import clean, found
from tests.recsys.card.logs import START, Row


def changed(change: Callable[[Row, int], Row]) -> list[Row]:
    """The clean log with some columns changed; `change` is told the row and its number."""
    return [{**row, **change(row, number)} for number, row in enumerate(clean())]


def item(row: Row) -> int:
    return int(str(row["item_id"])[1:])


def test_one_price_for_everything() -> None:
    assert set(found(changed(lambda row, n: {"price": 2.5, "list_price": None}))) == {"one price for everything"}


def test_prices_that_never_change() -> None:
    rows = changed(lambda row, n: {"price": 2.0 + item(row), "list_price": None})
    assert set(found(rows)) == {"prices never change"}


def test_free_things_and_prices_above_the_list_price() -> None:
    free = changed(lambda row, n: {"price": 0.0, "list_price": None} if n % 50 == 0 else {})
    assert set(found(free)) == {"prices of nothing"}
    swapped = changed(lambda row, n: {"price": row["list_price"], "list_price": row["price"]})
    assert set(found(swapped)) == {"prices above the list price"}


def test_totals_in_place_of_unit_prices() -> None:
    lines = changed(lambda row, n: {"quantity": 1.0 + n % 4, "price": row["price"] * (1 + n % 4), "list_price": None})  # type: ignore[operator]
    assert "prices of lines, not of units" in found(lines)
    units = changed(lambda row, n: {"quantity": 1.0 + n % 4})
    assert found(units) == {}


def test_cents_in_one_place_and_crowns_in_the_other() -> None:
    items = items_table([f"i{number}" for number in range(40)])  # 1.50 each
    assert found(clean(), items=items) == {}, "a median of 20 to 1.50 is within a factor of twenty"
    cents = changed(lambda row, n: {"price": row["price"] * 100, "list_price": row["list_price"] * 100})  # type: ignore[operator]
    assert set(found(cents, items=items)) == {"two units of money"}


def test_several_currencies() -> None:
    mixed = changed(lambda row, n: {"currency": "USD"} if n % 10 == 0 else {})
    warned = found(mixed)
    assert set(warned) == {"several currencies"}
    assert "EUR" in warned["several currencies"].says
    assert warned["several currencies"].says.index("EUR") < warned["several currencies"].says.index("USD")


def test_quantities_in_grams() -> None:
    grams = changed(lambda row, n: {"quantity": 250.0})
    assert set(found(grams)) == {"large quantities"}
    assert START % DAY == 0
