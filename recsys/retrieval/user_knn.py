"""Shoppers like this one: what those take whose habits are alike, beside what the shopper takes.

A shopper is the share of their moments (baskets) that each item was part of, moments halved for every `half_life_days`
that they lie before the shopper's last; neighbours are the nearest by the cosine of these vectors, items weighed by
rarity. The answer mixes the shopper's own shares with those of the neighbours, as in next-basket recommendation: Hu,
He, Gao & Zhang, "Modeling personalized item frequency information for next-basket recommendation" (TIFU-kNN, SIGIR
2020, https://arxiv.org/abs/2006.00556), whose decay by groups of baskets is a decay by time here.

Memory is bounded by `shoppers` times `items_per_shopper`, time by that and `shoppers_per_item`.
"""

from dataclasses import dataclass

import numpy as np

from recsys.clock import DAY
from recsys.compiled import compiled
from recsys.event import INTERACTIONS
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.best import best_into, sums
from recsys.retrieval.proposals import EVERYTHING, Proposals
from recsys.runs import distinct, firsts, fresh, numbered
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates, Reason
from recsys.state import History, ShopperState, is_one_of

_IS_INTERACTION = is_one_of(INTERACTIONS)
_LEARNT = {"start", "item", "share", "item_start", "item_shopper", "item_weight", "rarity"}


@dataclass(frozen=True, slots=True)
class _Shares:
    """Shares of items in the moments of shoppers: R rows, by shopper; (owner, item) are distinct."""

    owner: np.ndarray
    item: np.ndarray
    share: np.ndarray


@registered
class UserKNN:
    """Items by their share in the moments of like-minded shoppers and in the shopper's own.

    Args:
        neighbours: how many shoppers answer.
        own: weight of the shopper's own shares beside the neighbours'. A shopper whom the index holds is among the
            neighbours too, so that own items are proposed even with 0.
        half_life_days: age at which a moment counts half.
        shoppers: how many are remembered, those last seen.
        items_per_shopper: how many items describe a shopper, those of the largest shares.
        shoppers_per_item: how many shoppers an item finds, those of the largest shares.
        start, item, share: the shoppers' vectors: where each begins [S + 1] int64, items [R] int32, shares [R] float32.
        item_start, item_shopper, item_weight: for every item the shoppers who take it: where they begin [V + 1] int64,
            who [P] int32, and the item's part of the shopper's vector, of length one [P] float32.
        rarity: how much sharing an item says [V] float32.
    """

    name = "user_knn"
    timed = False

    def __init__(
        self,
        *,
        neighbours: int = 100,
        own: float = 0.5,
        half_life_days: float = 90.0,
        shoppers: int = 50_000,
        items_per_shopper: int = 500,
        shoppers_per_item: int = 2_000,
        **learnt: np.ndarray,
    ) -> None:
        if strange := learnt.keys() - _LEARNT:
            raise TypeError(f"UserKNN does not know {sorted(strange)}; it takes {', '.join(sorted(_LEARNT))}")
        self.neighbours = neighbours
        self.own = own
        self.half_life_days = half_life_days
        self.shoppers = shoppers
        self.items_per_shopper = items_per_shopper
        self.shoppers_per_item = shoppers_per_item
        self._learnt = learnt

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Describe the shoppers by their events before `until`; `items` is V."""
        known = histories.before(until).interactions()
        owner, count = _last_seen(known, self.shoppers)
        here = owner >= 0
        found = _shares(owner[here], known.events[here], self.half_life_days, self.items_per_shopper)
        holders = np.bincount(found.item, minlength=items)
        rarity = np.log((count + 1) / np.maximum(holders, 1)).astype(np.float32)
        part = found.share * rarity[found.item]
        length = np.sqrt(np.bincount(found.owner, part**2, minlength=count))
        part = part / np.maximum(length, 1e-12)[found.owner]
        order = np.lexsort((-part, found.item))
        place = np.arange(len(order)) - (np.cumsum(holders) - holders)[found.item[order]]
        kept = order[place < self.shoppers_per_item]
        self._learnt = {
            "start": np.searchsorted(found.owner, np.arange(count + 1)).astype(np.int64),
            "item": found.item.astype(np.int32),
            "share": found.share.astype(np.float32),
            "item_start": np.concatenate([[0], np.cumsum(np.minimum(holders, self.shoppers_per_item))]).astype(
                np.int64
            ),
            "item_shopper": found.owner[kept].astype(np.int32),
            "item_weight": part[kept].astype(np.float32),
            "rarity": rarity,
        }

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """Items of the neighbours and, unless `own` is 0, of the shopper."""
        return self.proposals(Shoppers([state]), count).one(0)

    def proposals(self, shoppers: Shoppers, count: int | None = None) -> Proposals:
        """The same for many shoppers."""
        if not self._learnt:
            return Proposals.none(len(shoppers))
        learnt, seen = self._learnt, shoppers.seen
        room = sums(max(len(learnt["rarity"]), len(learnt["start"])))
        most = EVERYTHING if count is None else count
        found = _proposed(
            seen.start, seen.item, seen.time,
            learnt["item_start"], learnt["item_shopper"], learnt["item_weight"], learnt["rarity"],
            learnt["start"], learnt["item"], learnt["share"],
            self.half_life_days * DAY, self.own, self.items_per_shopper, self.neighbours, most,
            room.total, room.place, room.stamp, room.tick, room.touched,
        )  # fmt: skip
        return Proposals(*found)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Tells what the shopper takes from what others do."""
        seen = state.history
        mine = set(seen.item[_IS_INTERACTION[seen.type]].tolist())
        return [
            Reason("you take it now and then" if number in mine else "shoppers like you take it")
            for number in item.tolist()
        ]

    def settings(self) -> dict[str, int | float]:
        return {
            "neighbours": self.neighbours,
            "own": self.own,
            "half_life_days": self.half_life_days,
            "shoppers": self.shoppers,
            "items_per_shopper": self.items_per_shopper,
            "shoppers_per_item": self.shoppers_per_item,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self._learnt)


@compiled
def _proposed(
    start: np.ndarray,
    seen_item: np.ndarray,
    time: np.ndarray,
    item_start: np.ndarray,
    item_shopper: np.ndarray,
    item_weight: np.ndarray,
    rarity: np.ndarray,
    row_start: np.ndarray,
    row_item: np.ndarray,
    row_share: np.ndarray,
    half_life: float,
    own: float,
    most_own: int,
    neighbours: int,
    most: int,
    total: np.ndarray,
    last: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
    touched: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each shopper the items of the nearest neighbours and their own; how alike a neighbour is, is a cosine but for
    the asking one's length."""
    begin = np.zeros(len(start), np.int64)
    item, score = np.empty(0, np.int64), np.empty(0, np.float64)
    near, alike = np.empty(neighbours, np.int64), np.empty(neighbours, np.float64)
    end = 0
    for shopper in range(len(start) - 1):
        first, behind = start[shopper], start[shopper + 1]
        mine, share = np.empty(behind - first, np.int64), np.empty(behind - first, np.float64)
        count = _shares_into(
            mine,
            share,
            seen_item[first:behind],
            time[first:behind],
            half_life,
            most_own,
            total,
            last,
            stamp,
            tick,
            touched,
        )
        tick[0] += 1
        found = 0
        for place in range(count):
            weight = share[place] * rarity[mine[place]]
            for row in range(item_start[mine[place]], item_start[mine[place] + 1]):
                other = item_shopper[row]
                if stamp[other] != tick[0]:
                    stamp[other], total[other] = tick[0], 0.0
                    touched[found] = other
                    found += 1
                total[other] += weight * item_weight[row]
        found = _positive(touched, total, found)
        nearest = best_into(near, alike, 0, neighbours, total, touched, found)
        whole = 1e-12
        for place in range(nearest):
            whole += alike[place]
        tick[0] += 1
        found = 0
        for place in range(nearest + 1):
            if place < nearest:
                weight = (1 - own) * alike[place] / whole
                low, high = row_start[near[place]], row_start[near[place] + 1]
            else:  # what is their own comes last
                weight, low, high = own, 0, count
            for row in range(low, high):
                number = row_item[row] if place < nearest else mine[row]
                if stamp[number] != tick[0]:
                    stamp[number], total[number] = tick[0], 0.0
                    touched[found] = number
                    found += 1
                total[number] += (row_share[row] if place < nearest else share[row]) * weight
        found = _positive(touched, total, found)
        if end + min(found, most) > len(item):
            item, score = _wider(item, end + min(found, most)), _wider(score, end + min(found, most))
        end = begin[shopper + 1] = best_into(item, score, end, most, total, touched, found)
    return begin, item[:end].copy(), score[:end].astype(np.float32)


@compiled
def _shares_into(
    mine: np.ndarray,
    share: np.ndarray,
    item: np.ndarray,
    time: np.ndarray,
    half_life: float,
    most: int,
    total: np.ndarray,
    last: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
    touched: np.ndarray,
) -> int:
    """Write the `most` largest shares of the moments of one shopper, as `_shares` has them, to `mine` and `share`; how
    many."""
    tick[0] += 1
    found, moment, whole, strength = 0, -1, 0.0, 0.0
    for row in range(len(item)):
        if moment < 0 or time[row] != time[row - 1]:
            moment += 1
            strength = 0.5 ** ((time[len(time) - 1] - time[row]) / half_life)
            whole += strength
        number = item[row]
        if stamp[number] != tick[0]:
            stamp[number], total[number], last[number] = tick[0], 0.0, -1
            touched[found] = number
            found += 1
        if last[number] != moment:  # one moment counts once
            total[number] += strength
            last[number] = moment
    count = best_into(mine, share, 0, most, total, touched, found)
    for place in range(count):
        share[place] /= whole
    return count


@compiled
def _positive(touched: np.ndarray, total: np.ndarray, count: int) -> int:
    """Keep of the first `count` indices those with a positive total; how many they are."""
    kept = 0
    for place in range(count):
        if total[touched[place]] > 0:
            touched[kept] = touched[place]
            kept += 1
    return kept


@compiled
def _wider(values: np.ndarray, size: int) -> np.ndarray:
    found = np.empty(2 * size, values.dtype)
    for place in range(len(values)):
        found[place] = values[place]
    return found


def _last_seen(known: Histories, most: int) -> tuple[np.ndarray, int]:
    """The number of every event's shopper among the `most` seen last, -1 for the others [E], and how many they are."""
    last = known.events.time[known.start[1:] - 1]
    kept = np.sort(np.argsort(-last, kind="stable")[:most])
    number = np.full(len(known), -1)
    number[kept] = np.arange(len(kept))
    return number[known.owner()], len(kept)


def _shares(owner: np.ndarray, events: History, half_life_days: float, most: int) -> _Shares:
    """The `most` largest shares of each shopper, from `events` [E] of the shoppers `owner` [E], by shopper and time."""
    begins = fresh(owner, events.time)
    first = begins.nonzero()[0]
    whose, when = owner[first], events.time[first]
    begin = firsts(whose)
    count = np.diff(np.append(begin, len(whose)))
    age_days = (np.repeat(when[begin + count - 1], count) - when) / DAY
    weight = 0.5 ** (age_days / half_life_days)
    total = np.bincount(whose, weight)
    items = int(events.item.max(initial=0)) + 1
    moment, item = np.divmod(distinct((np.cumsum(begins) - 1) * items + events.item), items)
    pair, number = numbered(whose[moment] * items + item)
    by, item = np.divmod(pair, items)
    share = np.bincount(number, weight[moment], minlength=len(pair)) / total[by]
    order = np.lexsort((item, -share, by))
    place = np.arange(len(order)) - np.searchsorted(by, by)
    kept = order[place < most]
    return _Shares(by[kept], item[kept], share[kept])
