"""Pictures of how things are spread: sessions, gaps, popularity, prices."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.card.card import DataCard
from recsys.card.sketch import Spread
from recsys.clock import SECOND
from recsys.state import SESSION_GAP
from training.card.plots.style import ACCENT, MAIN, MUTED, SERIES, canvas, note, thousands
from training.card.words import duration, figure, percent, ratio, size_labels

_MINUTE_LABELS = (
    *("0 s", "≤ 30 s", "≤ 1 min", "≤ 2 min", "≤ 5 min", "≤ 10 min", "≤ 20 min", "≤ 30 min", "≤ 1 h", "≤ 2 h", "≤ 4 h"),
    "more",
)
_ENOUGH = 20
_DURATIONS_S = {
    "1 s": 1,
    "1 min": 60,
    "1 h": 3_600,
    "1 d": 86_400,
    "1 w": 604_800,
    "30 d": 2_592_000,
    "1 y": 31_536_000,
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One histogram: what it shows, what the bars are called, and how a value is written."""

    title: str
    unit: str
    spread: Spread
    labels: Sequence[str]
    say: Callable[[float], str] = figure


def sessions(card: DataCard) -> Figure | None:
    """Sessions by acts and minutes, baskets, and moments of shoppers."""
    panels = [panel for panel in _panels(card) if sum(count > 0 for count in panel.spread.bars.count) > 1]
    if not panels:
        return None
    columns = 2 if len(panels) == 4 else len(panels)
    rows = len(panels) // columns
    picture, axes = canvas(rows, columns, height=3.1 * rows)
    for axis, panel in zip(axes, panels, strict=True):
        _bars(axis, panel.spread, panel.labels)
        axis.set_title(panel.title)
        axis.set_xlabel(panel.unit)
        axis.set_ylabel("%")
        note(axis, f"median {panel.say(panel.spread.median)}\n99% up to {panel.say(panel.spread.p99)}")
    return picture


def _panels(card: DataCard) -> Iterator[Panel]:
    moments = card.shoppers.moments
    if card.rhythm is not None:
        events, minutes, basket = card.rhythm.events, card.rhythm.minutes, card.rhythm.basket
        yield Panel("Acts in a session", "acts", events, size_labels(events.bars.edge))
        yield Panel("Length of a session", "first to last act", minutes, _MINUTE_LABELS, lambda m: duration(60 * m))
        yield Panel("Lines of a basket", "purchased lines", basket, size_labels(basket.bars.edge))
    yield Panel("Moments of a shopper", "moments", moments, size_labels(moments.bars.edge))


def _bars(axis: Axes, spread: Spread, labels: Sequence[str]) -> None:
    """Share of the values in each bar, without the empty bars at the ends."""
    filled = np.flatnonzero(spread.bars.count)
    shown = slice(int(filled[0]), int(filled[-1]) + 1)
    share = 100 * np.array(spread.bars.count[shown]) / spread.count
    axis.bar(range(len(share)), share, color=MAIN, width=0.85)
    axis.set_xticks(range(len(share)), labels[shown], rotation=40, ha="right", rotation_mode="anchor", fontsize=8.5)
    axis.set_ylim(0, 1.25 * share.max())
    axis.grid(axis="x", visible=False)


def gaps(card: DataCard) -> Figure | None:
    """Time between moments of one shopper, and until the same item is bought again; None without times."""
    panels = []
    if card.rhythm is not None and card.rhythm.gap_s.count >= _ENOUGH:
        panels.append(("Between two moments of a shopper", card.rhythm.gap_s, 1.0))
    if card.pairs.gap_days is not None and card.pairs.gap_days.count >= _ENOUGH:
        panels.append(("Until a shopper buys the same item again", card.pairs.gap_days, 86_400.0))
    if not panels:
        return None
    picture, axes = canvas(1, len(panels), height=3.4)
    for axis, (title, spread, unit_s) in zip(axes, panels, strict=True):
        _steps(axis, spread, unit=unit_s)
        axis.set_title(title)
        axis.set_ylabel("%")
        low, high = axis.get_xlim()
        ticks = {label: at for label, at in _DURATIONS_S.items() if low <= at <= high}
        axis.set_xticks(list(ticks.values()), list(ticks))
        axis.axvline(spread.median * unit_s, color=MUTED, linestyle=":", linewidth=1.3)
        note(axis, f"median {duration(spread.median * unit_s)}", where=(0.98, 0.98))
    if card.rhythm is not None and card.rhythm.gap_s.count >= _ENOUGH:
        axes[0].axvline(SESSION_GAP / SECOND, color=ACCENT, linestyle="--", linewidth=1.3)
        axes[0].annotate(
            f"session ends\nafter {duration(SESSION_GAP / SECOND)}",
            (SESSION_GAP / SECOND, 0.82),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            color=ACCENT,
        )
    if card.pairs.repeats >= _ENOUGH:
        axes[-1].set_xlabel(f"{ratio(card.pairs.repeats, card.pairs.purchases)} of the purchases repeat one")
    return picture


def _steps(axis: Axes, spread: Spread, *, unit: float = 1.0) -> None:
    """Share of the values between logarithmic edges."""
    edge = np.array(spread.bars.edge) * unit
    count = np.array(spread.bars.count)
    filled = np.flatnonzero(count)
    first, last = int(filled[0]), int(filled[-1])
    edge[0] = edge[0] if edge[0] > 0 else edge[1] / (edge[2] / edge[1])
    axis.stairs(100 * count[first : last + 1] / spread.count, edge[first : last + 2], fill=True, color=MAIN)
    axis.set_xscale("log")
    axis.set_xlim(edge[first], edge[last + 1])
    axis.set_ylim(0, 118 * max(count) / spread.count)
    axis.minorticks_off()


def popularity(card: DataCard) -> Figure | None:
    """How much of the interactions the most popular items take, and how fast popularity falls with the rank."""
    taken = card.popularity
    if not taken.items:
        return None
    picture, (curve, ranks) = canvas(1, 2, height=3.6)
    items, share = np.array(taken.curve).T * 100
    curve.fill_between(items, share, color=MAIN, alpha=0.15, linewidth=0)
    curve.plot(items, share, color=MAIN, linewidth=2)
    curve.plot([0, 100], [0, 100], color=MUTED, linestyle=":", linewidth=1)
    for top in ("1%", "10%", "20%"):
        at = float(top.rstrip("%"))
        curve.plot(at, 100 * taken.top[top], "o", color=ACCENT, markersize=5)
        curve.annotate(
            f"top {at:.0f}%: {percent(taken.top[top])}",
            (at, 100 * taken.top[top]),
            xytext=(9, -10),
            textcoords="offset points",
            color=ACCENT,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
        )
    curve.set_title("Popularity curve")
    curve.set_xlabel("% of the items, most popular first")
    curve.set_ylabel("% of the interactions")
    curve.set_xlim(0, 100)
    curve.set_ylim(0, 103)
    note(curve, f"Gini {taken.gini:.2f}", where=(0.98, 0.12))
    rank, count = np.array(taken.ranks).T
    ranks.loglog(rank, count, color=MAIN, linewidth=2)
    ranks.set_title("Interactions by rank")
    ranks.set_xlabel("rank of the item")
    ranks.set_ylabel("interactions")
    thousands(ranks, "x")
    thousands(ranks, "y")
    ranks.minorticks_off()
    return picture


def prices(card: DataCard) -> Figure | None:
    """What is paid, and what kind of thing is taken; None where neither is known."""
    with_prices = card.prices.each.count > 0 and card.prices.each.most > 0
    top = card.catalogue.top if card.catalogue.categories else {}
    panels = with_prices + bool(top)
    if not panels:
        return None
    picture, axes = canvas(1, panels, height=3.6)
    if with_prices:
        axis, each = axes[0], card.prices.each
        _steps(axis, each)
        axis.set_title("Prices")
        axis.set_xlabel("price, currency " + ", ".join(card.prices.currencies))
        axis.set_ylabel("%")
        axis.xaxis.set_major_formatter(lambda value, _: figure(value))
        axis.axvline(each.median, color=MUTED, linestyle=":", linewidth=1.3)
        note(axis, f"median {figure(each.median)}, 99% up to {figure(each.p99)}", where=(0.98, 0.98))
    if top:
        axis = axes[-1]
        names = [name if len(name) <= 24 else f"{name[:23]}…" for name in top]
        share = [100 * count / max(card.popularity.interactions, 1) for count in top.values()]
        drawn = axis.barh(names[::-1], share[::-1], color=SERIES[2])
        axis.bar_label(drawn, [percent(value / 100) for value in share[::-1]], padding=3, color=MUTED)
        axis.set_title("Widest categories")
        axis.set_xlabel("% of the interactions")
        axis.set_xlim(0, 1.2 * max(share))
        axis.grid(axis="y", visible=False)
    return picture
