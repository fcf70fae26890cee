"""What features have to know of the shop: usual prices, facts of items, usual spending. Learnt before the cut-off."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from recsys.catalogue import Catalogue
from recsys.event import EventType
from recsys.feature.item import NEVER, ItemCodes, ItemFacts, first_seen
from recsys.feature.payday import usual_spending
from recsys.feature.price import UsualPrices
from recsys.state import History

MOST_EVENTS = 5_000_000
"""Medians are of at most this many events, evenly spread over the log."""

_PIECE = 4_000_000


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
        cls,
        events: History,
        *,
        catalogue: Catalogue,
        category: np.ndarray,
        until: int | None = None,
        after: ItemCodes | None = None,
    ) -> "Statistics":
        """From the events [E] strictly before `until` (None: all of them), in any order.

        Args:
            catalogue: the items as they were known before the cut-off.
            category: category of every catalogue index [V], 0 for none.
            after: codes of item facts given before, which stay.
        """
        born, chosen = _spread(events, until=until, items=catalogue.size)
        bought = chosen.of_type(EventType.PURCHASE)
        listed = catalogue.items["price"].to_numpy()
        prices = UsualPrices.learn(
            item=chosen.item,
            price=chosen.price,
            list_price=chosen.list_price,
            catalogue_price=np.concatenate([[np.nan], listed]).astype(np.float64),
            category=category,
        )
        return cls(
            spending=usual_spending(bought.price, bought.quantity),
            prices=prices,
            items=ItemFacts.learn(catalogue.items, usual_price=prices.item, first_seen=born, after=after),
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


def _spread(events: History, *, until: int | None, items: int) -> tuple[np.ndarray, History]:
    """When each item was first seen [V], and at most `MOST_EVENTS` events before `until`, evenly spread.

    Piece by piece, because the events may lie in mapped files.
    """
    pieces = [events[first : first + _PIECE] for first in range(0, len(events), _PIECE)]
    early = [np.flatnonzero(piece.time < until) if until is not None else np.arange(len(piece)) for piece in pieces]
    step = max(1, -(-sum(map(len, early)) // MOST_EVENTS))
    born, kept, seen = np.full(items, NEVER), [History.empty()], 0
    for piece, rows in zip(pieces, early, strict=True):
        born = np.minimum(born, first_seen(piece.item[rows], piece.time[rows], items))
        kept.append(piece[rows[-seen % step :: step]])
        seen += len(rows)
    return born, History.joined(kept)
