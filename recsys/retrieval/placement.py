"""Where an item that training never saw lies among those that it did, by what is said of it.

Item vectors are explained as a sum: what all share, and an effect of every level of the category path, of the brand,
of the price class and of the words of title and text. Effects are fitted one kind after the other to what the others
leave, several times over, each drawn towards nothing where few items have it: backfitting (Friedman & Stuetzle,
"Projection pursuit regression", JASA 1981) with the shrinkage of random effects (Robinson, "That BLUP is a good thing",
Statistical Science 1991).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from recsys.catalogue import Catalogue
from recsys.feature.item import NEVER, ItemCodes, ItemFacts

_ROUNDS = 3
_SHRINKAGE = 2.0
"""An effect counts as if so many more items had shown none."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of fact: its codes of each item [N, F], 0 for none; an item's effect is the mean over its codes."""

    code: np.ndarray

    def effect(self, table: np.ndarray) -> np.ndarray:
        """The items' effects [N, D], given those of the codes [C, D]; a code beyond them says nothing."""
        code = np.where(self.code < len(table), self.code, 0)
        total = np.zeros((len(code), table.shape[1]), np.float32)
        for column in code.T:
            total += table[column]
        effect: np.ndarray = total / self._said(code)[:, None]
        return effect

    def fitted(self, rest: np.ndarray) -> np.ndarray:
        """Effects of the codes [C, D] on what is left [N, D]: shrunken means."""
        codes = int(self.code.max(initial=0)) + 1
        total, count = np.zeros((codes, rest.shape[1]), np.float32), np.zeros(codes, np.float32)
        for column in self.code.T:
            order = np.argsort(column, kind="stable")
            first = np.flatnonzero(np.diff(column[order], prepend=-1))
            if len(first):
                total[column[order][first]] += np.add.reduceat(rest[order], first, axis=0)
            count += np.bincount(column, minlength=codes).astype(np.float32)
        total[0] = 0
        shrunken: np.ndarray = total / (count + _SHRINKAGE)[:, None]
        return shrunken

    @staticmethod
    def _said(code: np.ndarray) -> np.ndarray:
        said: np.ndarray = np.maximum((code > 0).sum(1), 1).astype(np.float32)
        return said


class Placement:
    """Vectors of items by their content; fitted when the first one is asked for (a second for 100,000 items).

    Args:
        catalogue: the items that training saw.
        vectors: theirs [V, D].
    """

    def __init__(self, catalogue: Catalogue, vectors: np.ndarray) -> None:
        self._catalogue = catalogue
        self._vectors = vectors

    def of(self, items: pa.Table) -> np.ndarray:
        """Vectors [N, D] float32 of items, by `ITEM_SCHEMA`; facts that no known item has say nothing."""
        mean, tables, codes = self._fitted
        placed = np.repeat(mean[None], len(items), axis=0)
        for kind, table in zip(_kinds(_facts(items, codes)), tables, strict=True):
            placed += kind.effect(table)
        return placed

    @cached_property
    def _fitted(self) -> tuple[np.ndarray, list[np.ndarray], ItemCodes]:
        """The mean, the effects of every kind's codes, and what the codes mean."""
        items = self._catalogue.items
        facts = _facts(items, None)
        kinds, vectors = _kinds(facts), self._vectors[1:].astype(np.float32)
        mean = vectors.mean(0)
        rest = vectors - mean
        tables: list[np.ndarray | None] = [None] * len(kinds)
        for _ in range(_ROUNDS):
            for place, kind in enumerate(kinds):
                if (known := tables[place]) is not None:
                    rest += kind.effect(known)
                tables[place] = fresh = kind.fitted(rest)
                rest -= kind.effect(fresh)
        return mean, [table for table in tables if table is not None], ItemCodes.of(items, facts, _prices(items))


def _facts(items: pa.Table, codes: ItemCodes | None) -> ItemFacts:
    unseen = np.full(len(items) + 1, NEVER)
    return ItemFacts.learn(items, usual_price=_prices(items), first_seen=unseen, after=codes)


def _prices(items: pa.Table) -> np.ndarray:
    """Prices of every index [V], NaN where unknown."""
    return np.concatenate([[np.nan], items["price"].to_numpy().astype(np.float64)])


def _kinds(facts: ItemFacts) -> list[_Kind]:
    """What is known of the items [N] but index 0."""
    columns = [*facts.path.T, facts.brand, facts.price]
    return [*(_Kind(column[1:, None].astype(np.int64)) for column in columns), _Kind(facts.text[1:].astype(np.int64))]
