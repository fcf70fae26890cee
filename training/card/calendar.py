"""Counts by date as evenly spaced series."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recsys.card.traffic import Traffic

_OUTLIERS = 0.001
_LONG = 5 * 366


@dataclass(frozen=True, slots=True)
class Calendar:
    """Dates without a gap, and events of each type on each of them.

    Attributes:
        day: days since 1970-01-01, ascending, [N] int64.
        count: by type, most frequent first, [N] each.
    """

    day: np.ndarray
    count: dict[str, np.ndarray]

    @property
    def date(self) -> np.ndarray:
        """The same as dates, [N] datetime64[D]."""
        return self.day.astype("datetime64[D]")

    def place(self, instant_day: int) -> float:
        """Where a day lies in the calendar: 0 at its beginning, 1 at its end."""
        return float((instant_day - self.day[0]) / max(len(self.day), 1))


def calendar_of(traffic: Traffic) -> Calendar:
    """Every date from the first to the last; a few stamps that are years away from all others are left out."""
    days = np.array(sorted(traffic.days), np.int64)
    first, last = _bulk(days, {day: sum(types.values()) for day, types in traffic.days.items()})
    every = np.arange(first, last + 1)
    count = {name: np.zeros(len(every), np.int64) for name in traffic.events}
    for day, types in traffic.days.items():
        if first <= day <= last:
            for name, events in types.items():
                count[name][day - first] = events
    return Calendar(every, count)


def _bulk(days: np.ndarray, events: Mapping[int, int]) -> tuple[int, int]:
    """First and last day; of a log that seems to span many years, those that leave 0.1 % out on either side."""
    if days[-1] - days[0] <= _LONG:
        return int(days[0]), int(days[-1])
    share = np.cumsum([events[day] for day in days.tolist()]) / sum(events.values())
    first = int(np.searchsorted(share, _OUTLIERS, side="right"))
    last = int(np.searchsorted(share, 1 - _OUTLIERS, side="left"))
    return int(days[first]), int(days[min(last, len(days) - 1)])
