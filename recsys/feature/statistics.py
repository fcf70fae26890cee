"""What features have to know of the shop: usual prices, facts of items, usual spending. Learnt before the cut-off."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from recsys.catalogue import Catalogue
from recsys.event import EventType
from recsys.feature.item import ItemFacts, first_seen
from recsys.feature.payday import usual_spending
from recsys.feature.price import UsualPrices
from recsys.state import History

MOST_EVENTS = 5_000_000
"""Medians are of at most this many events, evenly spread over the log."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything learnt that token features read; fixed with the cut-off and stored in the bundle.

    Attributes:
        spending: median of what a purchase of known price cost; 1 where no price is known.
        prices: usual prices of items and categories.
        items: facts of items.
    """

    spending: float
    prices: UsualPrices
    items: ItemFacts

    @classmethod
    def learn(
        cls, events: History, *, catalogue: Catalogue, category: np.ndarray, until: int | None = None
    ) -> "Statistics":
        """From the events [E] strictly before `until` (None: all of them), in any order.

        Args:
            catalogue: the items as they were known before the cut-off.
            category: category of every catalogue index [V], 0 for none.
        """
        early = np.flatnonzero(events.time < until) if until is not None else np.arange(len(events))
        chosen = events[early[:: max(1, -(-len(early) // MOST_EVENTS))]]
        bought = chosen.of_type(EventType.PURCHASE)
        listed = catalogue.items["price"].to_numpy()
        prices = UsualPrices.learn(
            item=chosen.item,
            price=chosen.price,
            list_price=chosen.list_price,
            catalogue_price=np.concatenate([[np.nan], listed]).astype(np.float64),
            category=category,
        )
        seen = first_seen(events.item[early], events.time[early], catalogue.size)
        return cls(
            spending=usual_spending(bought.price, bought.quantity),
            prices=prices,
            items=ItemFacts.learn(catalogue.items, usual_price=prices.item, first_seen=seen),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What the bundle stores; `of_arrays` takes it back."""
        found = {"spending": np.array([self.spending])}
        found |= {f"prices.{field.name}": getattr(self.prices, field.name) for field in fields(self.prices)}
        return found | {f"items.{field.name}": getattr(self.items, field.name) for field in fields(self.items)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Statistics":
        """Back from a bundle; a missing array raises KeyError."""
        return cls(
            spending=float(arrays["spending"][0]),
            prices=UsualPrices(**{field.name: arrays[f"prices.{field.name}"] for field in fields(UsualPrices)}),
            items=ItemFacts(**{field.name: arrays[f"items.{field.name}"] for field in fields(ItemFacts)}),
        )
