"""Item ids on the outside, small integers on the inside.

Index 0 is padding and "unknown item"; real items start at 1. This is said here and nowhere else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import DataError, UnknownItemError
from recsys.event import ITEM_SCHEMA

UNKNOWN = 0


@dataclass(frozen=True, slots=True)
class Item:
    """What a shopper is shown of an item."""

    item_id: str
    title: str
    category: tuple[str, ...]
    brand: str | None
    price: float | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items a model knows, in a fixed order.

    `items` follows `ITEM_SCHEMA`; its row r has index r + 1. `size` counts index 0 too, so it is the V of every
    shape in the docstrings.
    """

    items: pa.Table
    _index: dict[str, int] = field(init=False, repr=False)
    _ids: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids = tuple(self.items["item_id"].to_pylist())
        index = {item_id: row + 1 for row, item_id in enumerate(ids)}
        if len(index) != len(ids):
            raise DataError(f"{len(ids) - len(index)} item ids occur twice in the catalogue; give each item one row")
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def of_table(cls, items: pa.Table, known: Iterable[str], *, after: "Catalogue | None" = None) -> "Catalogue":
        """The items of `known`, sorted by id so that the order never depends on the log's; others are left out.

        The items of a catalogue `after` which they come keep their places, and their rows where `items` has none.
        """
        kept = [] if after is None else list(after._ids)
        if after is not None:
            gone = pc.invert(pc.is_in(after.items["item_id"], items["item_id"].combine_chunks()))
            items = pa.concat_tables([items.cast(ITEM_SCHEMA), after.items.filter(gone)])
        wanted = pa.array([*kept, *sorted(set(known).difference(kept))], pa.string())
        rows = pc.index_in(wanted, items["item_id"].combine_chunks())
        missing = wanted.filter(pc.is_null(rows))
        if len(missing):
            raise DataError(
                f"{len(missing)} items have events but no catalogue row, the first is {missing[0].as_py()!r}"
            )
        return cls(items.take(rows).cast(ITEM_SCHEMA))

    @property
    def size(self) -> int:
        """V: the number of items plus one for index 0."""
        return len(self._ids) + 1

    def index_of(self, item_id: str | None) -> int:
        """The index of an id; 0 if the catalogue does not hold it."""
        return self._index.get(item_id, UNKNOWN) if item_id is not None else UNKNOWN

    def indices(self, item_ids: Sequence[str | None]) -> np.ndarray:
        """Indices [N] int32 of a few ids; 0 where unknown or None."""
        found = map(self._index.get, item_ids, repeat(UNKNOWN))  # type: ignore[arg-type] # None is no key
        return np.fromiter(found, np.int32, len(item_ids))

    def indices_of(self, item_ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Indices [N] int64 of a column of ids; 0 where unknown or null."""
        column = item_ids.combine_chunks() if isinstance(item_ids, pa.ChunkedArray) else item_ids
        found = pc.index_in(column, self.items["item_id"].combine_chunks())
        return np.asarray(pc.fill_null(pc.add(pc.cast(found, pa.int64()), 1), UNKNOWN))

    def id_of(self, index: int) -> str:
        """The id at an index; index 0 or beyond the end raises UnknownItemError."""
        if not 0 < index <= len(self._ids):
            raise UnknownItemError(f"index {index} is outside 1..{len(self._ids)}")
        return self._ids[index - 1]

    def item(self, index: int) -> Item:
        """The item at an index, for showing."""
        item_id = self.id_of(index)
        row = index - 1
        return Item(
            item_id=item_id,
            title=self.items["title"][row].as_py(),
            category=tuple(self.items["category"][row].as_py()),
            brand=self.items["brand"][row].as_py(),
            price=self.items["price"][row].as_py(),
        )

    def title(self, index: int) -> str:
        """The title of the item at an index."""
        self.id_of(index)
        return str(self.items["title"][index - 1].as_py())

    def categories(self, depth: int) -> tuple[np.ndarray, Sequence[str]]:
        """Category of every index, [V] int64, cut at `depth` levels, and the names; 0 means none."""
        paths = [" > ".join(path[:depth]) for path in self.items["category"].to_pylist()]
        names = sorted({path for path in paths if path})
        number = {name: position + 1 for position, name in enumerate(names)}
        return np.array([0, *(number.get(path, 0) for path in paths)], np.int64), ("", *names)
