"""Which items may be found: a filter's outcome, made ready for whichever way of searching is cheapest."""

from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np


class Allowed:
    """Items that a search may return; never altered. Indices beyond the mask are not allowed.

    Args:
        mask: of every catalogue index [V] bool; False at index 0, padding.
        bits: the same eight to a byte, the lowest bit first [ceil(V / 8)] uint8, where they are known already.
        count: how many items there are, likewise.
    """

    def __init__(self, mask: np.ndarray, *, bits: np.ndarray | None = None, count: int | None = None) -> None:
        self.mask = mask
        self._bits, self._count = bits, count
        self.kept: WeakKeyDictionary[object, np.ndarray] = WeakKeyDictionary()

    @cached_property
    def rows(self) -> np.ndarray:
        """The items [N] int64, ascending."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> np.ndarray:
        """The mask as FAISS reads it."""
        return np.packbits(self.mask, bitorder="little") if self._bits is None else self._bits

    @cached_property
    def count(self) -> int:
        """How many items there are."""
        return int(np.count_nonzero(self.mask)) if self._count is None else self._count

    def at(self, items: np.ndarray) -> np.ndarray:
        """Whether each of `items` [N] is allowed."""
        inside: np.ndarray = self.mask[np.minimum(items, len(self.mask) - 1)] & (items < len(self.mask))
        return inside

    def below(self, size: int) -> np.ndarray:
        """The items that have an index below `size`, ascending."""
        return self.rows[: np.searchsorted(self.rows, size)]
