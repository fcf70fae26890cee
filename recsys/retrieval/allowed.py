"""Which items may be found: a filter's outcome, made ready for whichever way of searching is cheapest."""

from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np


class Allowed:
    """Items that a search may return. Made once per compiled filter and used for many searches; never altered.

    Args:
        mask: of every catalogue index [V] bool; index 0, padding, is left out whatever it says.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask.copy()
        self.mask[0] = False
        self.mask.flags.writeable = False
        self._upto: Allowed | None = None
        self.kept: WeakKeyDictionary[object, np.ndarray] = WeakKeyDictionary()

    @cached_property
    def rows(self) -> np.ndarray:
        """The items [N] int64, ascending."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> np.ndarray:
        """The mask eight to a byte, the lowest bit first [ceil(V / 8)] uint8."""
        return np.packbits(self.mask, bitorder="little")

    @cached_property
    def count(self) -> int:
        """How many items there are."""
        return int(np.count_nonzero(self.mask))

    def upto(self, size: int) -> "Allowed":
        """The same of the first `size` indices alone; remembered. Indices beyond the mask are not allowed."""
        if size == len(self.mask):
            return self
        if self._upto is None or len(self._upto.mask) != size:
            mask = np.zeros(size, bool)
            mask[: len(self.mask)] = self.mask[:size]
            self._upto = Allowed(mask)
        return self._upto

    def __len__(self) -> int:
        return self.count
