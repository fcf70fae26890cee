"""A made-up shop whose truth is known: six categories of fifty items, shoppers with a favourite category and a staple.

Every shopper buys about once a week: their staple (always the same item), two items of their favourite category and,
sometimes, anything. So buy-again finds the staple, the crowd finds categories, and an encoder should find both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recsys.clock import DAY, HOUR, parse_instant
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, QUARANTINE_SCHEMA

START = parse_instant("2024-01-01")
CATEGORIES = 6
EACH = 50
WEEKS = 26


@dataclass(frozen=True, slots=True)
class MadeUpShop:
    """A `Source`; item i is "item-iii" and belongs to category i // 50."""

    shoppers: int = 120
    seed: int = 0
    name: str = "made_up"
    licence: str = "made up"
    time_zone: str = "UTC"
    order_only: bool = False
    cutoff: int = START + 23 * 7 * DAY

    def fingerprint(self) -> str:
        return f"made-up-{self.shoppers}-{self.seed}"

    def parts(self) -> list[SourcePart]:
        return [SourcePart(name="all", digest=self.fingerprint(), chunks=self._chunks)]

    def _chunks(self) -> Iterator[SourceChunk]:
        rng = np.random.default_rng(self.seed)
        names = ("event_id", "occurred_at", "user_id", "item_id", "channel", "device", "list_price")
        rows: dict[str, list[object]] = {name: [] for name in names}
        for shopper in range(self.shoppers):
            staple = int(rng.integers(CATEGORIES * EACH))
            favourite = shopper % CATEGORIES
            for week in range(WEEKS):
                instant = START + week * 7 * DAY + int(rng.integers(7 * 24)) * HOUR
                basket = {staple, *_liked(rng, favourite, 2)}
                if rng.random() < 0.3:
                    basket.add(int(rng.integers(CATEGORIES * EACH)))
                for item in sorted(basket):
                    rows["event_id"].append(f"{shopper}-{week}-{item}")
                    rows["occurred_at"].append(instant)
                    rows["user_id"].append(f"shopper-{shopper:03d}")
                    rows["channel"].append(("web", "app", None)[week % 3])
                    rows["device"].append(("phone", None)[shopper % 2])
                    rows["list_price"].append(2.5 if item % 3 else 3.0)
                    rows["item_id"].append(f"item-{item:03d}")
        count = len(rows["event_id"])
        constant = {"type": ["purchase"] * count, "quantity": [1.0] * count, "price": [2.5] * count}
        columns = [pa.array({**rows, **constant}.get(field.name, [None] * count), field.type) for field in EVENT_SCHEMA]
        events = pa.table(columns, schema=EVENT_SCHEMA)
        yield SourceChunk(rows_in=count, events=events, quarantine=QUARANTINE_SCHEMA.empty_table())

    def items(self) -> pa.Table:
        numbers = range(CATEGORIES * EACH)
        return pa.table(
            {
                "item_id": [f"item-{number:03d}" for number in numbers],
                "title": [f"Thing {number}" for number in numbers],
                "category": [[f"category-{number // EACH}"] for number in numbers],
                "brand": ["Attune"] * len(numbers),
                "price": [2.5] * len(numbers),
                "currency": ["EUR"] * len(numbers),
                "available": [True] * len(numbers),
                "created_at": [None] * len(numbers),
                "attributes": [None] * len(numbers),
                "text": [None] * len(numbers),
                "valid_from": [None] * len(numbers),
            },
            schema=ITEM_SCHEMA,
        )


def _liked(rng: np.random.Generator, category: int, count: int) -> list[int]:
    """Items of a category, the first ones far more often."""
    ranks = np.minimum(rng.geometric(0.15, count) - 1, EACH - 1)
    return [category * EACH + int(rank) for rank in ranks]
