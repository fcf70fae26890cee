"""Pictures of when things happen."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.card.card import DataCard
from recsys.card.cold import Cold
from recsys.card.findings.signal import empty_dates
from recsys.clock import DAY
from recsys.feature.temporal import HOURS, local_time
from training.card.calendar import Calendar, calendar_of
from training.card.plots.style import ACCENT, MAIN, MUTED, SCALE, SERIES, canvas, date_axis, few_ticks, thousands
from training.card.words import percent

_MOST_TYPES = 7
_FEW_DAYS = 21
_LEAST_DATES = 3
_NEWCOMERS = (MAIN, SERIES[2])
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def events_by_day(card: DataCard) -> Figure | None:
    """Events of each type on each day, each type on a scale of its own; None without times."""
    if card.traffic is None or not card.traffic.days:
        return None
    calendar = calendar_of(card.traffic)
    types = list(card.traffic.events.items())[:_MOST_TYPES]
    figure, axes = canvas(len(types), height=1.1 + 1.25 * len(types))
    holes = np.isin(calendar.date, np.array(empty_dates(card.traffic), "datetime64[D]"))
    for place, (axis, (name, total)) in enumerate(zip(axes, types, strict=True)):
        _days(axis, calendar, calendar.count[name], SERIES[place])
        axis.set_title(f"{name}: {total:,}")
        axis.sharex(axes[0])
        few_ticks(axis)
        thousands(axis, "y")
        for day in calendar.day[holes].tolist():
            axis.axvspan(day, day + 1, color=ACCENT, alpha=0.35, linewidth=0)
        _cutoff(axis, card, calendar, labelled=place == 0)
        if place < len(types) - 1:
            axis.tick_params(labelbottom=False)
    date_axis(axes[-1], most=9)
    empty = f"; shaded: dates without any act ({int(holes.sum())})" if holes.any() else ""
    figure.supxlabel(f"local date in {card.view.time_zone}{empty}", fontsize=10)
    return figure


def _days(axis: Axes, calendar: Calendar, count: np.ndarray, color: str) -> None:
    first, last = int(calendar.day[0]), int(calendar.day[-1])
    if len(count) <= _FEW_DAYS:
        axis.bar(calendar.day, count, width=0.85, align="edge", color=color)
        axis.set_xlim(first - 1, last + 2)
    else:
        axis.stairs(count, np.append(calendar.day, last + 1), fill=True, color=color)
        axis.set_xlim(first, last + 1)


def _cutoff(axis: Axes, card: DataCard, calendar: Calendar, *, labelled: bool) -> None:
    """Where the test begins, if that is within the picture."""
    at = cutoff_day(card)
    first, last = int(calendar.day[0]), int(calendar.day[-1]) + 1
    if not first <= at <= last:
        return
    axis.axvline(at, color=ACCENT, linestyle="--", linewidth=1.3)
    if labelled:
        late = at - first > (last - first) / 2
        axis.annotate(
            "cut-off",
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, 3),
            textcoords="offset points",
            ha="right" if late else "left",
            color=ACCENT,
        )


def cutoff_day(card: DataCard) -> float:
    """The cut-off in local days since 1970-01-01."""
    return float(local_time(np.array([card.view.cutoff]), card.view.time_zone)[0] / DAY)


def week(card: DataCard) -> Figure | None:
    """Shoppers active at each hour of the week, in the shop's zone; None without times."""
    if card.traffic is None or not card.traffic.moments:
        return None
    counts = np.array(card.traffic.week)
    figure, (top, grid) = canvas(2, height=4.4)
    top.bar(range(HOURS), card.traffic.hours, width=0.9, color=MAIN)
    top.set_title(f"Shoppers active by hour and weekday ({card.view.time_zone})")
    top.set_xlim(-0.5, HOURS - 0.5)
    top.set_xticks(range(0, HOURS, 3), [f"{hour:02d}:00" for hour in range(0, HOURS, 3)])
    top.grid(axis="x", visible=False)
    thousands(top, "y")
    image = grid.imshow(counts, aspect="auto", cmap=SCALE, vmin=0)
    grid.grid(visible=False)
    grid.set_xticks(range(0, HOURS, 3), [f"{hour:02d}:00" for hour in range(0, HOURS, 3)])
    grid.set_yticks(range(len(_WEEKDAYS)), _WEEKDAYS)
    grid.spines[:].set_visible(False)
    grid.tick_params(length=0)
    legend = figure.colorbar(image, ax=grid, orientation="horizontal", aspect=60, pad=0.02, format="{x:,.0f}")
    legend.outline.set_visible(False)
    return figure


def newcomers(card: DataCard) -> Figure | None:
    """When items and shoppers are first seen, and what that means after the cut-off; None without times."""
    items, shoppers = card.cold_items, card.cold_shoppers
    if items is None or shoppers is None:
        return None
    draws: list[Callable[[Axes], None]] = []
    if min(len(items.first_days), len(shoppers.first_days)) >= _LEAST_DATES:
        draws.append(lambda axis: _growth(axis, card, {"items": items, "shoppers": shoppers}))
    if shoppers.events:
        draws.append(lambda axis: _cold(axis, items, shoppers))
    if not draws:
        return None
    figure, axes = canvas(1, len(draws), widths=(1.6, 1.0)[: len(draws)])
    for axis, draw in zip(axes, draws, strict=True):
        draw(axis)
    return figure


def _growth(axis: Axes, card: DataCard, seen: dict[str, Cold]) -> None:
    """Share of all that are ever seen, by date."""
    for (name, cold), color in zip(seen.items(), _NEWCOMERS, strict=True):
        days = np.array(sorted(cold.first_days), np.int64)
        so_far = np.cumsum([cold.first_days[day] for day in days.tolist()])
        ends = np.append(days, days[-1] + 1)
        axis.step(ends, 100 * np.append(so_far, so_far[-1]) / so_far[-1], where="post", color=color, label=name)
    low, high = axis.get_xlim()
    if low <= cutoff_day(card) <= high:
        axis.axvline(cutoff_day(card), color=ACCENT, linestyle="--", linewidth=1.3, label="cut-off")
    axis.set_title("Seen so far")
    axis.set_ylabel("% of all that are ever seen")
    axis.set_ylim(0, 103)
    axis.legend(loc="lower right", frameon=True, facecolor="white", edgecolor="none", framealpha=0.9)
    date_axis(axis, most=7)


def _cold(axis: Axes, items: Cold, shoppers: Cold) -> None:
    """Shares of what comes after the cut-off that are new there."""
    shares = {
        "acts of\nnew shoppers": shoppers.event_share,
        "new shoppers": shoppers.share,
        "interactions\nwith new items": items.event_share,
        "new items": items.share,
    }
    colors = [_NEWCOMERS[1]] * 2 + [_NEWCOMERS[0]] * 2
    drawn = axis.barh(list(shares), [100 * share for share in shares.values()], color=colors)
    axis.bar_label(drawn, [percent(share) for share in shares.values()], padding=3, color=MUTED)
    axis.set_title("Cold after the cut-off")
    axis.set_xlabel("%")
    axis.set_xlim(0, max(1.0, 125 * max(shares.values())))
    axis.grid(axis="y", visible=False)
