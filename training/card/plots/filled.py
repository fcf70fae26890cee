"""A picture of which columns are filled."""

import numpy as np
from matplotlib.figure import Figure

from recsys.card.card import DataCard
from training.card.plots.style import INK, SCALE, canvas

_DARK = 0.55
_LEAST_COLUMNS = 8


def coverage(card: DataCard) -> Figure | None:
    """Share of the events of each type that have a value in each column; columns that are always empty are left out."""
    found = card.coverage
    types = sorted(found.events, key=lambda name: -found.events[name])
    fields = [field for field in (found.filled[types[0]] if types else ()) if found.share(field)]
    if not fields:
        return None
    share = np.array([[found.share(field, name) for field in fields] for name in types])
    picture, (axis,) = canvas(height=1.4 + 0.42 * len(types))
    axis.pcolormesh(share, cmap=SCALE, vmin=0, vmax=1.15, edgecolors="white", linewidth=2)
    axis.set_xlim(0, max(len(fields), _LEAST_COLUMNS))
    axis.invert_yaxis()
    for (row, column), value in np.ndenumerate(share):
        text = "" if value == 0 else "100" if value == 1 else f"{100 * value:.0f}" if value < 0.995 else "> 99"
        axis.text(
            column + 0.5,
            row + 0.5,
            text,
            ha="center",
            va="center",
            color="white" if value > _DARK else INK,
            fontsize=8.5,
        )
    axis.set_title("Filled columns, % of the events")
    axis.set_xticks(np.arange(len(fields)) + 0.5, fields, rotation=35, ha="right", rotation_mode="anchor")
    axis.set_yticks(np.arange(len(types)) + 0.5, [f"{name} ({found.events[name]:,})" for name in types])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return picture
