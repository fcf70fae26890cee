"""Facts of (shopper, candidate, instant): what the sources say of it, what the shopper took, what everybody takes.

Repeat consumption is told by how often, how lately and at what usual interval the shopper took the item and its
category, as in Bhagat et al., "Buy it again: modeling repeat purchase recommendations" (KDD 2018); things never taken
by how usual their category is for the shopper and they are in their category.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from recsys.clock import DAY, HOUR
from recsys.event import EventType
from recsys.ranker.taken import Taken
from recsys.retrieval.category_affinity import category_shares
from recsys.retrieval.repurchase import category_intervals
from recsys.runs import distinct, firsts, places_in
from recsys.sequence.histories import Histories
from recsys.slate import Candidates
from recsys.state import ShopperState

ITEM_HALF_LIVES = np.array([15.0, 45.0, 90.0, 300.0])
CATEGORY_HALF_LIVES = np.array([90.0])
_POPULAR_DAYS = 28
_PRIOR_MOMENTS = 5.0
_SOON = 2 * HOUR
_OWN_FACTS = 6 + len(ITEM_HALF_LIVES) + 6 + len(CATEGORY_HALF_LIVES) + 1
_CROWD_FACTS = 7
_SHOPPER_FACTS = 6


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A question with what the sources propose and, where it is known, what was taken.

    Attributes:
        state: the shopper the instant before.
        gathered: candidates by the name of their source, the encoder among them.
        target: distinct items that were taken [T].
    """

    state: ShopperState
    gathered: Mapping[str, Candidates]
    target: np.ndarray


@dataclass(frozen=True, slots=True)
class CrowdFacts:
    """What everybody did before some instant; [V] float32 each, but the categories.

    Attributes:
        category: category of every index [V] int64.
        crowd: share of all baskets that each category was part of [C] float32.
        repeat: log of repeats per buyer.
        popularity: log of recent purchases.
        first_time: log of recent purchases by shoppers who never bought it before.
        interval: log of the category's usual interval in days.
        share: log of the share of its category's recent purchases.
    """

    category: np.ndarray
    crowd: np.ndarray
    repeat: np.ndarray
    popularity: np.ndarray
    first_time: np.ndarray
    interval: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, histories: Histories, *, items: int, until: int, category: np.ndarray) -> "CrowdFacts":
        """Counted from the purchases before `until`; `items` is V."""
        bought = histories.before(until).interactions().of_type(EventType.PURCHASE)
        item, time = bought.events.item.astype(np.int64), bought.events.time
        pair, first, times = np.unique(bought.owner() * items + item, return_index=True, return_counts=True)
        buyers = np.bincount(pair % items, minlength=items)
        repeats = np.bincount(pair % items, weights=times - 1, minlength=items)
        recent = time >= until - _POPULAR_DAYS * DAY
        taken = np.bincount(item[recent], minlength=items)
        tried = np.bincount(item[first][recent[first]], minlength=items)
        total = np.bincount(category, weights=taken, minlength=int(category.max(initial=0)) + 1)[category]
        learnt = {
            "crowd": category_shares(bought, category),
            "repeat": np.log((repeats + 1) / (buyers + 5)),
            "popularity": np.log(taken + 0.5),
            "first_time": np.log(tried + 0.5),
            "interval": np.log(category_intervals(bought, category, until=until)[category]),
            "share": np.log(taken / np.maximum(total, 1) + 1e-4),
        }
        return cls(category, **{name: values.astype(np.float32) for name, values in learnt.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """What the bundle stores; the constructor takes it back."""
        return asdict(self)


def width(sources: Sequence[str]) -> int:
    """F: how many facts there are."""
    return len(sources) + _OWN_FACTS + _CROWD_FACTS + _SHOPPER_FACTS


def facts_of(
    state: ShopperState,
    item: np.ndarray,
    gathered: Mapping[str, Candidates],
    *,
    sources: Sequence[str],
    crowd: CrowdFacts,
) -> tuple[np.ndarray, np.ndarray]:
    """Facts of the candidates `item` [N], ascending, [N, F] float32, and which the shopper never bought [N] bool.

    `gathered` is what each of the `sources` proposes; a source may be silent.
    """
    bought = state.history.purchases()
    at, category = state.context.at, crowd.category
    own = Taken.of(bought.item, bought.time, asked=item, at=at, half_lives=ITEM_HALF_LIVES)
    kind = Taken.of(category[bought.item], bought.time, asked=category[item], at=at, half_lives=CATEGORY_HALF_LIVES)
    first = firsts(bought.time)
    moment, size = bought.time[first], np.append(first[1:], len(bought)) - first
    moments = float((0.5 ** ((at - moment) / (CATEGORY_HALF_LIVES[0] * DAY))).sum())
    usual = crowd.crowd[category[item]]
    affinity = np.log((kind.halved[0] + _PRIOR_MOMENTS * usual) / (moments + _PRIOR_MOMENTS) + 1e-4)
    since = (at - int(moment[-1])) / DAY if len(moment) else 400.0
    _, in_last = places_in(distinct(bought.item[first[-1] :] if len(moment) else bought.item), item)
    shopper = [
        np.log1p(len(moment)),
        np.log(since + 0.02),
        np.log1p(moments),
        np.log1p(len(bought) / max(len(moment), 1)),
        np.log1p(size[-1] if len(moment) else 0),
        float(since < _SOON / DAY),
    ]
    columns = [*_said(item, gathered, sources), *own.columns(), *kind.columns(), in_last]
    columns += [affinity, affinity + crowd.share[item], crowd.share[item]]
    columns += [facts[item] for facts in (crowd.repeat, crowd.popularity, crowd.first_time, crowd.interval)]
    told = np.empty((len(columns) + len(shopper), len(item)), np.float32)
    for number, column in enumerate(columns):
        told[number] = column
    told[len(columns) :] = np.array(shopper)[:, None]
    return told.T, own.count == 0


def _said(item: np.ndarray, gathered: Mapping[str, Candidates], sources: Sequence[str]) -> list[np.ndarray]:
    """Log of every source's score of each candidate, [N] each."""
    said = np.zeros((len(sources), len(item)))
    for row, name in zip(said, sources, strict=True):
        if name in gathered:
            place, here = places_in(item, gathered[name].item)
            row[place[here]] = gathered[name].score[here]
    return list(np.log(said + 1e-5))
