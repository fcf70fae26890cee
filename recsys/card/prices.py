"""What things cost: how prices are spread, whether they fit their list prices, quantities and items."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.card.arrays import grown
from recsys.card.piece import Crowd, Piece
from recsys.card.sketch import Sketch, Spread
from recsys.event import EventType

NOT_STATED = "not stated"
_FIXED = 10_000
"""Logarithms are added up as whole ten-thousandths, so that the order of adding cannot matter."""
_PRICES = (0.0, *(float(10 ** (0.125 * step)) for step in range(-16, 49)))
_SHARES = tuple(0.05 * step for step in range(21))
_SIZES = (0.0, 0.5, 1.5, 2.5, 3.5, 5.5, 10.5, 20.5, 50.5, 100.5, 1_000.5, 1e9)
_COLUMNS = ("count", "log", "square", "single", "single_log", "several", "several_log", "several_units")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What `PricesMeasure` found.

    Attributes:
        priced: events with a price, by type of event.
        each: the prices, of all of them together.
        currencies: priced events by currency; `NOT_STATED` where there is none.
        not_positive: priced events whose price is zero or less.
        compared: events with a price and a list price.
        above_list: those of them that cost more than the list price (by more than a cent and 1 %).
        discounted: those that cost less than the list price (by more than a cent and 1 %).
        discount: share of the list price that a discounted event saved.
        quantity: units of each purchase.
        steady, wild: items with ten prices or more; and those of them whose prices (list prices, where there are any)
            are spread over more than a factor of two around their mean: one standard deviation of the logarithm.
        distinct_prices: items with ten prices or more whose price ever changed.
        line_slope: how the price of an item grows with the quantity bought: 0 for unit prices, 1 where the price is the
            line's total; None where too little is bought by twos and more.
        to_catalogue: prices in the log over prices in the catalogue, median over items; None without both.
    """

    priced: dict[str, int]
    each: Spread
    currencies: dict[str, int]
    not_positive: int
    compared: int
    above_list: int
    discounted: int
    discount: Spread
    quantity: Spread
    steady: int
    wild: int
    distinct_prices: int
    line_slope: float | None
    to_catalogue: float | None


class PricesMeasure:
    """Adds up pieces; 64 bytes for each item."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._each, self._discount, self._quantity = Sketch(unit=0.001), Sketch(unit=0.001), Sketch(whole=True)
        self._priced: Counter[str] = Counter()
        self._currencies: Counter[str] = Counter()
        self._not_positive = self._compared = self._above = self._discounted = 0
        self._item = {name: np.zeros(0, np.int64) for name in _COLUMNS}

    def add(self, acts: Piece) -> None:
        """Count the acts of a piece."""
        size = len(self._crowd.item)
        self._item = {name: grown(column, size) for name, column in self._item.items()}
        bought = acts.of_type(EventType.PURCHASE)
        quantity = _floats(bought.column("quantity"))
        self._quantity.add(quantity[quantity >= 0])
        price = _floats(acts.column("price"))
        known = ~np.isnan(price)
        if not known.any():
            return
        priced, price = acts.where(known), price[known]
        list_price = _floats(priced.column("list_price"))
        self._each.add(price[price >= 0])
        self._not_positive += int((price <= 0).sum())
        for event_type in EventType:
            self._priced[event_type.value] += int((priced.type == event_type.code).sum())
        currency = pc.value_counts(priced.column("currency").fill_null(NOT_STATED))
        self._currencies.update({row["values"]: row["counts"] for row in currency.to_pylist()})
        self._compare(price, list_price)
        self._add_items(priced, price, list_price)

    def _compare(self, price: np.ndarray, list_price: np.ndarray) -> None:
        both = ~np.isnan(list_price)
        price, full = price[both], list_price[both]
        slack = np.maximum(0.0101, 0.01 * full)
        less = (full > 0) & (price < full - slack)
        self._compared += len(price)
        self._above += int((price > full + slack).sum())
        self._discounted += int(less.sum())
        self._discount.add(np.clip(1 - price[less] / full[less], 0, 1))

    def _add_items(self, priced: Piece, price: np.ndarray, list_price: np.ndarray) -> None:
        usual = np.where(np.isnan(list_price), price, list_price)
        some = (usual > 0) & (priced.item >= 0)
        item, log = priced.item[some], _log(usual[some])
        for name, weight in (("count", np.ones_like(log)), ("log", log), ("square", log**2)):
            np.add.at(self._item[name], item, weight)
        quantity = _floats(priced.column("quantity"))
        bought = (priced.type == EventType.PURCHASE.code) & (priced.item >= 0) & (price > 0)
        single, several = bought & (quantity == 1), bought & (quantity >= 2)
        for prefix, chosen in (("single", single), ("several", several)):
            np.add.at(self._item[prefix], priced.item[chosen], 1)
            np.add.at(self._item[f"{prefix}_log"], priced.item[chosen], _log(price[chosen]))
        np.add.at(self._item["several_units"], priced.item[several], _log(quantity[several]))

    def result(self, item_price: np.ndarray) -> Prices:
        """What was found so far; `item_price` [V] is each item's price in the catalogue, NaN if unknown."""
        column = {name: values[: len(self._crowd.item)] for name, values in self._item.items()}
        often = column["count"] >= 10
        spread = _deviation(column)[often]
        return Prices(
            priced={name: count for name, count in self._priced.items() if count},
            each=Spread.of(self._each, edge=_PRICES),
            currencies=dict(sorted(self._currencies.items(), key=lambda pair: (-pair[1], pair[0]))),
            not_positive=self._not_positive,
            compared=self._compared,
            above_list=self._above,
            discounted=self._discounted,
            discount=Spread.of(self._discount, edge=_SHARES),
            quantity=Spread.of(self._quantity, edge=_SIZES),
            steady=int(often.sum()),
            wild=int((spread > np.log(2)).sum()),
            distinct_prices=int((spread > 0).sum()),
            line_slope=_line_slope(column),
            to_catalogue=_to_catalogue(column, item_price),
        )


def _floats(column: pa.Array) -> np.ndarray:
    """Values [N] float64, NaN for null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _log(values: np.ndarray) -> np.ndarray:
    return np.asarray((np.log(values) * _FIXED).round().astype(np.int64))


def _deviation(column: dict[str, np.ndarray]) -> np.ndarray:
    """Standard deviation of the logarithm of each item's prices, [V]; what rounding leaves of nothing is 0."""
    count = np.maximum(column["count"], 1)
    mean = column["log"] / count
    variance = np.maximum(column["square"] / count - mean**2, 0.0)
    deviation = np.sqrt(variance) / _FIXED
    return np.where(deviation < 1e-3, 0.0, deviation)


def _line_slope(column: dict[str, np.ndarray]) -> float | None:
    """Slope of log price against log quantity within items, by least squares over the means of each item."""
    both = (column["single"] >= 1) & (column["several"] >= 1)
    if int(column["several"][both].sum()) < 30:
        return None
    several = column["several"][both]
    units = column["several_units"][both] / several
    higher = column["several_log"][both] / several - column["single_log"][both] / column["single"][both]
    return float((several * units * higher).sum() / (several * units**2).sum())


def _to_catalogue(column: dict[str, np.ndarray], item_price: np.ndarray) -> float | None:
    both = (column["count"] > 0) & (np.nan_to_num(item_price) > 0)
    if not both.any():
        return None
    log = column["log"][both] / column["count"][both] / _FIXED
    return float(np.exp(np.median(log - np.log(item_price[both]))))
