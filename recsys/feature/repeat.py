"""What a shopper bought before of the same item or the same category: how often, how lately, at what interval.

Purchases in one moment count once: two lines of one basket are no repeat. The usual interval is the mean of the gaps
between purchases, which is the time from the first to the last over their number less one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.clock import DAY, HOUR
from recsys.event import EventType
from recsys.feature.past import Past, moment_rows

if TYPE_CHECKING:
    from recsys.state import History

NEVER = -1
"""Elapsed time of what was never bought, interval of what was bought less than twice."""
COUNT_BORDERS = np.array([2, 3, 5, 9, 17])
COUNTS = len(COUNT_BORDERS) + 2
"""Classes of a count: 0 is "never bought"."""
ELAPSED_BORDERS = np.array([HOUR, DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY, 120 * DAY, 240 * DAY])
RECENCIES = len(ELAPSED_BORDERS) + 2
"""Classes of the time since the last purchase: 0 is "never bought"."""
INTERVAL_BORDERS = np.array([2 * DAY, 5 * DAY, 10 * DAY, 18 * DAY, 30 * DAY, 50 * DAY, 80 * DAY, 130 * DAY, 240 * DAY])
INTERVALS = len(INTERVAL_BORDERS) + 2
"""Classes of the usual interval: 0 is "bought less than twice"."""
DUE_BORDERS = np.array([0.1, 0.25, 0.5, 0.75, 1.0, 1.33, 2.0, 4.0])
DUES = len(DUE_BORDERS) + 2
"""Classes of the time since the last purchase over the usual interval: 0 is "no interval known"."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Strictly earlier purchases of N things that are asked about; [N] int64 each.

    Attributes:
        count: number of moments in which it was bought.
        elapsed: microseconds since the last of them, or `NEVER`.
        interval: mean of the gaps between them in microseconds (rounded down), or `NEVER` if there are less than two.
    """

    count: np.ndarray
    elapsed: np.ndarray
    interval: np.ndarray

    def count_class(self) -> np.ndarray:
        """Class 0..COUNTS-1 of the count [N]."""
        return np.where(self.count > 0, 1 + np.searchsorted(COUNT_BORDERS, self.count, side="right"), 0)

    def recency_class(self) -> np.ndarray:
        """Class 0..RECENCIES-1 of the time since the last purchase [N]."""
        return np.where(self.count > 0, 1 + np.searchsorted(ELAPSED_BORDERS, self.elapsed, side="right"), 0)

    def interval_class(self) -> np.ndarray:
        """Class 0..INTERVALS-1 of the usual interval [N]."""
        return np.where(self.count > 1, 1 + np.searchsorted(INTERVAL_BORDERS, self.interval, side="right"), 0)

    def due_class(self) -> np.ndarray:
        """Class 0..DUES-1 of how far the usual interval has run since the last purchase [N]: low just after it."""
        ratio = self.elapsed / np.maximum(self.interval, 1)
        return np.where(self.count > 1, 1 + np.searchsorted(DUE_BORDERS, ratio, side="right"), 0)


def repeats(
    past: Past,
    at: np.ndarray,
    key: np.ndarray,
    *,
    bought: np.ndarray,
    keys: np.ndarray,
    time: np.ndarray,
    start: np.ndarray,
) -> Repeats:
    """Earlier purchases of `key` [N] (an item or a category; 0 is none) at the instants `at` [N].

    Args:
        past: the rows of events that each question may look at [N].
        bought: whether an event is a purchase [E] bool.
        keys: item or category of every event [E], 0 for none.
        time: instants [E], ascending in each sequence.
        start: where the sequences begin, and the end of the last [S + 1].
    """
    row = np.flatnonzero(bought & (keys > 0))
    if not len(row) or not len(past):
        return Repeats(*(np.full(len(past), value, np.int64) for value in (0, NEVER, NEVER)))
    first = moment_rows(time, start)
    moment = first[np.searchsorted(first, row, side="right") - 1]
    kinds = int(max(keys.max(), key.max())) + 1
    pair = (np.searchsorted(start, row, side="right") - 1) * kinds + keys[row]
    order = np.argsort(pair, kind="stable")
    pair, moment = pair[order], moment[order]
    fresh = np.ones(len(pair), bool)
    fresh[1:] = (pair[1:] != pair[:-1]) | (moment[1:] != moment[:-1])
    pair, moment = pair[fresh], moment[fresh]
    rank = np.cumsum(np.diff(pair, prepend=pair[0]) != 0)
    distinct = pair[np.flatnonzero(np.diff(rank, prepend=-1))]
    asked = (np.searchsorted(start, past.high - 1, side="right") - 1) * kinds + key
    number = np.minimum(np.searchsorted(distinct, asked), len(distinct) - 1)
    some = (distinct[number] == asked) & (key > 0) & (past.high > past.low)
    # one ascending number for a pair and a row, so that one search finds both
    place, width = rank * (len(time) + 1) + moment, len(time) + 1
    low = np.searchsorted(place, number * width + past.low)
    high = np.searchsorted(place, number * width + past.high)
    count = np.where(some, high - low, 0)
    last, earliest = (time[moment[np.clip(edge, 0, len(moment) - 1)]] for edge in (high - 1, low))
    return Repeats(
        count=count,
        elapsed=np.where(count > 0, at - last, NEVER),
        interval=np.where(count > 1, (last - earliest) // np.maximum(count - 1, 1), NEVER),
    )


def item_repeats(history: "History", at: int, item: np.ndarray) -> Repeats:
    """Purchases before `at` of each of `item` [K] by the shopper of `history`."""
    return _of_history(history, at, item, history.item)


def category_repeats(history: "History", at: int, item: np.ndarray, category: np.ndarray) -> Repeats:
    """Purchases before `at` of the category of each of `item` [K]; `category` of every catalogue index [V]."""
    return _of_history(history, at, category[item], category[history.item])


def since_bought(history: "History", at: int, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of `item` [K] the shopper of `history`, all before `at`, bought, and for those the microseconds since.

    What `item_repeats` knows too, for who needs nothing else and needs it at every answer.
    """
    bought = history.of_type(EventType.PURCHASE)
    if not len(bought):
        return np.zeros(len(item), bool), np.empty(0, np.int64)
    order = np.argsort(bought.item, kind="stable")
    ascending = bought.item[order]
    place = np.searchsorted(ascending, item, side="right") - 1
    again = (place >= 0) & (ascending[np.maximum(place, 0)] == item)
    return again, at - bought.time[order][place[again]]


def _of_history(history: "History", at: int, key: np.ndarray, keys: np.ndarray) -> Repeats:
    rows = int(np.searchsorted(history.time, at))
    return repeats(
        Past(np.zeros(len(key), np.int64), np.full(len(key), rows)),
        np.full(len(key), at),
        key,
        bought=history.type == EventType.PURCHASE.code,
        keys=keys,
        time=history.time,
        start=np.array([0, len(history)]),
    )
