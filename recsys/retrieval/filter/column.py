"""Columns of items that a filter asks: names, category paths, and what is available where."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from recsys.retrieval.filter.growing import Growing, Names, Rows, among, distinct, set_bits, unpacked

SEPARATOR = " > "
"""Between the levels of a category's path."""
DEEPEST = 16
"""Levels of a category; what lies deeper counts as lying at this level."""


class NameColumn:
    """One name of every item, or none."""

    __slots__ = ("_code", "_names")

    def __init__(self, size: int) -> None:
        self._code = Growing(np.int32, size=size)
        self._names = Names()

    def grow(self, size: int) -> None:
        """Make it `size` long."""
        self._code.grow(size)

    def set(self, rows: Rows, names: Sequence[str | None] | pa.Array) -> None:
        """Write the names [N] of `rows`; None is none."""
        found, place = distinct(names)
        self._code[rows] = np.array([self._names.number(name) for name in found], np.int32)[place]

    def among(self, names: Sequence[str], rows: Rows) -> np.ndarray:
        """Which items have one of `names`."""
        wanted = [code for name in names if (code := self._names.find(name)) is not None]
        return among(self._code[rows], wanted, len(self._names) + 1)


class PathColumn:
    """One category of every item, or none: for every level a code of the path down to it.

    Whether an item lies below a path is thereby one comparison of integers, whatever categories come later.
    """

    __slots__ = ("_levels", "_names", "_size")

    def __init__(self, size: int) -> None:
        self._levels: list[Growing] = []
        self._names = Names()
        self._size = size

    def grow(self, size: int) -> None:
        """Make it `size` long."""
        self._size = size
        for level in self._levels:
            level.grow(size)

    def set(self, rows: Rows, paths: Sequence[str | None] | pa.Array) -> None:
        """Write the paths [N] of `rows`, levels joined by `SEPARATOR`; None and the empty text are none."""
        found, place = distinct(paths)
        codes = [self._codes(path) for path in found]
        while len(self._levels) < max(map(len, codes), default=0):
            self._levels.append(Growing(np.int32, size=self._size))
        for depth, level in enumerate(self._levels):
            level[rows] = np.array([path[depth] if depth < len(path) else 0 for path in codes], np.int32)[place]

    def under(self, paths: Sequence[str], rows: Rows) -> np.ndarray:
        """Which items lie in one of `paths` or below it."""
        wanted: defaultdict[int, list[int]] = defaultdict(list)
        for path in paths:
            if (code := self._names.find(path)) is not None:
                wanted[path.count(SEPARATOR)].append(code)
        found = np.zeros(len(np.empty(self._size, bool)[rows]), bool)
        for depth, codes in wanted.items():
            found |= among(self._levels[depth][rows], codes, len(self._names) + 1)
        return found

    def _codes(self, path: str | None) -> list[int]:
        """Codes of the path's prefixes, from the widest."""
        names = path.split(SEPARATOR)[:DEEPEST] if path else []
        return [self._names.number(SEPARATOR.join(names[: depth + 1])) for depth in range(len(names))]


class Place:
    """Whether each item can be bought in one store or market, where that was said: two bits an item."""

    __slots__ = ("_told", "_yes")

    def __init__(self, size: int) -> None:
        self._told, self._yes = (Growing(np.uint8, size=-(-size // 8)) for _ in range(2))

    def grow(self, size: int) -> None:
        """Make it `size` long."""
        self._told.grow(-(-size // 8))
        self._yes.grow(-(-size // 8))

    def set(self, rows: np.ndarray, available: np.ndarray, told: np.ndarray) -> None:
        """Write for `rows` [N] what is `told` [N] bool; where it is false nothing is known any more."""
        set_bits(self._told[:], rows, told)
        set_bits(self._yes[:], rows, available & told)

    def available(self, otherwise: np.ndarray, rows: Rows) -> np.ndarray:
        """Which items can be bought here; `otherwise` [N] holds where nothing was said of this place."""
        told, yes = (self._bits(bits, rows, len(otherwise)) for bits in (self._told, self._yes))
        found: np.ndarray = yes | (otherwise & ~told)
        return found

    def _bits(self, bits: Growing, rows: Rows, count: int) -> np.ndarray:
        if isinstance(rows, slice):  # always all of them
            return np.unpackbits(bits[:], count=count, bitorder="little").view(bool)
        return unpacked(bits[:], rows)
