"""One look for all pictures: light, few lines, one strong colour, one for what stands out."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
MAIN, ACCENT = "#2f6f9f", "#d9722b"
SERIES = (MAIN, "#d9a12b", "#4f9d69", "#8c5fa8", "#c2504f", "#4fa3b8", "#7b8794", "#a3763f")
SCALE = LinearSegmentedColormap.from_list("card", ["#f5f7fa", "#9fc3dc", MAIN, "#1d4c70"])
WIDTH_IN = 9.0

STYLE: dict[Any, Any] = {
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.dpi": 110,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": GRID,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}


def canvas(
    rows: int = 1,
    columns: int = 1,
    *,
    height: float = 3.6,
    widths: Sequence[float] | None = None,
    heights: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """A figure of the common width and its axes, row by row; `height` in inches, `widths` and `heights` relative."""
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths, height_ratios=heights)
    return figure, list(axes.flat)


def date_axis(axis: Axes, *, most: int) -> None:
    """Name dates on the x axis, whose numbers are days since 1970-01-01, with at most `most` ticks."""
    locator = AutoDateLocator(minticks=3, maxticks=most)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def few_ticks(axis: Axes) -> None:
    """Two or three whole numbers on the y axis, from 0."""
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))


def thousands(axis: Axes, which: str) -> None:
    """Write the numbers of the axis "x" or "y" with separators."""
    getattr(axis, f"{which}axis").set_major_formatter("{x:,.0f}")


def note(axis: Axes, text: str, *, where: tuple[float, float] = (0.98, 0.95)) -> None:
    """A remark in the upper right corner."""
    axis.text(
        *where,
        text,
        transform=axis.transAxes,
        ha="right",
        va="top",
        color=MUTED,
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2},
    )
