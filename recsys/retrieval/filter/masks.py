"""Filters -> bitmaps over the catalogue, and the latest of them kept up to date."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from recsys.retrieval.filter.columns import ItemColumns
from recsys.retrieval.filter.expression import Filter
from recsys.retrieval.filter.growing import ALL, set_bits


@dataclass(frozen=True, slots=True)
class Mask:
    """The items that a filter matched; arrays must not be written to.

    Attributes:
        version: of the columns it was made from.
        matches: whether each index is matched [V] bool; index 0 and deleted items never are.
        bits: the same as FAISS's `IDSelectorBitmap` reads it, [ceil(V / 8)] uint8: index i is bit i % 8, counted from
            the least significant ("little"), of byte i // 8.
        count: how many are matched.
    """

    version: int
    matches: np.ndarray
    bits: np.ndarray
    count: int

    @classmethod
    def of(cls, matches: np.ndarray, version: int) -> "Mask":
        """From whether each index is matched [V] bool."""
        return cls(version, matches, np.packbits(matches, bitorder="little"), int(np.count_nonzero(matches)))

    def items(self) -> np.ndarray:
        """The matched indices, ascending, int64."""
        return np.flatnonzero(self.matches)


def mask(filter_: Filter, columns: ItemColumns) -> Mask:
    """Compile a filter: read every item."""
    with columns.lock:
        matches = columns.alive[ALL] & filter_.matches(columns, ALL)
        return Mask.of(matches, columns.version)


class Masks:
    """Compiled filters of one catalogue, the latest `keep` of them. May be asked by many threads.

    A mask that is of an older version is brought up to date by asking again about the items that changed since, which
    takes microseconds where few did; so a stream of changes does not make every search read the catalogue anew.
    Memory: 9/8 bytes per item and kept mask.
    """

    def __init__(self, columns: ItemColumns, *, keep: int = 32) -> None:
        self._columns = columns
        self._keep = keep
        self._kept: OrderedDict[Filter, Mask] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, filter_: Filter) -> Mask:
        """The items that the filter matches now: every change that was finished before this call is in it."""
        with self._lock:
            known = self._kept.get(filter_)
            if known is not None:
                self._kept.move_to_end(filter_)
        if known is not None and known.version == self._columns.version:
            return known
        found = mask(filter_, self._columns) if known is None else self._renewed(filter_, known)
        with self._lock:
            newest = self._kept.get(filter_)
            if newest is None or newest.version < found.version:
                self._kept[filter_] = found
            self._kept.move_to_end(filter_)
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return found

    def _renewed(self, filter_: Filter, known: Mask) -> Mask:
        columns = self._columns
        with columns.lock:
            rows = columns.changed_since(known.version)
            if rows is None:
                return mask(filter_, columns)
            version, size = columns.version, columns.size
            now = columns.alive[rows] & filter_.matches(columns, rows)
        matches, bits = _longer(known.matches, size), _longer(known.bits, -(-size // 8))
        before = matches[rows]
        matches[rows] = now
        set_bits(bits, rows, now)
        return Mask(version, matches, bits, known.count + int(np.count_nonzero(now)) - int(np.count_nonzero(before)))


def _longer(array: np.ndarray, size: int) -> np.ndarray:
    """A copy with zeros added up to `size`."""
    longer = np.zeros(size, array.dtype)
    longer[: len(array)] = array
    return longer
