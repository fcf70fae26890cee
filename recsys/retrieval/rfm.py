"""Segments of shoppers by recency, frequency and money: how lately, how often and for how much they bought.

Hughes, "Strategic database marketing" (1994): each of the three is cut into classes of equally many shoppers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.registry import registered
from recsys.sequence.histories import Histories
from recsys.state import History, ShopperState


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class RFM:
    """Classes of recency, frequency and money, crossed.

    Args:
        classes: into how many each is cut; there are classes ** 3 segments.
        days: how far back frequency and money are counted. Who bought nothing in them is in no segment.
    """

    name: ClassVar[str] = "rfm"
    words: ClassVar[str] = "shoppers who shop as often as you"

    classes: int = 3
    days: int = 180

    def __post_init__(self) -> None:
        if self.classes < 1 or self.days < 1:
            raise ConfigError(f"RFM with classes={self.classes}, days={self.days}; give at least 1 of each")

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return self.classes**3

    def learn(self, known: Histories, *, until: int, category: np.ndarray) -> dict[str, np.ndarray]:
        """Borders between the classes of each of the three [3, classes - 1] float64."""
        facts = self._facts(known.owner(), known.events, len(known), until)
        facts = facts[facts[:, 1] > 0]
        if not len(facts):
            return {"borders": np.zeros((3, self.classes - 1))}
        share = np.arange(1, self.classes) / self.classes
        return {"borders": np.quantile(facts, share, axis=0, method="inverted_cdf").T.astype(np.float64)}

    def members(self, known: Histories, learnt: Mapping[str, np.ndarray], *, until: int) -> np.ndarray:
        """The segment of each sequence at `until` [S]."""
        return self._segments(self._facts(known.owner(), known.events, len(known), until), learnt["borders"])

    def segment_of(self, state: ShopperState, learnt: Mapping[str, np.ndarray]) -> int:
        """The segment now; -1 for who bought nothing in the `days` before."""
        seen = state.history.interactions()
        facts = self._facts(np.zeros(len(seen), np.int64), seen, 1, state.context.at)
        return int(self._segments(facts, learnt["borders"])[0])

    def settings(self) -> dict[str, int]:
        """Constructor arguments, for the bundle."""
        return asdict(self)

    def _facts(self, owner: np.ndarray, events: History, shoppers: int, at: int) -> np.ndarray:
        """Of each of the `shoppers`, from events by shopper and time: days since the last purchase, moments with one,
        and money spent, of the last `days` before `at` [shoppers, 3]."""
        bought = (events.type == EventType.PURCHASE.code) & (events.time >= at - self.days * DAY)
        owner, time = owner[bought], events.time[bought]
        fresh = (np.diff(owner, prepend=-1) != 0) | (np.diff(time, prepend=0) != 0)
        spent = np.nan_to_num(events.price[bought] * events.quantity[bought])
        last = np.full(shoppers, np.iinfo(np.int64).min)
        np.maximum.at(last, owner, time)
        moments = np.bincount(owner[fresh], minlength=shoppers)
        since_days = np.where(moments > 0, (at - np.where(moments > 0, last, at)) / DAY, np.inf)
        return np.column_stack([since_days, moments, np.bincount(owner, spent, minlength=shoppers)])

    def _segments(self, facts: np.ndarray, borders: np.ndarray) -> np.ndarray:
        """The segment of each row of facts [N, 3]; -1 without a purchase [N] int64."""
        number = np.zeros(len(facts), np.int64)
        for values, border in zip(facts.T, borders, strict=True):
            number = number * self.classes + np.searchsorted(border, values, side="left")
        number[facts[:, 1] == 0] = -1
        return number
