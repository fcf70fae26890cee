"""Buy again when due: what the shopper usually takes at intervals, and the next time is now.

How often somebody takes a thing leans on how often its category is taken again, the less the more of their own
intervals are known (the mean of a gamma posterior over a rate); a thing long overdue was probably given up, so that the
wait counts as part of the interval: Bhagat, Muralidharan, Lobzhanidze & Vishwanath, "Buy it again: modeling repeat
purchase recommendations" (KDD 2018, https://doi.org/10.1145/3219819.3219891). Between two purchases the chance per day
is that of an Erlang interval: nothing right after the first, and the larger its shape, the more of it lies around the
usual interval.
"""

import numpy as np

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.buy_again import counted_purchases
from recsys.retrieval.repurchase import category_intervals
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState

_LEARNT = {"category", "interval_days", "gap_days"}
_LATE = 2.0
"""What is overdue by so many intervals begins to be given up."""


@registered
class Due:
    """The shopper's own purchases by the chance that they are due in the next moment.

    Args:
        prior_repeats: how many repeats of its own the usual interval of an item's category weighs as much as.
        shape: of the intervals; 1 is memoryless, the same chance every day.
        category: category of every catalogue index [V] int64.
        interval_days: usual interval of every category [C] float32.
        gap_days: usual time between two moments of a shopper, as an array of one.
    """

    name = "due"
    timed = True

    def __init__(self, *, prior_repeats: float = 1.0, shape: int = 2, **learnt: np.ndarray) -> None:
        if strange := learnt.keys() - _LEARNT:
            raise TypeError(f"Due does not know {sorted(strange)}; it takes {', '.join(sorted(_LEARNT))}")
        if shape < 1 or prior_repeats < 0:
            raise ConfigError(f"shape={shape}, prior_repeats={prior_repeats}; give at least 1, and 0 or more")
        self.prior_repeats = prior_repeats
        self.shape = shape
        self._learnt = learnt

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Learn the intervals from the purchases before `until`."""
        bought = histories.before(until).interactions().of_type(EventType.PURCHASE)
        first, start = bought.moments(), bought.start
        spans = bought.events.time[start[1:] - 1] - bought.events.time[start[:-1]]
        gaps = len(first) - len(bought)
        self._learnt = {
            "category": category,
            "interval_days": category_intervals(bought, category, until=until).astype(np.float32),
            "gap_days": np.array([float(spans.sum()) / DAY / gaps if gaps else 7.0]),
        }

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """What was bought before, the most due first."""
        item, usual_days, since_days, gap_days = self._intervals(state)
        if not len(item):
            return Candidates.none()
        chance = 1 - np.exp(-_hazard(usual_days, since_days, self.shape) * gap_days)
        order = np.lexsort((item, -chance))[:count]
        return Candidates(item[order], chance[order].astype(np.float32))

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Tells the usual interval where there is one, or counts the purchases."""
        bought = state.history.of_type(EventType.PURCHASE)
        told = []
        for number, counted in zip(item.tolist(), counted_purchases(state, item), strict=True):
            moments = np.unique(bought.time[bought.item == number])
            days = round(float(moments[-1] - moments[0]) / DAY / (len(moments) - 1)) if len(moments) > 1 else 0
            told.append(Reason(f"you buy it about every {days} days") if days > 1 else counted)
        return told

    def settings(self) -> dict[str, float | int]:
        return {"prior_repeats": self.prior_repeats, "shape": self.shape}

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self._learnt)

    def _intervals(self, state: ShopperState) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Items bought before [N], the usual interval of each in days [N], the days since the last time [N], and the
        days between two moments of this shopper."""
        history = state.history
        rows = (history.type == EventType.PURCHASE.code) & (history.item > 0)
        if not self._learnt or not rows.any():
            nothing = np.empty(0)
            return np.empty(0, np.int64), nothing, nothing, 0.0
        item, time = history.item[rows], history.time[rows]
        order = np.argsort(item, kind="stable")
        item, time = item[order], time[order]
        fresh = np.diff(item, prepend=-1) != 0
        first = np.flatnonzero(fresh)
        last = np.append(first[1:], len(item)) - 1
        again = np.add.reduceat(~fresh & (np.diff(time, prepend=0) != 0), first, dtype=np.int64)
        item, prior = item[first].astype(np.int64), self.prior_repeats
        usual = self._learnt["interval_days"][self._learnt["category"][item]]
        span, since = (time[last] - time[first]) / DAY, (state.context.at - time[last]) / DAY
        own = (span + prior * usual) / (again + prior)
        own = (span + np.maximum(since - _LATE * own, 0) + prior * usual) / (again + prior)
        instants = history.time[rows]
        moments = 1 + int(np.count_nonzero(np.diff(instants)))
        gap = (float(instants[-1] - instants[0]) / DAY + float(self._learnt["gap_days"][0])) / moments
        return item, own, since, gap


def _hazard(usual_days: np.ndarray, since_days: np.ndarray, shape: int) -> np.ndarray:
    """Chance per day of what has an Erlang interval of mean `usual_days` [N], `since_days` [N] after the last time."""
    rate = shape / usual_days
    term = np.ones(len(rate))
    survivors = np.zeros(len(rate))
    for order in range(shape):
        term = term * (rate * since_days / order if order else 1.0)
        survivors += term
    hazard: np.ndarray = rate * term / survivors
    return hazard
