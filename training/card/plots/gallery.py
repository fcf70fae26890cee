"""All pictures, in the order in which they are shown."""

from collections.abc import Callable, Iterator

import matplotlib
from matplotlib.figure import Figure

from recsys.card.card import DataCard
from training.card.plots import filled, shape, time
from training.card.plots.style import STYLE

Plot = Callable[[DataCard], Figure | None]

PLOTS: dict[str, Plot] = {
    "events_by_day": time.events_by_day,
    "week": time.week,
    "sessions": shape.sessions,
    "gaps": shape.gaps,
    "popularity": shape.popularity,
    "newcomers": time.newcomers,
    "prices": shape.prices,
    "coverage": filled.coverage,
}
"""By file name; a plot without anything to show gives None."""


def pictures(card: DataCard) -> Iterator[tuple[str, Figure]]:
    """Every picture that has something to show, by name."""
    for name, plot in PLOTS.items():
        with matplotlib.rc_context(STYLE):  # read while drawing, not only when a figure is made
            picture = plot(card)
        if picture is not None:
            yield name, picture
