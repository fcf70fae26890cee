"""Arrays that grow by doubling, and names that get small numbers as they come."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Rows = slice | np.ndarray
"""Catalogue indices: `ALL` of them, or an array [N] int64."""

ALL = slice(None)
_FEW = 16
"""So many comparisons of a whole column are faster than one look-up in a table."""


class Growing:
    """A column of one value per index; new rows hold `fill` until they are set."""

    __slots__ = ("_fill", "_room", "size")

    def __init__(self, dtype: Any, *, size: int, fill: Any = 0) -> None:
        self._fill = fill
        self._room = np.full(size, fill, dtype)
        self.size = size

    def grow(self, size: int) -> None:
        """Make it `size` long; the capacity at least doubles when it does not suffice."""
        if size > len(self._room):
            room = np.full(max(size, 2 * len(self._room)), self._fill, self._room.dtype)
            room[: self.size] = self._room[: self.size]
            self._room = room
        self.size = size

    def __getitem__(self, rows: Rows) -> np.ndarray:
        values: np.ndarray = self._room[: self.size][rows]
        return values

    def __setitem__(self, rows: Rows, values: Any) -> None:
        self._room[: self.size][rows] = values


class Names:
    """Numbers of names, from 1 in the order in which they first come; 0 is "none". A name is never forgotten."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._number)

    def find(self, name: str) -> int | None:
        """The number of a name; None if it never came."""
        return self._number.get(name)

    def number(self, name: str | None) -> int:
        """The number of a name, a new one if it is new; 0 for None."""
        return 0 if name is None else self._number.setdefault(name, len(self._number) + 1)


def distinct(texts: Sequence[str | None] | pa.Array) -> tuple[list[str | None], np.ndarray]:
    """The distinct texts of a column [N], and the place of each row's among them [N] int64; null is one of them."""
    column = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    coded = pc.dictionary_encode(column, null_encoding="encode")
    return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)


def among(codes: np.ndarray, wanted: Sequence[int], count: int) -> np.ndarray:
    """Which of `codes` [N] are one of `wanted`; all are below `count`."""
    if len(wanted) > _FEW:
        table = np.zeros(count, bool)
        table[list(wanted)] = True
        looked_up: np.ndarray = table[codes]
        return looked_up
    found = np.zeros(len(codes), bool)
    for code in wanted:
        found |= codes == code
    return found


def unpacked(bits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The bits of `rows` [N] as bool; bit i is bit i % 8, counted from the least significant, of byte i // 8."""
    values: np.ndarray = (bits[rows >> 3] >> (rows & 7).astype(np.uint8) & 1).astype(bool)
    return values


def set_bits(bits: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """Write `values` [N] bool to the bits of `rows` [N]; of a row that comes twice the last value counts."""
    rows, last = np.unique(rows[::-1], return_index=True)
    values = values[::-1][last]
    single = np.left_shift(1, rows & 7).astype(np.uint8)
    np.bitwise_or.at(bits, rows[values] >> 3, single[values])
    np.bitwise_and.at(bits, rows[~values] >> 3, ~single[~values])
