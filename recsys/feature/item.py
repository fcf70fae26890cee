"""What is known of every item before the cut-off, as small numbers: category path, brand, price, age, text."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY
from recsys.feature.query import tokens

PATH = 4
"""Levels of the category path that are kept, from the widest."""
WORDS = 8
"""Tokens kept of an item's title and text."""
PRICES = 21
"""Classes of an item's usual price: 0 is "unknown", then twenty of equally many items each, cheapest first."""
NEVER = np.iinfo(np.int64).max
"""Birth of an item of which no instant is known."""
AGES = 16
"""Classes of an item's age: 0 is "unknown or not born yet", class a holds ages of [2**(a-1) - 1, 2**a - 1) days."""

_AGE_BORDERS = DAY * (2 ** np.arange(1, AGES - 1, dtype=np.int64) - 1)


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """Facts of every catalogue index [V]; index 0 has none.

    Attributes:
        path: code of the category path cut at each level [V, PATH] int32; 0 where the path is shorter.
        brand: code of the brand [V] int32, 0 for none.
        price: class of the usual price [V] int8, see `PRICES`.
        born: instant from which the item is known to exist [V] int64, `NEVER` if none is.
        text: hashed tokens of title and text [V, WORDS] int16, 0 for none.
    """

    path: np.ndarray
    brand: np.ndarray
    price: np.ndarray
    born: np.ndarray
    text: np.ndarray

    @classmethod
    def learn(cls, items: pa.Table, *, usual_price: np.ndarray, first_seen: np.ndarray) -> "ItemFacts":
        """From the catalogue's rows and from events, all as known before the cut-off.

        Args:
            items: one row for each index from 1 on, by `ITEM_SCHEMA`.
            usual_price: of every index [V], NaN where unknown; see `UsualPrices`.
            first_seen: instant of the first event with each index [V], `NEVER` where there is none.
        """
        created = pc.fill_null(items["created_at"].cast(pa.int64()), NEVER).to_numpy()
        return cls(
            path=_paths(items["category"].to_pylist()),
            brand=_codes(items["brand"].to_pylist()),
            price=price_classes(usual_price),
            born=np.concatenate([[NEVER], np.minimum(created, first_seen[1:])]).astype(np.int64),
            text=_texts(items),
        )

    def age_class(self, item: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Class 0..AGES-1 of the age of `item` [N] at the instants `at` [N]."""
        born = self.born[item]
        age = at - np.minimum(born, at)
        return np.where(born > at, 0, 1 + np.searchsorted(_AGE_BORDERS, age, side="right"))


def first_seen(item: np.ndarray, time: np.ndarray, items: int) -> np.ndarray:
    """Instant of the first event with each catalogue index [V], from the items and instants of events [E]."""
    found = np.full(items, NEVER)
    np.minimum.at(found, item, time)
    found[0] = NEVER
    return found


def price_classes(usual_price: np.ndarray) -> np.ndarray:
    """Class 0..PRICES-1 of usual prices [V] int8; NaN is unknown."""
    known = usual_price[~np.isnan(usual_price)]
    if not len(known):
        return np.zeros(len(usual_price), np.int8)
    borders = np.quantile(known, np.arange(1, PRICES - 1) / (PRICES - 1), method="inverted_cdf")
    classes = 1 + np.searchsorted(borders, usual_price, side="left")
    return np.where(np.isnan(usual_price), 0, classes).astype(np.int8)


def _codes(names: list[str | None]) -> np.ndarray:
    number = {name: code for code, name in enumerate(sorted({name for name in names if name}), start=1)}
    return np.array([0, *(number[name] if name else 0 for name in names)], np.int32)


def _paths(paths: list[list[str]]) -> np.ndarray:
    levels = [[tuple(path[: level + 1]) if len(path) > level else None for path in paths] for level in range(PATH)]
    columns = []
    for column in levels:
        number = {cut: code for code, cut in enumerate(sorted({cut for cut in column if cut}), start=1)}
        columns.append([0, *(number[cut] if cut else 0 for cut in column)])
    return np.array(columns, np.int32).T


def _texts(items: pa.Table) -> np.ndarray:
    said = zip(items["title"].to_pylist(), items["text"].to_pylist(), strict=True)
    rows = [tokens(" ".join(filter(None, parts)), count=WORDS) for parts in said]
    return np.array([(0,) * WORDS, *rows], np.int16)
