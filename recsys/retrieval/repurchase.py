"""When a shopper is likely to take the same thing again: learnt intervals, and what they do to an item's chances.

For every category the usual interval is the time shoppers were exposed divided by the number of repeats (the mean of
a gamma posterior over a Poisson rate, so that never-repeated things count as exposure and rare categories lean on the
whole shop). For classes of that interval and of the time since the purchase, a multiplier is learnt from the log: how
often items were really taken again over how often their buy-again score alone would say, compared within the same
basket, because people who came back within the hour take few things of any kind. A basket that follows within a
session is the same trip rung up twice and teaches nothing.

Right after a purchase the item is hardly wanted at all. It recovers the slower the longer its interval is: over a
session plus the interval squared, about an hour and a half for what is bought every three weeks, two weeks for what is
bought once a year.
"""

from dataclasses import dataclass

import numpy as np

from recsys.clock import DAY
from recsys.compiled import compiled
from recsys.event import EventType
from recsys.feature.repeat import since_bought
from recsys.registry import registered
from recsys.retrieval.best import sums
from recsys.retrieval.buy_again import BuyAgain
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates
from recsys.state import SESSION_GAP, Context, ShopperState

INTERVAL_DAYS = np.array([30.0, 60.0, 120.0, 250.0])
"""Borders of the interval classes."""
ELAPSED_DAYS = np.array([1.0, 3.0, 7.0, 14.0, 30.0, 60.0])
"""Borders of the classes of time since the last purchase."""
RECOVERY_DAYS = 9_000.0
"""A just-bought item recovers over a session plus its usual interval squared divided by this. A prior: the log of a
till, where one trip is often rung up twice, cannot teach it; on The Complete Journey it costs 0.001 +- 0.0015 of
validation NDCG@10."""
_PRIOR_REPEATS = 5.0


@registered
@dataclass(slots=True)
class Repurchase:
    """Interval of every category, and the multiplier of every (interval, elapsed) class.

    Attributes:
        category: category of every catalogue index [V] int64.
        interval_days: usual interval of every category [C] float32.
        multiplier: [5, 7] float32 in (0, 1], relative to the best class.
    """

    category: np.ndarray
    interval_days: np.ndarray
    multiplier: np.ndarray

    @classmethod
    def learn(cls, histories: Histories, *, category: np.ndarray, until: int, window: int, seed: int) -> "Repurchase":
        """Intervals from all purchases before `until`; multipliers from the baskets of the last `window`."""
        bought = histories.before(until).interactions().of_type(EventType.PURCHASE)
        model = cls(category, category_intervals(bought, category, until=until), np.ones((5, 7), np.float32))
        hits, expected = np.full((5, 7), _PRIOR_REPEATS), np.full((5, 7), _PRIOR_REPEATS)
        rng = np.random.default_rng(seed)
        for item, elapsed, score, taken in _baskets(bought, since=until - window, rng=rng, most=4_000):
            cell = model.cell(item, elapsed)
            np.add.at(hits, cell, taken)
            np.add.at(expected, cell, score / score.sum() * taken.sum())
        ratio = hits / expected
        model.multiplier = (ratio / ratio.max()).astype(np.float32)
        return model

    def cell(self, item: np.ndarray, elapsed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classes of items [N] last bought `elapsed` microseconds [N] ago."""
        interval = self.interval_days[self.category[item]]
        return np.searchsorted(INTERVAL_DAYS, interval), np.searchsorted(ELAPSED_DAYS, elapsed / DAY)

    def chances(self, state: ShopperState, item: np.ndarray) -> np.ndarray:
        """Multiplier in (0, 1] for each of `item` [N]: 1 for what the shopper never bought."""
        factor = np.ones(len(item), np.float32)
        again, elapsed = since_bought(state.history, state.context.at, item)
        factor[again] = self.multiplier[self.cell(item[again], elapsed)]
        return factor

    def recovered(self, state: ShopperState, item: np.ndarray) -> np.ndarray:
        """How far each of `item` [N] has recovered from its last purchase: 0 right after it, 1 later or if never."""
        factor = np.ones(len(item), np.float32)
        again, elapsed = since_bought(state.history, state.context.at, item)
        usual_days = self.interval_days[self.category[item[again]]]
        factor[again] = np.minimum(1, elapsed / (SESSION_GAP + DAY * usual_days**2 / RECOVERY_DAYS))
        return factor

    def weighed(
        self, shoppers: Shoppers, start: np.ndarray, item: np.ndarray, score: np.ndarray, timed: np.ndarray
    ) -> np.ndarray:
        """Scores of the candidates `item` [R] of B shoppers, which begin at `start` [B + 1], by whether they are wanted
        again: the part that is not `timed` [R] times `chances`, all of it times `recovered`; [R] float32."""
        bought = shoppers.bought
        room = sums(int(max(item.max(initial=0), bought.item.max(initial=0))) + 1)
        return _weighed(
            start, item, score, timed, bought.start, bought.item, bought.time, shoppers.at,
            self.interval_days, self.category, self.multiplier, INTERVAL_DAYS, ELAPSED_DAYS,
            SESSION_GAP, DAY, RECOVERY_DAYS, room.place, room.stamp, room.tick,
        )  # fmt: skip

    def usual_days(self, item: int) -> float:
        """Usual interval of an item's category in days."""
        return float(self.interval_days[self.category[item]])

    def arrays(self) -> dict[str, np.ndarray]:
        """What the bundle stores; the constructor takes it back."""
        return {"category": self.category, "interval_days": self.interval_days, "multiplier": self.multiplier}


@compiled
def _weighed(
    start: np.ndarray,
    item: np.ndarray,
    score: np.ndarray,
    timed: np.ndarray,
    bought_start: np.ndarray,
    bought: np.ndarray,
    time: np.ndarray,
    at: np.ndarray,
    interval_days: np.ndarray,
    category: np.ndarray,
    multiplier: np.ndarray,
    intervals: np.ndarray,
    elapses: np.ndarray,
    gap: int,
    day: int,
    recovery: float,
    last: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
) -> np.ndarray:
    found = np.empty(len(item), np.float32)
    for shopper in range(len(at)):
        tick[0] += 1
        for row in range(bought_start[shopper], bought_start[shopper + 1]):
            stamp[bought[row]], last[bought[row]] = tick[0], time[row]
        for row in range(start[shopper], start[shopper + 1]):
            found[row] = timed[row] + (score[row] - timed[row])
            if stamp[item[row]] == tick[0]:
                elapsed = at[shopper] - last[item[row]]
                usual = interval_days[category[item[row]]]
                wait, past = 0, 0
                while wait < len(intervals) and intervals[wait] < usual:
                    wait += 1
                while past < len(elapses) and elapses[past] < elapsed / day:
                    past += 1
                due = timed[row] + (score[row] - timed[row]) * multiplier[wait, past]
                found[row] = due * min(1.0, elapsed / (gap + day * usual**2 / recovery))
    return found


def category_intervals(bought: Histories, category: np.ndarray, *, until: int) -> np.ndarray:
    """Usual interval in days of every category [C] from purchases before `until`.

    A category bought twice in one moment counts once. Exposure runs from a shopper's first purchase of it to `until`.
    """
    count = int(category.max()) + 1
    key = bought.owner() * count + category[bought.events.item]
    order = np.lexsort((bought.events.time, key))
    key, time = key[order], bought.events.time[order]
    new_key = np.diff(key, prepend=-1) != 0
    repeat = ~new_key & (np.diff(time, prepend=0) != 0)
    repeats = np.bincount(key[repeat] % count, minlength=count)
    exposure = np.bincount(key[new_key] % count, weights=(until - time[new_key]) / DAY, minlength=count)
    usual = (exposure.sum() + 365.0) / (repeats.sum() + 1.0)
    return np.asarray((exposure + _PRIOR_REPEATS * usual) / (repeats + _PRIOR_REPEATS), np.float32)


def _baskets(
    bought: Histories, *, since: int, rng: np.random.Generator, most: int
) -> "list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]":
    """Of sampled baskets: the items bought before, time since, buy-again score, and whether taken again."""
    first = bought.moments()
    last = np.append(first[1:], len(bought.events))
    owner = bought.owner()[first]
    fresh_trip = np.diff(bought.events.time[first], prepend=0) > SESSION_GAP
    late = np.flatnonzero((bought.events.time[first] >= since) & (first > bought.start[owner]) & fresh_trip)
    habit = BuyAgain()
    rows = []
    for moment in np.sort(rng.permutation(late)[:most]):
        history = bought.events[int(bought.start[owner[moment]]) : int(first[moment])]
        state = ShopperState(history, Context(at=int(bought.events.time[first[moment]])))
        before: Candidates = habit.candidates(state)
        taken = np.isin(before.item, bought.events.item[first[moment] : last[moment]])
        if taken.any():
            _, elapsed = since_bought(history, state.context.at, before.item)
            rows.append((before.item, elapsed, before.score.astype(np.float64), taken))
    return rows
