"""A made-up shop for tests: a small catalogue and a recommender simple enough to work out by hand."""

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from recsys.catalogue import UNKNOWN, Catalogue
from recsys.clock import parse_instant
from recsys.event import ITEM_SCHEMA
from recsys.retrieval.assortment import Assortment
from recsys.retrieval.index.flat import FlatIndex
from recsys.sequence.coding import Coding
from recsys.slate import Slate, SlateItem
from recsys.state import ShopperState

NOW = parse_instant("2024-05-01T12:00:00+00:00")
DATA_END = parse_instant("2024-05-01T00:00:00+00:00")


def small_catalogue(categories: int = 3, each: int = 10) -> Catalogue:
    """Items item-000, item-001, ... in categories category-0, category-1, ..., `each` in a row."""
    numbers = range(categories * each)
    return Catalogue(
        pa.table(
            {
                "item_id": [f"item-{number:03d}" for number in numbers],
                "title": [f"Item {number}" for number in numbers],
                "category": [[f"category-{number // each}"] for number in numbers],
                "brand": [None for _ in numbers],
                "price": [float(number) for number in numbers],
                "currency": ["EUR" for _ in numbers],
                "available": [True for _ in numbers],
                "created_at": [None for _ in numbers],
                "attributes": [[] for _ in numbers],
                "text": [None for _ in numbers],
                "valid_from": [None for _ in numbers],
            },
            schema=ITEM_SCHEMA,
        )
    )


def broken(*_: object) -> None:
    """Takes the place of what nobody expects to fail."""
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


class CategoryCounter:
    """Recommends the category seen most often, in order of item number; never what is in the basket or excluded.

    `encoder_works` and `anything_works` are switches for what goes wrong, each call takes `takes_s` seconds more, and
    `batches` remembers its size.
    """

    model_version = "test-1"
    data_end = DATA_END

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self.catalogue = catalogue or small_catalogue()
        self.coding = Coding(self.catalogue)
        self.encoder_works = True
        self.anything_works = True
        self.takes_s = 0.0
        self.batches: list[int] = []
        self._category, self._names = self.catalogue.categories(1)
        index, vectors = FlatIndex(), np.eye(len(self._names), dtype=np.float32)[self._category]
        index.build(vectors)
        self.offer = Assortment(self.catalogue, index, vectors)

    def answer(
        self,
        states: Sequence[ShopperState],
        *,
        counts: Sequence[int],
        rng: np.random.Generator,
        with_encoder: bool = True,
        with_ranker: bool = True,
    ) -> list[Slate]:
        """One slate per state; raises RuntimeError where the switches say so."""
        self.batches.append(len(states))
        time.sleep(self.takes_s)
        if not self.anything_works or (with_encoder and not self.encoder_works):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return [self._slate(state, count) for state, count in zip(states, counts, strict=True)]

    def _slate(self, state: ShopperState, count: int) -> Slate:
        seen = Counter(int(self._category[item]) for item in state.history.interactions().item)
        hidden = state.basket | state.exclude | {UNKNOWN}
        allowed = self.offer.allowed(state.wanted, place=state.context.store)
        shown = [index for index in allowed.rows.tolist() if index not in hidden]
        category = np.append(self._category, np.zeros(len(allowed.mask), np.int64))
        shown.sort(key=lambda index: (-seen[int(category[index])], index))
        items = tuple(
            SlateItem(
                index=index,
                item_id=self.offer.id_of(index),
                score=float(seen[int(category[index])]),
                source="counter",
                reason=f"from {self._names[category[index]]}",
                propensity=1.0,
            )
            for index in shown[:count]
        )
        return Slate(items=items, knowledge=state.knowledge, policy="counter", model_version=self.model_version)
