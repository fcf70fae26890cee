"""What is known of every item before the cut-off, as small numbers: category path, brand, price, age, text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

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

Name = TypeVar("Name", str, tuple[str, ...])

_AGE_BORDERS = DAY * (2 ** np.arange(1, AGES - 1, dtype=np.int64) - 1)


Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemCodes:
    """Which code means what.

    Attributes:
        path: code of every path cut at each level, `PATH` mappings.
        brand: code of every brand.
        price_borders: highest price of every class but the last, ascending; None where classes are still to be made.
    """

    path: Sequence[Mapping[Path, int]] = ({},) * PATH
    brand: Mapping[str, int] = field(default_factory=dict)
    price_borders: np.ndarray | None = None

    @classmethod
    def of(cls, items: pa.Table, facts: "ItemFacts", usual_price: np.ndarray) -> "ItemCodes":
        """What the codes in `facts` [V] mean, told by the rows they were made from; see `ItemFacts.learn`."""
        paths, brands = items["category"].to_pylist(), items["brand"].to_pylist()
        known = facts.price > 0
        highest = np.full(PRICES - 1, -np.inf)
        np.maximum.at(highest, facts.price[known].astype(np.int64) - 1, usual_price[known])
        return cls(
            path=[
                {tuple(path[: level + 1]): code for path, code in zip(paths, codes.tolist(), strict=True) if code}
                for level, codes in enumerate(facts.path[1:].T)
            ],
            brand={brand: code for brand, code in zip(brands, facts.brand[1:].tolist(), strict=True) if code},
            price_borders=np.maximum.accumulate(highest)[:-1] if known.any() else None,
        )


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
    def learn(
        cls,
        items: pa.Table,
        *,
        usual_price: np.ndarray,
        first_seen: np.ndarray,
        after: "ItemCodes | None" = None,
    ) -> "ItemFacts":
        """From the catalogue's rows and from events, all as known before the cut-off.

        Args:
            items: one row for each index from 1 on, by `ITEM_SCHEMA`.
            usual_price: of every index [V], NaN where unknown; see `UsualPrices`.
            first_seen: instant of the first event with each index [V], `NEVER` where there is none.
            after: codes given before, which stay; new names come after them.
        """
        created = pc.fill_null(items["created_at"].cast(pa.int64()), NEVER).to_numpy()
        after = after or ItemCodes()
        return cls(
            path=_paths(items["category"].to_pylist(), after.path),
            brand=_codes(items["brand"].to_pylist(), after.brand),
            price=price_classes(usual_price, after.price_borders),
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


def price_classes(usual_price: np.ndarray, borders: np.ndarray | None = None) -> np.ndarray:
    """Class 0..PRICES-1 of usual prices [V] int8; NaN is unknown. Without `borders` of before, classes are as large as
    each other."""
    known = usual_price[~np.isnan(usual_price)]
    if not len(known):
        return np.zeros(len(usual_price), np.int8)
    if borders is None:
        borders = np.quantile(known, np.arange(1, PRICES - 1) / (PRICES - 1), method="inverted_cdf")
    classes = 1 + np.searchsorted(borders, usual_price, side="left")
    return np.where(np.isnan(usual_price), 0, classes).astype(np.int8)


def _codes(names: Sequence[Name | None], known: Mapping[Name, int]) -> np.ndarray:
    """Codes [V] of the names of all indices but 0: the `known` ones, then new ones in order."""
    fresh = sorted({name for name in names if name}.difference(known))
    first = max(known.values(), default=0) + 1
    number: dict[Name, int] = {**known, **{name: first + place for place, name in enumerate(fresh)}}
    return np.array([0, *(number[name] if name else 0 for name in names)], np.int32)


def _paths(paths: list[list[str]], known: Sequence[Mapping[Path, int]]) -> np.ndarray:
    levels = [[tuple(path[: level + 1]) if len(path) > level else None for path in paths] for level in range(PATH)]
    return np.stack([_codes(cut, codes) for cut, codes in zip(levels, known, strict=True)], axis=1)


def _texts(items: pa.Table) -> np.ndarray:
    said = zip(items["title"].to_pylist(), items["text"].to_pylist(), strict=True)
    rows = [tokens(" ".join(filter(None, parts)), count=WORDS) for parts in said]
    return np.array([(0,) * WORDS, *rows], np.int16)
