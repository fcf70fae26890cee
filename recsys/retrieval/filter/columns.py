"""What filters ask of items, in columns that many threads read while others change them."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.catalogue import UNKNOWN, Catalogue
from recsys.errors import DataError
from recsys.retrieval.filter.attribute import AttributeColumn, AttributeValue, attribute_text
from recsys.retrieval.filter.column import SEPARATOR, NameColumn, PathColumn, Place
from recsys.retrieval.filter.entries import map_entries
from recsys.retrieval.filter.growing import Growing, Rows

T = TypeVar("T")

_REMEMBERED = 100_000
"""So many changed rows are remembered; who is further behind reads everything again."""


class Grows(Protocol):
    """A column that becomes longer."""

    def grow(self, size: int) -> None:
        """Make it `size` long."""
        ...


class ItemColumns:
    """The items of a catalogue by index (index 0 is padding and matches nothing), alive.

    Changes and readings exclude each other by one lock that is held for the time of a single call (or of a `with`
    around several), so a reading sees every change whole or not at all, and sees the items of one `version`. A version
    is a whole number that grows with every change.

    Args:
        catalogue: where the items begin.
        attributes: names of the attributes that can be asked for; None takes all that come.
    """

    def __init__(self, catalogue: Catalogue, *, attributes: Sequence[str] | None = None) -> None:
        size = catalogue.size
        self.size = size
        self.version = 0
        self.lock = threading.RLock()
        self.alive = Growing(bool, size=size, fill=False)
        self.available = Growing(bool, size=size, fill=False)
        self.price = Growing(np.float32, size=size, fill=np.nan)
        self.brand = NameColumn(size)
        self.category = PathColumn(size)
        self.attributes: dict[str, AttributeColumn] = {}
        self.places: dict[str, Place] = {}
        self._asked = None if attributes is None else frozenset(attributes)
        self._catalogue = catalogue
        self._later: dict[str, int] = {}
        self._changes: deque[tuple[int, np.ndarray]] = deque()
        self._remembered = self._remembered_from = 0
        self._changing: list[np.ndarray] | None = None
        self._write(np.arange(1, size), catalogue.items)

    def index_of(self, item_id: str) -> int:
        """The index of an item, deleted ones too; 0 if there never was one."""
        return self._catalogue.index_of(item_id) or self._later.get(item_id, UNKNOWN)

    def among(self, item_ids: Sequence[str], rows: Rows) -> np.ndarray:
        """Which of `rows` are one of these items."""
        wanted = np.array([index for item_id in item_ids if (index := self.index_of(item_id))], np.int64)
        if not isinstance(rows, slice):
            return np.isin(rows, wanted)
        found = np.zeros(self.size, bool)
        found[wanted] = True
        return found

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All changes made within are one: one version, and no reading in between."""
        with self.lock:
            if self._changing is not None:
                yield
                return
            self._changing = []
            try:
                yield
            finally:
                changed, self._changing = self._changing, None
                if changed:
                    self._remember(np.unique(np.concatenate(changed)))

    def put(self, items: pa.Table) -> np.ndarray:
        """Write whole items, by `ITEM_SCHEMA`: known ids are replaced where they stand, deleted ones live again, new
        ones get the next indices, in the order given. What was said of single stores is forgotten. Returns the
        indices [N]; an id that occurs twice raises DataError."""
        ids = items["item_id"].to_pylist()
        if len(set(ids)) < len(ids):
            raise DataError(f"{len(ids) - len(set(ids))} item ids occur twice in one change; give each item one row")
        with self.changing():
            for item_id in ids:
                if not self.index_of(item_id):
                    self._later[item_id] = self._catalogue.size + len(self._later)
            rows = np.array([self.index_of(item_id) for item_id in ids], np.int64)
            self._grow(self._catalogue.size + len(self._later))
            self._write(rows, items)
            self._touched(rows)
        return rows

    def update(
        self,
        rows: np.ndarray,
        *,
        price: np.ndarray | None = None,
        available: np.ndarray | None = None,
        brand: Sequence[str | None] | None = None,
        category: Sequence[Sequence[str]] | None = None,
        attributes: Sequence[Mapping[str, AttributeValue | None]] | None = None,
        available_in: Sequence[Mapping[str, bool | None]] | None = None,
    ) -> None:
        """Change parts of the items `rows` [N]; each argument has N entries, one that is None changes nothing.

        An attribute or place that is not named stays as it is; one with None is forgotten. A NaN price is unknown. Of
        a row that comes twice the last entry counts. Rows beyond the end, and index 0, raise DataError.
        """
        rows = self._existing(rows)
        texts = _by_name([_stored(entry, self._asked) for entry in attributes or ()])
        told = _by_name(available_in or ())
        with self.changing():
            if price is not None:
                self.price[rows] = price
            if available is not None:
                self.available[rows] = available
            if brand is not None:
                self.brand.set(rows, brand)
            if category is not None:
                self.category.set(rows, [SEPARATOR.join(path) for path in category])
            for name, (at, values) in texts.items():
                self._attribute(name).set(rows[at], values)
            for name, (at, said) in told.items():
                known = np.array([value is not None for value in said])
                self._place(name).set(rows[at], np.array(said, bool), known)
            self._touched(rows)

    def delete(self, rows: np.ndarray) -> None:
        """Take the items `rows` [N] away: no filter matches them, until `put` brings them back."""
        rows = self._existing(rows)
        with self.changing():
            self.alive[rows] = False
            self._touched(rows)

    def changed_since(self, version: int) -> np.ndarray | None:
        """The indices changed after `version`, ascending; None where that is too long ago to be known."""
        with self.lock:
            if version < self._remembered_from:
                return None
            later = [rows for _, rows in takewhile(lambda change: change[0] > version, reversed(self._changes))]
        return np.unique(np.concatenate([np.empty(0, np.int64), *later]))

    def _grow(self, size: int) -> None:
        if size == self.size:
            return
        fixed: list[Grows] = [self.alive, self.available, self.price, self.brand, self.category]
        for column in [*fixed, *self.attributes.values(), *self.places.values()]:
            column.grow(size)
        self.size = size

    def _write(self, rows: np.ndarray, items: pa.Table) -> None:
        paths = pc.binary_join(items["category"].combine_chunks(), SEPARATOR)
        self.category.set(rows, paths)
        self.brand.set(rows, items["brand"].combine_chunks())
        self.price[rows] = pc.cast(items["price"], pa.float32()).to_numpy()
        self.available[rows] = items["available"].to_numpy()
        entries = map_entries(items["attributes"])
        for column in self.attributes.values():
            column.set(rows, pa.nulls(len(rows), pa.string()))
        for name, (at, texts) in entries.items():
            if self._asked is None or name in self._asked:
                self._attribute(name).set(rows[at], texts)
        nothing = np.zeros(len(rows), bool)
        for place in self.places.values():
            place.set(rows, nothing, nothing)
        self.alive[rows] = True

    def _attribute(self, name: str) -> AttributeColumn:
        return self.attributes.setdefault(name, AttributeColumn(self.size))

    def _place(self, name: str) -> Place:
        return self.places.setdefault(name, Place(self.size))

    def _existing(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows, np.int64)
        if len(wrong := rows[(rows < 1) | (rows >= self.size)]):
            raise DataError(f"there is no item at index {wrong[0]}; indices go from 1 to {self.size - 1}")
        return rows

    def _touched(self, rows: np.ndarray) -> None:
        if self._changing is not None:
            self._changing.append(rows)

    def _remember(self, rows: np.ndarray) -> None:
        self._changes.append((self.version + 1, rows))
        self._remembered += len(rows)
        while self._remembered > _REMEMBERED:
            self._remembered_from, forgotten = self._changes.popleft()
            self._remembered -= len(forgotten)
        self.version += 1


def _stored(entry: Mapping[str, AttributeValue | None], asked: frozenset[str] | None) -> dict[str, str | None]:
    """Attributes as texts; those that nobody can ask for are left out."""
    return {
        name: None if value is None else attribute_text(value)
        for name, value in entry.items()
        if asked is None or name in asked
    }


def _by_name(rows: Sequence[Mapping[str, T]]) -> dict[str, tuple[list[int], list[T]]]:
    """What each name is given, and to which of the rows."""
    found: dict[str, tuple[list[int], list[T]]] = {}
    for place, row in enumerate(rows):
        for name, value in row.items():
            at, values = found.setdefault(name, ([], []))
            at.append(place)
            values.append(value)
    return found
