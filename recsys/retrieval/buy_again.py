"""Habit: what this shopper bought before, by how often and how lately."""

import numpy as np

from recsys.clock import DAY
from recsys.event import EventType
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState


def counted_purchases(state: ShopperState, item: np.ndarray) -> list[Reason]:
    """How often the shopper bought each of `item` [K], as a reason."""
    bought = np.sort(state.history.of_type(EventType.PURCHASE).item)
    times = np.searchsorted(bought, item, side="right") - np.searchsorted(bought, item)
    return [Reason(f"you bought it {n} times" if n > 1 else "you bought it before") for n in times.tolist()]


@registered
class BuyAgain:
    """Items by their number of purchases, each halved for every `half_life_days` that passed since (None: never)."""

    timed = False

    def __init__(self, *, half_life_days: float | None = 90.0) -> None:
        self.half_life_days = half_life_days
        self.name = "buy_again" if half_life_days else "buy_again_frequency"

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Nothing to learn: all it needs is the shopper's own history."""

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """The shopper's own purchases, best first."""
        bought = state.history.of_type(EventType.PURCHASE)
        bought = bought[bought.item > 0]
        if not len(bought):
            return Candidates.none()
        weight = np.ones(len(bought))
        if self.half_life_days is not None:
            weight = 0.5 ** ((state.context.at - bought.time) / (self.half_life_days * DAY))
        distinct, place = np.unique(bought.item, return_inverse=True)
        total = np.bincount(place, weights=weight)
        order = np.lexsort((distinct, -total))[:count]
        return Candidates(distinct[order], total[order].astype(np.float32))

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        return counted_purchases(state, item)

    def settings(self) -> dict[str, float | None]:
        return {"half_life_days": self.half_life_days}

    def arrays(self) -> dict[str, np.ndarray]:
        return {}
