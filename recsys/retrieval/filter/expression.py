"""Filters as values: each knows which rows it matches and how it is written."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.retrieval.filter.growing import Rows
from recsys.retrieval.filter.range import Range

if TYPE_CHECKING:
    from recsys.retrieval.filter.columns import ItemColumns


class Filter(ABC):
    """Something an item fulfils or not. Filters that are equal mean the same; `parse` and the functions below put
    them into the form in which those that are written differently are equal too."""

    __slots__ = ()

    @abstractmethod
    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        """Which of `rows` [N] fulfil it, [N] bool; a new array. Deleted items and index 0 are not sorted out."""
        ...

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What `parse` makes this filter from."""
        ...


@dataclass(frozen=True, slots=True)
class CategoryIn(Filter):
    """In one of these categories or below; levels are joined by " > "."""

    paths: tuple[str, ...]

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        return columns.category.under(self.paths, rows)

    def to_json(self) -> dict[str, Any]:
        return {"category": list(self.paths)}


@dataclass(frozen=True, slots=True)
class BrandIn(Filter):
    """Of one of these brands."""

    brands: tuple[str, ...]

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        return columns.brand.among(self.brands, rows)

    def to_json(self) -> dict[str, Any]:
        return {"brand": list(self.brands)}


@dataclass(frozen=True, slots=True)
class PriceIn(Filter):
    """With a known price within the range."""

    range: Range

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        return self.range.holds(columns.price[rows])

    def to_json(self) -> dict[str, Any]:
        return {"price": self.range.to_json()}


@dataclass(frozen=True, slots=True)
class Available(Filter):
    """Can be bought, or cannot."""

    wanted: bool

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        return columns.available[rows] ^ (not self.wanted)

    def to_json(self) -> dict[str, Any]:
        return {"available": self.wanted}


@dataclass(frozen=True, slots=True)
class AvailableIn(Filter):
    """Can be bought in one of these stores or markets; of which nothing was said, what holds of the item overall."""

    places: tuple[str, ...]

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        overall = columns.available[rows]
        found = np.zeros(len(overall), bool)
        for name in self.places:
            place = columns.places.get(name)
            found |= overall if place is None else place.available(overall, rows)
        return found

    def to_json(self) -> dict[str, Any]:
        return {"available_in": list(self.places)}


@dataclass(frozen=True, slots=True)
class AttributeIn(Filter):
    """One attribute is one of these texts (true and false are the texts that store them) or numbers."""

    name: str
    texts: tuple[str, ...]
    numbers: tuple[float, ...] = ()

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        column = columns.attributes.get(self.name)
        if column is None:
            return np.zeros(len(columns.alive[rows]), bool)
        return column.among(self.texts, self.numbers, rows)

    def to_json(self) -> dict[str, Any]:
        return {"attributes": {self.name: [*self.texts, *self.numbers]}}


@dataclass(frozen=True, slots=True)
class AttributeWithin(Filter):
    """One attribute is a number within the range."""

    name: str
    range: Range

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        column = columns.attributes.get(self.name)
        if column is None:
            return np.zeros(len(columns.alive[rows]), bool)
        return column.within(self.range, rows)

    def to_json(self) -> dict[str, Any]:
        return {"attributes": {self.name: self.range.to_json()}}


@dataclass(frozen=True, slots=True)
class ItemIn(Filter):
    """One of these items."""

    item_ids: tuple[str, ...]

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        return columns.among(self.item_ids, rows)

    def to_json(self) -> dict[str, Any]:
        return {"item_id": list(self.item_ids)}


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of the parts; without any, everything."""

    parts: tuple[Filter, ...] = ()

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        found = np.ones(len(columns.alive[rows]), bool)
        for part in self.parts:
            found &= part.matches(columns, rows)
        return found

    def to_json(self) -> dict[str, Any]:
        """One object as far as no field is needed twice; the rest in its "and". What is nested deepest stays on top,
        so that nothing comes to lie deeper than where it was read."""
        merged: dict[str, Any] = {}
        rest: list[dict[str, Any]] = []
        for written in sorted((part.to_json() for part in self.parts), key=_nesting, reverse=True):
            if not _merge(merged, written):
                rest.append(written)
        return merged | {"and": rest} if rest else merged


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one of the parts; without any, nothing."""

    parts: tuple[Filter, ...] = ()

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        found = np.zeros(len(columns.alive[rows]), bool)
        for part in self.parts:
            found |= part.matches(columns, rows)
        return found

    def to_json(self) -> dict[str, Any]:
        return {"or": [part.to_json() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """Not the part: exactly the other items, those too of which nothing is known."""

    part: Filter

    def matches(self, columns: "ItemColumns", rows: Rows) -> np.ndarray:
        return ~self.part.matches(columns, rows)

    def to_json(self) -> dict[str, Any]:
        return {"not": self.part.to_json()}


EVERYTHING = And()
NOTHING = Or()


def all_of(parts: Iterable[Filter]) -> Filter:
    """The filter of what fulfils all of the parts."""
    flat = _flat(parts, And)
    return flat[0] if len(flat) == 1 else And(flat)


def any_of(parts: Iterable[Filter]) -> Filter:
    """The filter of what fulfils at least one of the parts."""
    flat = _flat(parts, Or)
    return flat[0] if len(flat) == 1 else Or(flat)


def none_of(part: Filter) -> Filter:
    """The filter of what does not fulfil the part."""
    return part.part if isinstance(part, Not) else Not(part)


def _flat(parts: Iterable[Filter], kind: type[And] | type[Or]) -> tuple[Filter, ...]:
    """The parts, with those of parts of this kind in place of these; each once, in a fixed order."""
    found = {inner for part in parts for inner in (part.parts if isinstance(part, kind) else (part,))}
    return tuple(sorted(found, key=repr))


def _nesting(written: Mapping[str, Any]) -> int:
    """How many filters lie within each other."""
    below = [*written.get("and", ()), *written.get("or", ()), *([written["not"]] if "not" in written else ())]
    return 1 + max(map(_nesting, below), default=0)


def _merge(into: dict[str, Any], written: Mapping[str, Any]) -> bool:
    """Add a part's fields; False, and nothing is added, where one stands there already."""
    for field, value in written.items():
        if field not in into:
            into[field] = value
        elif field == "attributes" and not into[field].keys() & value.keys():
            into[field] = into[field] | value
        else:
            return False
    return True
