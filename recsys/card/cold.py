"""How much of what comes after the cut-off nothing was known about before it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """Items or shoppers that are new after the cut-off.

    Attributes:
        active: those with events at or after the cut-off.
        new: those of them first seen there.
        events: events at or after the cut-off.
        new_events: those of them of the new ones.
        first_days: how many, of all, were first seen on each local date (days since 1970-01-01).
    """

    active: int
    new: int
    events: int
    new_events: int
    first_days: dict[int, int]

    @classmethod
    def of(cls, *, first: np.ndarray, day: np.ndarray, after: np.ndarray, cutoff: int) -> "Cold":
        """From each one's first instant, its local date, and its events at or after the cut-off; all [V] int64."""
        new = first >= cutoff
        days, counts = np.unique(day, return_counts=True)
        return cls(
            active=int((after > 0).sum()),
            new=int(new.sum()),
            events=int(after.sum()),
            new_events=int(after[new].sum()),
            first_days=dict(zip(days.tolist(), counts.tolist(), strict=True)),
        )

    @property
    def share(self) -> float:
        """Share of those active after the cut-off that are new; 0 without any."""
        return self.new / self.active if self.active else 0.0

    @property
    def event_share(self) -> float:
        """Share of the events after the cut-off that are of new ones; 0 without any."""
        return self.new_events / self.events if self.events else 0.0
