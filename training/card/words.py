"""Figures and durations as people read them."""

import itertools
from collections.abc import Sequence

_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))
_ENDLESS = 1e5


def percent(share: float) -> str:
    """A share with two significant digits, "0%" and "100%" only where they are true."""
    value = 100 * share
    if share in (0.0, 1.0):
        return f"{value:.0f}%"
    if value < 0.01:
        return "<0.01%"
    if value > 99.5:
        return f"{min(value, 99.99):.2f}%"
    return f"{value:.0f}%" if value >= 9.95 else f"{value:.1f}%" if value >= 0.95 else f"{value:.2f}%"


def ratio(part: float, whole: float, *, plain: bool = False) -> str:
    """`part` of `whole` as a share, or `plain` as a number; 0 of nothing."""
    value = part / whole if whole else 0.0
    return figure(value) if plain else percent(value)


def duration(seconds: float) -> str:
    """In the largest unit of which there is at least one."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{figure(seconds / size)} {unit}"
    return f"{figure(seconds)} s"


def figure(value: float) -> str:
    """Whole above 10, else with one or two decimals if it has any."""
    if value == round(value) or abs(value) >= 99.5:
        return f"{value:,.0f}"
    if abs(value) >= 9.95:
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:,.2g}" if abs(value) < 0.1 else f"{value:,.2f}".rstrip("0").rstrip(".")


def size_labels(edge: Sequence[float]) -> list[str]:
    """Names of the bars of whole numbers between half-way edges: "1", "2-5", "over 100"."""
    labels = []
    for low, high in itertools.pairwise(edge):
        first, last = int(low + 0.5), int(high - 0.5)
        within = str(first) if first == last else f"{first:,}–{last:,}"
        labels.append(f"> {first - 1:,}" if high > _ENDLESS else within)
    return labels
