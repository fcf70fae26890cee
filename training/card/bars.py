"""Small pictures made of characters."""

from collections.abc import Sequence

import numpy as np

_LEVELS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def sparkline(values: Sequence[float] | np.ndarray, *, width: int | None = None) -> str:
    """One column for each value, or for the mean of neighbours where there are more than `width`; nothing is blank."""
    heights = np.asarray(values, float)
    if width is not None and len(heights) > width:
        heights = np.array([part.mean() for part in np.array_split(heights, width)])
    top = heights.max(initial=0.0)
    if top <= 0:
        return " " * len(heights)
    levels = np.ceil(heights / top * (len(_LEVELS) - 1) - 1e-9).astype(int)
    return "".join(_LEVELS[level] for level in levels)


def bar(share: float, *, width: int) -> str:
    """A bar from the left, `share` (0..1) of `width` characters long; a share above 0 is never blank."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    eighths = max(eighths, 1) if share > 0 else 0
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)
