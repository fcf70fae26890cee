"""The card's pictures: how it learnt, how it compares, where it is good and where not."""

from collections.abc import Callable, Iterator, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.card.plots.style import ACCENT, GRID, INK, MAIN, MUTED, STYLE, canvas, few_ticks, thousands
from training.comparison import ANSWER_ROW, ENCODER_ROW
from training.modelcard.card import ModelCard
from training.modelcard.diary import Curve
from training.modelcard.slices import CUTS, Slice, slices_of

Plot = Callable[[ModelCard], Figure | None]

_VALIDATION = "validation_"
_ROW_IN = 0.32
_COLOURS = {ANSWER_ROW: ACCENT, ENCODER_ROW: MAIN}
_ENOUGH = 20
_DRAWN = ("popularity", "history", "hour")


def learning(card: ModelCard) -> Figure | None:
    """The loss and the validation measure after each epoch; None where nothing was trained."""
    panels = [(name, curve) for name, curve in card.curves.items() if name == "loss" or name.startswith(_VALIDATION)]
    if not panels:
        return None
    figure, axes = canvas(1, len(panels), height=3.0)
    kept = card.metrics["training"].get("kept_epoch")
    for axis, (name, curve) in zip(axes, panels, strict=True):
        _curve(axis, curve, kept=kept)
        title = name.removeprefix(_VALIDATION).replace("_at_", "@")
        axis.set_title(f"{title} on the validation window" if name.startswith(_VALIDATION) else "Loss in training")
    return figure


def _curve(axis: Axes, curve: Curve, *, kept: float | None) -> None:
    epoch, value = (np.array(part) for part in zip(*curve, strict=True))
    axis.plot(epoch, value, color=MAIN, linewidth=2, marker="o", markersize=4)
    if kept is not None and kept in epoch.tolist():
        axis.plot(kept, value[epoch == kept][-1], "o", color=ACCENT, markersize=8, zorder=3)
    axis.set_xlabel("epoch (orange: the one that was kept)")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axis.set_xlim(epoch.min() - 0.5, epoch.max() + 0.5)
    axis.margins(y=0.2)


def comparison(card: ModelCard) -> Figure | None:
    """NDCG@10 of every row with its interval; None without rows."""
    rows = sorted(card.rows.items(), key=lambda pair: float(pair[1]["ndcg10"]))
    if not rows:
        return None
    figure, (axis,) = canvas(height=1.1 + _ROW_IN * len(rows))
    for place, (name, row) in enumerate(rows):
        low, high = row["ndcg10_interval"]
        color = _COLOURS.get(name, MUTED)
        axis.plot([low, high], [place, place], color=color, linewidth=3, alpha=0.45, solid_capstyle="round")
        axis.plot(row["ndcg10"], place, "o", color=color, markersize=7)
        axis.annotate(
            f"{row['ndcg10']:.4f}", (high, place), xytext=(7, 0), textcoords="offset points", va="center", color=INK
        )
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xlim(0, 1.12 * max(row["ndcg10_interval"][1] for _, row in rows) or 1)
    axis.set_xlabel("NDCG@10 and its 95 % interval over shoppers")
    axis.grid(axis="y", visible=False)
    axis.set_title("Every way of answering, on the same questions")
    return figure


def sliced(cut: str) -> Plot:
    """The picture of one way of cutting the questions into parts."""

    def draw(card: ModelCard) -> Figure | None:
        rows = card.shown_rows()
        found = [part for part in slices_of(card.metrics).get(cut, ()) if part.row in rows]
        if not found:
            return None
        figure, (bars, axis) = canvas(2, height=3.9, heights=(1.0, 3.2))
        labels = list(dict.fromkeys(part.label for part in found))
        count = {part.label: part.count for part in found}
        bars.bar(range(len(labels)), [count[label] for label in labels], width=0.8, color=GRID)
        bars.set_title(f"NDCG@10 {CUTS[cut]} (grey bars: how many questions)")
        bars.set_xticks([])
        thousands(bars, "y")
        few_ticks(bars)
        _parts(axis, found, labels, rows)
        for panel in (bars, axis):
            panel.grid(axis="x", visible=False)
            panel.set_xlim(-0.6, len(labels) - 0.4)
        return figure

    return draw


def _parts(axis: Axes, found: Sequence[Slice], labels: Sequence[str], rows: Sequence[str]) -> None:
    """A dot for each part and row. Those of enough questions are joined, so that the eye can follow a row; the others
    are open."""
    for row in rows:
        own = [part for part in found if part.row == row]
        enough = [part for part in own if part.count >= _ENOUGH]
        few = [part for part in own if part.count < _ENOUGH]
        color = _COLOURS.get(row, MUTED)
        axis.plot(*_points(enough, labels), "-o", color=color, linewidth=1.2, markersize=6, label=row)
        axis.plot(*_points(few, labels), "o", color=color, markerfacecolor="white", markersize=4, zorder=1)
    axis.set_xticks(range(len(labels)), labels)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("NDCG@10")
    if any(part.count < _ENOUGH for part in found):
        axis.set_xlabel(f"open dots: fewer than {_ENOUGH} questions")
    figure = axis.figure
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=len(rows))


def _points(parts: Sequence[Slice], labels: Sequence[str]) -> tuple[list[int], list[float]]:
    return [labels.index(part.label) for part in parts], [part.value for part in parts]


PLOTS: dict[str, Plot] = {
    "learning": learning,
    "comparison": comparison,
    **{f"by_{cut}": sliced(cut) for cut in _DRAWN},
}
"""By file name, in the order of the page; a plot without anything to show gives None."""


def pictures(card: ModelCard) -> Iterator[tuple[str, Figure]]:
    """Every picture that has something to show, by name."""
    for name, plot in PLOTS.items():
        with matplotlib.rc_context(STYLE):  # read while drawing, not only when a figure is made
            figure = plot(card)
        if figure is not None:
            yield name, figure
