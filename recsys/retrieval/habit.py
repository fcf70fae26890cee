"""Learnt habit: how likely this shopper is to take each of their own items again, now.

A small network over few facts of (shopper, item, instant): how often and how lately, how usual a repeat is for the
item and its category, and how popular the item is. It is fitted listwise (Cao et al., "Learning to rank", ICML 2007)
among the items of the same shopper at the same instant, so that it learns which of them come next and not how large
baskets are; a logistic curve then turns its scores into chances that can be compared across shoppers.
"""

from dataclasses import dataclass

import numpy as np
import torch

from recsys.clock import DAY
from recsys.compiled import compiled
from recsys.event import EventType
from recsys.feature.item import ItemFacts
from recsys.ranker.fitting import calibration, listwise
from recsys.registry import registered
from recsys.retrieval.best import ascend, best_of_each, sums
from recsys.retrieval.buy_again import counted_purchases
from recsys.retrieval.proposals import EVERYTHING, Proposals
from recsys.retrieval.repurchase import category_intervals
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates, Reason
from recsys.state import Context, History, ShopperState

HALF_LIVES_DAYS = np.array([15.0, 45.0, 90.0, 300.0])
_POPULAR_DAYS = 28
_LEARNT = {"repeat", "popularity", "interval", "mean", "scale", "w1", "b1", "w2", "b2"}
_EXAMPLES = 4_000
_EPOCHS = 8
_BATCH = 64


@dataclass(frozen=True, slots=True)
class _Example:
    """The shopper's own items at one instant: their facts [N, F], and which were taken [N]."""

    facts: np.ndarray
    taken: np.ndarray


@registered
class Habit:
    """The shopper's own items by their learnt chance.

    Args:
        hidden: width of the network.
        window_days: it learns from the baskets of so many days before the end of what it may see, with item facts
            from before those days.
        repeat, popularity, interval: facts of every item [V] float32: log repeats per buyer, log of recent
            interactions, log of the category's usual interval in days.
        mean, scale: of the facts [F]; w1 [F, H], b1 [H], w2 [H], b2 [1]: the network, calibration included.
    """

    name = "habit"
    timed = True

    def __init__(self, *, hidden: int = 32, window_days: int = 56, **learnt: np.ndarray) -> None:
        if strange := learnt.keys() - _LEARNT:
            raise TypeError(f"Habit does not know {sorted(strange)}; it takes {', '.join(sorted(_LEARNT))}")
        self.hidden = hidden
        self.window_days = window_days
        self._learnt = learnt

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Learn from the events before `until`."""
        bought = histories.before(until).interactions().of_type(EventType.PURCHASE)
        since = until - self.window_days * DAY
        self._learnt = _item_facts(bought.before(since), items, since, category)
        examples = self._examples(bought, since)
        telling = np.array([n for n, e in enumerate(examples) if e.taken.any() and not e.taken.all()], np.int64)
        network = _fitted(examples, telling, self.hidden) if len(telling) else _by_recency(self.hidden)
        self._learnt = {**_item_facts(bought, items, until, category), **network}

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """The shopper's own purchases by their chance in the next moment."""
        return self.proposals(Shoppers([state]), count).one(0)

    def proposals(self, shoppers: Shoppers, count: int | None = None) -> Proposals:
        """The same for many shoppers."""
        start, item, facts = self._facts(shoppers)
        learnt = self._learnt
        if not len(item):
            return Proposals.none(len(shoppers))
        hidden = np.maximum((facts - learnt["mean"]) / learnt["scale"] @ learnt["w1"] + learnt["b1"], 0)
        chance = 1 / (1 + np.exp(-np.clip(hidden @ learnt["w2"] + learnt["b2"], -30, 30)))
        return Proposals(*best_of_each(start, item, chance, EVERYTHING if count is None else count))

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Counts the purchases."""
        return counted_purchases(state, item)

    def settings(self) -> dict[str, int]:
        """Constructor arguments, for the bundle."""
        return {"hidden": self.hidden, "window_days": self.window_days}

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learnt."""
        return dict(self._learnt)

    def _facts(self, shoppers: Shoppers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where each shopper's own items begin [B + 1], those items [N] and their facts [N, F] float32."""
        bought, learnt, own = shoppers.bought, self._learnt, len(HALF_LIVES_DAYS) + 1
        room = sums(len(learnt["repeat"]))
        start, item, counted = _counted(
            bought.start, bought.item, bought.time, shoppers.at, HALF_LIVES_DAYS * DAY,
            room.place, room.stamp, room.tick,
        )  # fmt: skip
        facts = np.empty((len(item), own + 3), np.float32)
        facts[:, :own] = np.log(counted)
        for number, name in enumerate(("repeat", "popularity", "interval"), start=own):
            facts[:, number] = learnt[name][item]
        return start, item, facts

    def _examples(self, bought: Histories, since: int) -> list[_Example]:
        """Baskets from `since` on of shoppers who bought before, at most `_EXAMPLES`, evenly drawn."""
        first = bought.moments()
        last = np.append(first[1:], len(bought.events))
        owner = bought.owner()[first]
        late = np.flatnonzero((bought.events.time[first] >= since) & (first > bought.start[owner]))
        drawn = np.random.default_rng(0).permutation(late)[:_EXAMPLES]
        examples = []
        for moment in np.sort(drawn):
            history: History = bought.events[int(bought.start[owner[moment]]) : int(first[moment])]
            state = ShopperState(history, Context(at=int(bought.events.time[first[moment]])))
            _, item, facts = self._facts(Shoppers([state]))
            taken = np.isin(item, bought.events.item[first[moment] : last[moment]])
            if len(item):
                examples.append(_Example(facts, taken))
        return examples


@compiled
def _counted(
    start: np.ndarray,
    bought: np.ndarray,
    time: np.ndarray,
    at: np.ndarray,
    half_lives: np.ndarray,
    slot: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each shopper the items bought, ascending, the sum of purchases halved for each of H half-lives (and a little),
    and how many they are [N, H + 1]."""
    begin = np.zeros(len(start), np.int64)
    item = np.empty(len(bought), np.int64)
    counted = np.zeros((len(bought), len(half_lives) + 1))
    end = 0
    for shopper in range(len(at)):
        tick[0] += 1
        first = end
        for row in range(start[shopper], start[shopper + 1]):
            if stamp[bought[row]] != tick[0]:
                stamp[bought[row]] = tick[0]
                item[end] = bought[row]
                end += 1
        ascend(item, first, end)
        for place in range(first, end):
            slot[item[place]] = place
            for number in range(len(half_lives)):
                counted[place, number] = 1e-4
        for row in range(start[shopper], start[shopper + 1]):
            place = slot[bought[row]]
            for number in range(len(half_lives)):
                counted[place, number] += 0.5 ** ((at[shopper] - time[row]) / half_lives[number])
            counted[place, len(half_lives)] += 1
        begin[shopper + 1] = end
    return begin, item[:end].copy(), counted[:end].copy()


def _item_facts(bought: Histories, items: int, until: int, category: np.ndarray) -> dict[str, np.ndarray]:
    """Facts of every item from purchases before `until`."""
    events = bought.events
    pair, times = np.unique(bought.owner() * items + events.item, return_counts=True)
    buyers = np.bincount(pair % items, minlength=items)
    repeats = np.bincount(pair % items, weights=times - 1, minlength=items)
    recent = np.bincount(events.item[events.time >= until - _POPULAR_DAYS * DAY], minlength=items)
    interval = category_intervals(bought, category, until=until)[category]
    return {
        "repeat": np.log((repeats + 1) / (buyers + 5)).astype(np.float32),
        "popularity": np.log(recent + 0.5).astype(np.float32),
        "interval": np.log(interval).astype(np.float32),
    }


def _fitted(examples: list[_Example], telling: np.ndarray, hidden: int) -> dict[str, np.ndarray]:
    """The network, fitted listwise on the examples `telling` in which some but not all items were taken again, and
    then calibrated on all of them; deterministic."""
    facts = torch.from_numpy(np.concatenate([e.facts for e in examples]))
    taken = torch.from_numpy(np.concatenate([e.taken for e in examples])).float()
    size = torch.tensor([len(e.taken) for e in examples])
    begin = size.cumsum(0) - size
    mean, scale = facts.mean(0), facts.std(0) + 1e-3
    facts = (facts - mean) / scale
    generator = torch.Generator().manual_seed(0)
    w1 = (torch.randn(facts.shape[1], hidden, generator=generator) * facts.shape[1] ** -0.5).requires_grad_()
    b1 = torch.zeros(hidden, requires_grad=True)
    w2 = (torch.randn(hidden, generator=generator) * hidden**-0.5).requires_grad_()
    optimizer = torch.optim.Adam([w1, b1, w2], lr=5e-3, weight_decay=1e-4)
    for _ in range(_EPOCHS):
        order = torch.from_numpy(telling)[torch.randperm(len(telling), generator=generator)]
        for first in range(0, len(order), _BATCH):
            chosen = order[first : first + _BATCH]
            owner = torch.repeat_interleave(torch.arange(len(chosen)), size[chosen])
            place = torch.arange(len(owner)) - (size[chosen].cumsum(0) - size[chosen])[owner]
            rows = begin[chosen][owner] + place
            score = torch.relu(facts[rows] @ w1 + b1) @ w2
            loss = listwise(score, taken[rows], owner, len(chosen))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    with torch.no_grad():
        score = torch.relu(facts @ w1 + b1) @ w2
    slope, shift = calibration(score, taken)
    return {
        "mean": mean.numpy(),
        "scale": scale.numpy(),
        "w1": w1.detach().numpy(),
        "b1": b1.detach().numpy(),
        "w2": slope * w2.detach().numpy(),
        "b2": np.array([shift], np.float32),
    }


def _by_recency(hidden: int) -> dict[str, np.ndarray]:
    """Where nobody ever took anything twice: the halved count decides, and chances are small."""
    facts = len(HALF_LIVES_DAYS) + 4
    w1, w2 = np.zeros((facts, hidden), np.float32), np.zeros(hidden, np.float32)
    w1[2, 0], w2[0] = 1.0, 1.0
    b1 = np.zeros(hidden, np.float32)
    b1[0] = 10.0
    return {
        "mean": np.zeros(facts, np.float32),
        "scale": np.ones(facts, np.float32),
        "w1": w1,
        "b1": b1,
        "w2": w2,
        "b2": np.array([-14.0], np.float32),
    }
