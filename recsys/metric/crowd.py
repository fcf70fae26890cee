"""What the crowd had taken before the questions, item by item: what beyond-accuracy metrics and slices go by."""

from dataclasses import dataclass

import numpy as np

from recsys.catalogue import Catalogue
from recsys.sequence.histories import Histories

LEVELS = 3
"""How many levels of a category path are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The V items of a catalogue (index 0 included) as the encoder's training saw them.

    Attributes:
        taken: events of each index that were learnt from [V] int64; 0 is a cold item.
        takers: distinct shoppers of those events [V] int64.
        shoppers: distinct shoppers in all.
        path: number of the category path of each index, cut at 1, 2, ... levels, [V, LEVELS]; 0 where there is none.
    """

    taken: np.ndarray
    takers: np.ndarray
    shoppers: int
    path: np.ndarray

    @classmethod
    def of(cls, histories: Histories, *, until: np.ndarray, catalogue: Catalogue) -> "Crowd":
        """Counted from the interactions of each sequence that are earlier than its own `until` [S]; each event once."""
        events, owner = histories.events, histories.owner()
        learnt = histories.is_interaction() & histories.own() & (events.time < until[owner])
        item, shopper = events.item[learnt].astype(np.int64), histories.shopper_number()[owner[learnt]]
        pairs = _distinct(shopper * catalogue.size + item)
        return cls(
            taken=np.bincount(item, minlength=catalogue.size),
            takers=np.bincount(pairs % catalogue.size, minlength=catalogue.size),
            shoppers=len(_distinct(shopper)),
            path=_paths(catalogue),
        )


def _distinct(number: np.ndarray) -> np.ndarray:
    """Distinct numbers, ascending; by sorting, which is many times faster than NumPy's hashing."""
    number = np.sort(number)
    first: np.ndarray = np.diff(number, prepend=-1) != 0
    return np.asarray(number[first])


def _paths(catalogue: Catalogue) -> np.ndarray:
    """Numbers of every index's category path, cut at 1, 2, ... levels, [V, LEVELS]; a short path ends in itself."""
    number: dict[tuple[int, str], int] = {}
    path = np.zeros((catalogue.size, LEVELS), np.int64)
    for index, names in enumerate(catalogue.items["category"].to_pylist(), start=1):
        above = 0
        for level, name in enumerate(names[:LEVELS]):
            above = number.setdefault((above, name), len(number) + 1)
            path[index, level:] = above
    return path
