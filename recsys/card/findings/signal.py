"""Too little to learn or to measure from."""

from collections.abc import Iterator

import numpy as np

from recsys.card.findings.finding import Checked, Finding, share_text
from recsys.card.traffic import Traffic
from recsys.clock import to_datetime
from recsys.event import EventType

_SHOP_TYPES = (EventType.IMPRESSION.value, EventType.OFFER.value)
_LEAST_A_DAY = 20
_CLOSED_SHARE = 0.8
_EXAMPLES = 5


def empty(checked: Checked) -> Iterator[Finding]:
    """A log in which no shopper does anything."""
    if not checked.card.popularity.interactions:
        yield Finding(
            name="no interactions",
            grave=True,
            says=f"none of {checked.summary.events:,} events is something that a shopper does to an item",
            threshold="one view, click, cart, purchase, wish or rating with an item id",
            remedy="look at the quarantine's reasons and at the mapping of types and columns in the source",
        )


def few_moments(checked: Checked) -> Iterator[Finding]:
    """Shoppers with one moment teach no order."""
    shoppers, least = checked.card.shoppers, checked.thresholds.two_moments
    if shoppers.count and shoppers.two_moments < least * shoppers.count:
        yield Finding(
            name="little to learn an order from",
            grave=True,
            says=f"only {share_text(shoppers.two_moments, shoppers.count)} of {shoppers.count:,} shoppers have two "
            "moments or more",
            threshold=f"{least:.0%} of the shoppers",
            remedy="look whether the shopper's id lasts (a cookie that does not, a basket id in its place); if this is "
            "all there is, popularity and co-visits will do better than a sequence model",
        )


def cut_off(checked: Checked) -> Iterator[Finding]:
    """A cut-off that leaves too little on one side."""
    card, limits = checked.card, checked.thresholds
    if card.cold_shoppers is None or card.traffic is None or not card.shoppers.acts:
        return
    after = card.cold_shoppers.events / card.shoppers.acts
    few_after, few_before = after < limits.after_cutoff, 1 - after < limits.before_cutoff
    if few_after or few_before:
        yield Finding(
            name="cut-off leaves too little",
            grave=True,
            says=f"{share_text(after, 1)} of the acts come at or after {to_datetime(card.view.cutoff):%Y-%m-%d %H:%M}, "
            f"{share_text(1 - after, 1)} before it",
            evidence=(f"the log reaches from {_day(card.traffic.first)} to {_day(card.traffic.last)}",),
            threshold=f"at least {limits.after_cutoff:.1%} after it and {limits.before_cutoff:.0%} before it",
            remedy=f"move data.cutoff {'earlier' if few_after else 'later'}, into the log",
        )


def cold_items(checked: Checked) -> Iterator[Finding]:
    """Most of what is asked after the cut-off was unknown before it."""
    cold, least = checked.card.cold_items, checked.thresholds.cold_items
    if cold is not None and cold.new_events < cold.events and cold.event_share > least:
        yield Finding(
            name="many new items",
            grave=False,
            says=f"{share_text(cold.new_events, cold.events)} of the interactions after the cut-off are with items "
            "never taken before it",
            threshold=f"{least:.0%} of the interactions",
            remedy="ids alone cannot answer these: describe the items (category, brand, text) so that new ones "
            "resemble old ones, and train often",
        )


def quarantined(checked: Checked) -> Iterator[Finding]:
    """A good part of the raw rows was refused."""
    summary, least = checked.summary, checked.thresholds.quarantined
    if summary.quarantined > least * summary.rows_in:
        reasons = sorted(summary.quarantine_reasons.items(), key=lambda pair: -pair[1])[:_EXAMPLES]
        yield Finding(
            name="many rows refused",
            grave=True,
            says=f"{summary.quarantined:,} of {summary.rows_in:,} rows were refused",
            evidence=tuple(f"{reason}: {count:,}" for reason, count in reasons),
            threshold=f"{least:.0%} of the rows",
            remedy="the quarantine holds each with its original text; correct the source's mapping and ingest again",
        )


def undescribed(checked: Checked) -> Iterator[Finding]:
    """Items that are taken but not in the items' table."""
    card, least = checked.card, checked.thresholds.undescribed
    if card.catalogue.undescribed > least * card.popularity.items:
        yield Finding(
            name="items not described",
            grave=False,
            says=f"{card.catalogue.undescribed:,} of {card.popularity.items:,} items with interactions are not in the "
            "items' table",
            threshold=f"{least:.0%} of the items",
            remedy="complete the items' table: what is not described can neither be filtered nor resemble anything",
        )


def holes(checked: Checked) -> Iterator[Finding]:
    """Dates without a single act, in a shop where there are many on any other."""
    traffic = checked.card.traffic
    if traffic is None:
        return
    missing = empty_dates(traffic)
    if missing:
        yield Finding(
            name="days without events",
            grave=False,
            says=f"{len(missing):,} {'date is' if len(missing) == 1 else 'dates are'} empty where a day usually brings "
            f"{_acts_a_day(traffic):,.0f} acts",
            evidence=tuple(str(date) for date in missing[:_EXAMPLES])
            + ((f"and {len(missing) - _EXAMPLES:,} more",) if len(missing) > _EXAMPLES else ()),
            threshold=f"one date, where {_LEAST_A_DAY} acts a day are usual; weekdays that are always empty do not "
            "count",
            remedy="look for a missing file or a tracker that was down; if the shop was closed, all is well",
        )


def empty_dates(traffic: Traffic) -> list[np.datetime64]:
    """Dates between the first and the last act without any; none where days are thin, and no closing days."""
    acts = _acts_by_day(traffic)
    if len(acts) < 2 or _acts_a_day(traffic) < _LEAST_A_DAY:
        return []
    every = np.arange(min(acts), max(acts) + 1)
    open_ = np.isin(every, list(acts))
    weekday = every % 7
    days = np.bincount(weekday, minlength=7)
    closed = np.bincount(weekday[~open_], minlength=7) >= _CLOSED_SHARE * np.maximum(days, 1)
    return list(every[~open_ & ~closed[weekday]].astype("datetime64[D]"))


def _acts_by_day(traffic: Traffic) -> dict[int, int]:
    counts = {
        day: sum(count for name, count in types.items() if name not in _SHOP_TYPES)
        for day, types in traffic.days.items()
    }
    return {day: count for day, count in counts.items() if count}


def _acts_a_day(traffic: Traffic) -> float:
    return float(np.median(list(_acts_by_day(traffic).values())))


def _day(instant: int) -> str:
    return f"{to_datetime(instant):%Y-%m-%d}"
