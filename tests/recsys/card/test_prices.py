"""Prices and quantities."""

import pytest

from recsys.card.prices import Prices
from recsys.clock import DAY
from tests.recsys.by_hand import items_table
from tests.recsys.card.logs import Row, act, bought, card


def prices(*rows: Row) -> Prices:
    return card(rows).prices


def test_prices_by_type_and_currency() -> None:
    found = prices(
        bought(0, price=2.0, currency="EUR"), act(1, price=3.0), act(2, price=4.0, currency="EUR"), act(3), bought(4)
    )
    assert found.priced == {"view": 2, "purchase": 1}
    assert found.currencies == {"EUR": 2, "not stated": 1}
    assert (found.each.count, found.each.least, found.each.most) == (3, 2.0, 4.0)
    assert found.each.median == pytest.approx(3.0, rel=0.005)


def test_discounts_and_prices_above_the_list_price() -> None:
    rows = [bought(0, price=price, list_price=10.0) for price in (10.0, 9.995, 5.0, 7.5, 12.0)]
    found = prices(*rows, bought(5, price=3.0))
    assert (found.compared, found.discounted, found.above_list) == (5, 2, 1)
    assert (found.discount.least, found.discount.most) == (0.25, 0.5)


def test_free_and_negative_prices_are_counted() -> None:
    found = prices(bought(0, price=0.0), bought(1, price=-1.0), bought(2, price=1.0))
    assert (found.not_positive, found.each.count) == (2, 2)


def test_an_item_is_steady_with_ten_prices_and_wild_beyond_a_factor_of_two() -> None:
    def ten(item: str, *some: float) -> list[Row]:
        return [bought(number, item=item, price=some[number % len(some)]) for number in range(10)]

    found = prices(*ten("still", 5.0), *ten("sale", 5.0, 4.0), *ten("reused", 5.0, 50.0), *ten("rare", 1.0)[:9])
    assert (found.steady, found.distinct_prices, found.wild) == (3, 2, 1)


def test_the_price_of_a_line_grows_with_its_quantity_that_of_a_unit_does_not() -> None:
    def sales(line_price: bool) -> list[Row]:
        return [
            bought(day * DAY, item=f"i{item}", quantity=float(units), price=(item + 1.0) * (units if line_price else 1))
            for item in range(10)
            for day, units in enumerate((1, 2, 4, 3))
        ]

    assert prices(*sales(True)).line_slope == pytest.approx(1.0, abs=0.01)
    assert prices(*sales(False)).line_slope == pytest.approx(0.0, abs=0.01)
    assert prices(*sales(True)[:20]).line_slope is None, "15 sales of several are too few to tell"


def test_prices_in_the_log_are_held_against_the_catalogue() -> None:
    rows = [bought(0, item="a", price=150.0), bought(1, item="b", price=300.0, list_price=150.0), bought(2, item="new")]
    found = card(rows, items=items_table(["a", "b", "never"])).prices
    assert found.to_catalogue == pytest.approx(100.0, rel=1e-3), "150 in the log, 1.50 in the catalogue"
    assert card([bought(0, price=None)]).prices.to_catalogue is None


def test_quantities_of_purchases() -> None:
    found = prices(bought(0, quantity=3.0), bought(1, quantity=1.0), act(2, quantity=9.0)).quantity
    assert (found.count, found.least, found.most) == (2, 1.0, 3.0)
