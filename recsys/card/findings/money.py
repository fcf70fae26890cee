"""Prices and quantities that look like something else."""

from collections.abc import Iterator

from recsys.card.findings.finding import Checked, Finding, share_text
from recsys.card.prices import NOT_STATED
from recsys.clock import DAY

_LINE_SLOPE = 0.7
_ENOUGH = 100
_ENOUGH_ITEMS = 20
_ENOUGH_DAYS = 14
_FAR = 20.0
_MANY_UNITS = 20.0
_EXAMPLES = 6


def constant_prices(checked: Checked) -> Iterator[Finding]:
    """Prices that say nothing."""
    prices = checked.card.prices
    if prices.each.count < _ENOUGH:
        return
    if prices.each.p10 > 0 and prices.each.p99 <= 1.01 * prices.each.p10:
        yield Finding(
            name="one price for everything",
            grave=False,
            says=f"nearly all of {prices.each.count:,} prices are {prices.each.median:,.2f}",
            threshold="the 10th and the 99th percentile are within 1%",
            remedy="leave the price column out, or map the one that holds what was paid",
        )
    elif _lasts(checked) and prices.steady >= _ENOUGH_ITEMS and not prices.distinct_prices:
        yield Finding(
            name="prices never change",
            grave=False,
            says=f"none of {prices.steady:,} items with ten prices or more ever changes its price",
            threshold=f"not one change in {_ENOUGH_DAYS} days or more",
            remedy="this is rather the price of the day on which the log was written than the one that was paid: "
            "discounts cannot be learnt from it",
        )


def _lasts(checked: Checked) -> bool:
    """Whether the log is long enough for prices to change in it."""
    traffic = checked.card.traffic
    return traffic is not None and traffic.last - traffic.first >= _ENOUGH_DAYS * DAY


def odd_prices(checked: Checked) -> Iterator[Finding]:
    """Free things, negative prices, and prices above the list price."""
    prices, least = checked.card.prices, checked.thresholds.odd_prices
    if prices.not_positive > least * prices.each.count:
        yield Finding(
            name="prices of nothing",
            grave=False,
            says=f"{share_text(prices.not_positive, prices.each.count)} of {prices.each.count:,} prices are zero or "
            "less",
            threshold=f"{least:.0%} of the prices",
            remedy="leave the price empty where it is not known; zero is read as a gift",
        )
    if prices.above_list > least * prices.compared:
        yield Finding(
            name="prices above the list price",
            grave=False,
            says=f"{share_text(prices.above_list, prices.compared)} of {prices.compared:,} prices exceed their list "
            "price",
            threshold=f"{least:.0%} of the prices that have one",
            remedy="look whether the two columns are swapped, or one is with and the other without tax",
        )


def units(checked: Checked) -> Iterator[Finding]:
    """Totals in place of unit prices, cents in place of crowns, grams in place of pieces."""
    prices = checked.card.prices
    if prices.line_slope is not None and prices.line_slope > _LINE_SLOPE:
        yield Finding(
            name="prices of lines, not of units",
            grave=True,
            says=f"the price grows with the quantity (by quantity to the power {prices.line_slope:.2f})",
            threshold=f"a power over {_LINE_SLOPE}; unit prices have 0 or a little less",
            remedy="divide it by the quantity in the source (data=table: price: {column: ..., per: quantity}): "
            "`price` is what one unit cost",
        )
    ratio = prices.to_catalogue
    if ratio is not None and not 1 / _FAR < ratio < _FAR:
        yield Finding(
            name="two units of money",
            grave=True,
            says=f"prices in the log are {ratio:,.4g} times those in the items' table",
            threshold=f"a factor of {_FAR:.0f}",
            remedy="one of the two is in hundredths: bring both to the same unit (data=table: price: {column: ..., "
            "scale: 0.01})",
        )
    currencies = [name for name in prices.currencies if name != NOT_STATED]
    if len(currencies) > 1:
        named = ", ".join(f"{name} {prices.currencies[name]:,}" for name in currencies[:_EXAMPLES])
        yield Finding(
            name="several currencies",
            grave=False,
            says=f"prices come in {len(currencies)} currencies: {named}",
            threshold="one currency",
            remedy="prices are compared as numbers: convert them to one currency in the source",
        )
    if prices.quantity.count >= _ENOUGH and prices.quantity.median > _MANY_UNITS:
        yield Finding(
            name="large quantities",
            grave=False,
            says=f"half of the purchases are of {prices.quantity.median:,.0f} units or more",
            threshold=f"a median of {_MANY_UNITS:.0f}",
            remedy="look whether the quantity is in grams or cents; `quantity` counts units",
        )
