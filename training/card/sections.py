"""The sections of the terminal card."""

from collections.abc import Iterator

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from recsys.card.card import DataCard
from recsys.card.coverage import FIELDS
from recsys.clock import DAY
from recsys.event import INTERACTIONS
from recsys.feature.temporal import HOURS
from recsys.log.summary import LogSummary
from training.card.bars import bar, sparkline
from training.card.calendar import Calendar, calendar_of
from training.card.layout import INK, WIDTH, Distributions, Lines, heading
from training.card.words import duration, figure, percent, ratio
from training.report import LITERATURE_MODE, accounted

_SPARK = 40
_MOST_REASONS = 6
_MOST_TYPES = 10
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PER_LINE = 2
_BAR = 10


def title(card: DataCard, summary: LogSummary) -> Iterator[RenderableType]:
    """What it is, from when to when, under which licence."""
    days = sorted(card.traffic.days) if card.traffic is not None else []
    span = f"{np.datetime64(days[0], 'D')} to {np.datetime64(days[-1], 'D')}" if days else ""
    yield ""
    yield Text.assemble((summary.source, "bold"), " " * max(WIDTH - len(summary.source) - len(span), 1), span)
    yield Text(summary.licence, "dim")
    if card.view.order_only:
        yield Text(LITERATURE_MODE, "yellow")


def rows(summary: LogSummary) -> Iterator[RenderableType]:
    """What became of every raw row."""
    yield heading("rows")
    lines = Lines()
    lines.add("account", accounted(summary))
    for label, reasons in (("quarantined", summary.quarantine_reasons), ("excluded", summary.excluded_reasons)):
        if reasons:
            most = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
            rest = f"; {len(most) - _MOST_REASONS} more reasons" if len(most) > _MOST_REASONS else ""
            lines.add(label, "; ".join(f"{reason} {count:,}" for reason, count in most[:_MOST_REASONS]) + rest)
    yield lines.table


def size(card: DataCard) -> Iterator[RenderableType]:
    """Shoppers, items, and how much of the one ever met the other."""
    yield heading("who and what")
    shoppers, taken, catalogue, identity = card.shoppers, card.popularity, card.catalogue, card.identity
    visitors = shoppers.count - shoppers.known
    lines = Lines()
    known = f"{shoppers.known:,} known" if shoppers.known else ""
    anonymous = (
        f"{visitors:,} anonymous only ({ratio(visitors, shoppers.count)}), who do "
        f"{ratio(shoppers.acts - shoppers.known_acts, shoppers.acts)} of the acts"
    )
    lines.add("shoppers", f"{shoppers.count:,}: " + ", ".join(filter(None, (known, anonymous if visitors else ""))))
    if identity.links:
        lines.add(
            "identity",
            f"{identity.linked_anonymous:,} anonymous ids sign in as {identity.linked_users:,} users "
            f"({identity.shared_anonymous:,} as more than one)",
        )
    lines.add(
        "items",
        f"{taken.items:,} taken, {taken.five:,} of them five times or more; {catalogue.items:,} described, "
        f"{catalogue.untaken:,} of them never taken",
    )
    estimated = "" if card.pairs.sampled == 1 else f", estimated from {percent(card.pairs.sampled)} of the interactions"
    lines.add("density", f"{percent(card.density)} of all pairs of a shopper and an item ever met{estimated}")
    lines.add("signal", f"{ratio(shoppers.two_moments, shoppers.count)} of the shoppers have two moments or more")
    yield lines.table


def traffic(card: DataCard) -> Iterator[RenderableType]:
    """Events by type and day, and by hour and weekday."""
    yield heading("events")
    if card.traffic is None:
        lines = Lines()
        lines.add("events", ", ".join(f"{name} {count:,}" for name, count in card.coverage.events.items()))
        yield lines.table
        return
    if not card.traffic.days:
        return
    calendar = calendar_of(card.traffic)
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(style="dim", width=16, no_wrap=True)
    table.add_column(width=_SPARK, no_wrap=True, style=INK)
    table.add_column(justify="right", width=12, no_wrap=True)
    table.add_column(justify="right", width=8, no_wrap=True)
    table.add_row("", "", Text("events", "dim"), Text("a day", "dim"))
    for name, total in list(card.traffic.events.items())[:_MOST_TYPES]:
        count = calendar.count[name]
        table.add_row(name, sparkline(count, width=_SPARK), f"{total:,}", figure(_a_day(count)))
    table.add_row("", Text(_ruler(calendar, card), "dim"), "", "")
    yield table
    hours, week = card.traffic.hours, [sum(day) for day in card.traffic.week]
    lines = Lines()
    busiest, quietest = max(range(HOURS), key=hours.__getitem__), min(range(HOURS), key=hours.__getitem__)
    lines.add(
        "hours 0–23",
        Text.assemble((sparkline(hours), INK), f"  busiest {busiest:02d}:00, quietest {quietest:02d}:00"),
    )
    lines.add("clock", f"{card.view.time_zone}; stamps are {_fineness(card)}")
    lines.add("weekdays", "  ".join(f"{day} {sparkline(week)[place]}" for place, day in enumerate(_WEEKDAYS)))
    yield lines.table


def _a_day(count: np.ndarray) -> float:
    """Mean from the first to the last day with such events."""
    days = np.flatnonzero(count)
    return float(count.sum() / (days[-1] - days[0] + 1)) if len(days) else 0.0


def _ruler(calendar: Calendar, card: DataCard) -> str:
    """First and last date below the sparklines and, in a second line, where the cut-off lies."""
    width = min(_SPARK, len(calendar.day))
    first, last = str(calendar.date[0]), str(calendar.date[-1])
    if width < _SPARK:
        return first if first == last else f"{first} to {last}"
    dates = first + last.rjust(width - len(first))
    column = int(calendar.place(card.view.cutoff // DAY) * width)
    if not 0 <= column < width:
        return dates
    mark = "▲ cut-off" if column < width // 2 else "cut-off ▲"
    begin = column if column < width // 2 else column - len(mark) + 1
    return f"{dates}\n{' ' * begin}{mark}"


def _fineness(card: DataCard) -> str:
    """The coarsest unit in which nearly all stamps are whole."""
    found = card.traffic
    assert found is not None
    for count, unit in (
        (found.on_midnight, "dates"),
        (found.on_hour, "whole hours"),
        (found.on_minute, "whole minutes"),
        (found.on_second, "whole seconds"),
    ):
        if count >= 0.99 * found.moments:
            return unit
    return "finer than seconds"


def sessions(card: DataCard) -> Iterator[RenderableType]:
    """Sessions, the time between moments, baskets."""
    found = Distributions()
    if card.rhythm is not None:
        rhythm = card.rhythm
        yield heading("sessions and rhythm")
        lines = Lines()
        lines.add(
            "sessions",
            f"{rhythm.sessions:,}, {ratio(rhythm.sessions, card.shoppers.count, plain=True)} a shopper; "
            f"{ratio(rhythm.one_moment, rhythm.sessions)} are a single moment",
        )
        yield lines.table
        found.add("acts a session", rhythm.events, figure)
        found.add("length of a session", rhythm.minutes, lambda minutes: duration(60 * minutes))
        found.add("gap between moments", rhythm.gap_s, duration)
        found.add("lines of a basket", rhythm.basket, figure)
    else:
        yield heading("sequences")
    found.add("moments of a shopper", card.shoppers.moments, figure)
    found.add("takings of an item", card.popularity.each, figure)
    if card.pairs.gap_days is not None:
        found.add("until bought again", card.pairs.gap_days, lambda days: duration(86_400 * days))
    found.add("price", card.prices.each, figure)
    yield found.table


def popularity(card: DataCard) -> Iterator[RenderableType]:
    """How uneven, how often again."""
    yield heading("what is taken")
    taken, pairs = card.popularity, card.pairs
    lines = Lines()
    top = ", ".join(f"{name}: {percent(share)}" for name, share in taken.top.items())
    lines.add("top items", f"share of the interactions that they take; {top}")
    lines.add("Gini", f"{taken.gini:.2f} (0: all items alike; 1: one item takes all)")
    if pairs.purchases:
        again = f"{ratio(pairs.repeats, pairs.purchases)} of the purchases are of an item the shopper had before"
        lines.add("repurchase", again)
    if card.catalogue.categories:
        total = max(taken.interactions, 1)
        named = (f"{name} {percent(count / total)}" for name, count in list(card.catalogue.top.items())[:5])
        lines.add("categories", ", ".join(named))
    if card.prices.discounted:
        lines.add(
            "discounts",
            f"{ratio(card.prices.discounted, card.prices.compared)} of the prices are below the list price, "
            f"half of these by {percent(card.prices.discount.median)} or more",
        )
    yield lines.table


def cold(card: DataCard) -> Iterator[RenderableType]:
    """What is new after the cut-off."""
    items, shoppers = card.cold_items, card.cold_shoppers
    if items is None or shoppers is None:
        return
    yield heading("after the cut-off")
    lines = Lines()
    lines.add("acts", f"{shoppers.events:,} ({ratio(shoppers.events, card.shoppers.acts)} of all)")
    if not shoppers.events:
        yield lines.table
        return
    lines.add(
        "new items",
        f"{items.new:,} of {items.active:,} ({percent(items.share)}), with {percent(items.event_share)} of the "
        "interactions",
    )
    lines.add(
        "new shoppers",
        f"{shoppers.new:,} of {shoppers.active:,} ({percent(shoppers.share)}), with "
        f"{percent(shoppers.event_share)} of the acts",
    )
    yield lines.table


def filled(card: DataCard) -> Iterator[RenderableType]:
    """Which columns have values, in interactions and, by item, in the items' table."""
    interactions = [kind.value for kind in INTERACTIONS if kind.value in card.coverage.events]
    if not interactions:
        return
    by_field = {field: card.coverage.share(field, *interactions) for field in FIELDS}
    yield heading("filled, of the interactions")
    yield from _bars_and_rest(by_field)
    yield heading("described, of the interactions by their item")
    yield from _bars_and_rest(card.catalogue.weighted)


def _bars_and_rest(shares: dict[str, float]) -> Iterator[RenderableType]:
    """A bar for every share that is not 0, and the names of the others."""
    yield _bars({name: share for name, share in shares.items() if share})
    if empty := [name for name, share in shares.items() if not share]:
        lines = Lines()
        lines.add("never", ", ".join(empty))
        yield lines.table


def _bars(shares: dict[str, float]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for _ in range(_PER_LINE):
        table.add_column(style="dim", width=17, no_wrap=True)
        table.add_column(width=_BAR, no_wrap=True, style=INK)
        table.add_column(justify="right", width=7, no_wrap=True)
        table.add_column(width=2)
    cells = [(name, bar(share, width=_BAR), percent(share), "") for name, share in shares.items()]
    for begin in range(0, len(cells), _PER_LINE):
        table.add_row(*(text for cell in cells[begin : begin + _PER_LINE] for text in cell))
    return table
