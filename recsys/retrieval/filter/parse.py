"""JSON values -> filters, and the JSON schema of what is accepted; both follow the one table of fields, `FIELDS`."""

import difflib
import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from recsys.errors import FilterError
from recsys.retrieval.filter.attribute import attribute_text
from recsys.retrieval.filter.column import DEEPEST, SEPARATOR
from recsys.retrieval.filter.expression import (
    AttributeIn,
    AttributeWithin,
    Available,
    AvailableIn,
    BrandIn,
    CategoryIn,
    Filter,
    ItemIn,
    PriceIn,
    all_of,
    any_of,
    none_of,
)
from recsys.retrieval.filter.range import BOUNDS, Range

MAX_DEPTH = 8
"""Filters within filters (and, or, not), the outermost included."""
MAX_NODES = 64
"""Conditions, and, or and not, all together."""
MAX_VALUES = 256
"""Values of one list."""
MAX_LENGTH = 256
"""Characters of one text."""

T = TypeVar("T")
Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}
_NUMBER: Schema = {"type": "number"}
_SHOWN = 60
_SHORT = reprlib.Repr()  # what is refused may be long, or nested without end
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 2, _SHOWN, _SHOWN, _SHOWN


def parse(value: object) -> Filter:
    """The filter that a JSON value (as `json.loads` gives it) describes.

    FilterError names the place in it as a JSON pointer (RFC 6901), what stands there and what may.
    """
    return _filter(value, _Place("", MAX_DEPTH, _Budget(MAX_NODES)))


def json_schema(reference: str = "#/$defs/Filter") -> Schema:
    """The JSON schema (2020-12, as in OpenAPI 3.1) of a filter; `reference` is where the document that takes it in
    keeps it. Depth and the number of conditions, which a schema cannot limit, are told in words."""
    return {
        "type": "object",
        "title": "Filter",
        "description": "Matches the items that fulfil every field; {} matches every item. At most "
        f"{MAX_DEPTH} filters within each other, {MAX_NODES} conditions in all. An item of which something is not "
        "known fulfils no condition on it; `not` is the exact complement.",
        "properties": {name: field.schema(reference) for name, field in FIELDS.items()},
        "additionalProperties": False,
    }


@dataclass(slots=True)
class _Budget:
    """How many conditions may still come."""

    left: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the JSON we are, how many filters may still be nested here, and the budget of the whole."""

    pointer: str
    depth: int
    budget: _Budget

    def at(self, key: str | int) -> "_Place":
        escaped = str(key).replace("~", "~0").replace("/", "~1")
        return replace(self, pointer=f"{self.pointer}/{escaped}")

    def nested(self, key: str | int) -> "_Place":
        return replace(self.at(key), depth=self.depth - 1)

    def spend(self) -> None:
        """Count one condition."""
        self.budget.left -= 1
        if self.budget.left < 0:
            raise FilterError(f"filter{self.pointer}: more than {MAX_NODES} conditions; make the filter smaller")

    def error(self, value: object, wanted: str) -> FilterError:
        return FilterError(f"filter{self.pointer} is {_SHORT.repr(value)}; give {wanted}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a filter: how it is read, and the schema of what is read; given where the filter's own stands."""

    read: Callable[[Any, _Place], Filter]
    schema: Callable[[str], Schema]


def _filter(value: object, place: _Place) -> Filter:
    if place.depth < 1:
        raise FilterError(f"filter{place.pointer}: more than {MAX_DEPTH} filters within each other; nest fewer")
    fields = _object(value, place, 'an object such as {"brand": "Alpine"}')
    parts = []
    for name, content in fields.items():
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise FilterError(
                f"filter{place.at(name).pointer}: there is no field {name[:_SHOWN]!r}; {hint}There are "
                f"{', '.join(FIELDS)}; what the shop itself knows of items stands under attributes"
            )
        parts.append(FIELDS[name].read(content, place.at(name)))
    return all_of(parts)


def _filters(value: object, place: _Place) -> list[Filter]:
    place.spend()
    return [_filter(part, place.nested(number)) for number, part in enumerate(_list(value, place, "a list of filters"))]


def _negated(value: object, place: _Place) -> Filter:
    place.spend()
    return none_of(_filter(value, replace(place, depth=place.depth - 1)))


def _available(value: object, place: _Place) -> Filter:
    place.spend()
    if not isinstance(value, bool):
        raise place.error(value, "true or false; one store or market is asked for with available_in")
    return Available(value)


def _range(value: object, place: _Place) -> Range:
    place.spend()
    wanted = 'an object with gte or gt, lte or lt, such as {"gte": 5, "lt": 20}'
    bounds = _object(value, place, wanted)
    one_each = not ({"gte", "gt"} <= bounds.keys() or {"lte", "lt"} <= bounds.keys())
    if not bounds or bounds.keys() - set(BOUNDS) or not one_each:
        raise place.error(value, wanted)
    return Range(**{name: _number(bound, place.at(name)) for name, bound in bounds.items()})


def _attributes(value: object, place: _Place) -> Filter:
    entries = _object(value, place, 'an object such as {"colour": "red"}')
    return all_of([_attribute(_text(name, place.at(name)), wanted, place.at(name)) for name, wanted in entries.items()])


def _attribute(name: str, value: object, place: _Place) -> Filter:
    if isinstance(value, Mapping):
        return AttributeWithin(name, _range(value, place))
    place.spend()
    many = _list(value, place, "") if isinstance(value, list) else None
    values = [(value, place)] if many is None else [(one, place.at(number)) for number, one in enumerate(many)]
    numbers = [_number(one, at) for one, at in values if isinstance(one, int | float) and not isinstance(one, bool)]
    texts = [_scalar(one, at) for one, at in values if not isinstance(one, int | float) or isinstance(one, bool)]
    return AttributeIn(name, _each_once(texts), _each_once(numbers))


def _scalar(value: object, place: _Place) -> str:
    if isinstance(value, bool):
        return attribute_text(value)
    if not isinstance(value, str):
        raise place.error(value, "a text, a number, true, false, a list of these or a range")
    return _text(value, place)


def _texts(value: object, place: _Place) -> tuple[str, ...]:
    place.spend()
    if isinstance(value, str):
        return (_text(value, place),)
    wanted = "a text or a list of texts"
    return _each_once([_text(one, place.at(number)) for number, one in enumerate(_list(value, place, wanted))])


def _paths(value: object, place: _Place) -> tuple[str, ...]:
    paths = _texts(value, place)
    for path in paths:
        if path.count(SEPARATOR) >= DEEPEST:
            raise place.error(path, f"a path of at most {DEEPEST} levels")
    return paths


def _text(value: object, place: _Place) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_LENGTH:
        raise place.error(value, f"a text of 1 to {MAX_LENGTH} characters")
    return value


def _number(value: object, place: _Place) -> float:
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise place.error(value, "a finite number such as 19.99")
    return number


def _object(value: object, place: _Place, wanted: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise place.error(value, wanted)
    if len(value) > MAX_VALUES:
        raise FilterError(f"filter{place.pointer} has {len(value)} fields; give at most {MAX_VALUES}")
    return value


def _list(value: object, place: _Place, wanted: str) -> list[Any]:
    if not isinstance(value, list):
        raise place.error(value, wanted)
    if len(value) > MAX_VALUES:
        raise FilterError(f"filter{place.pointer} has {len(value)} values; give at most {MAX_VALUES}")
    return value


def _each_once(values: list[T]) -> tuple[T, ...]:
    return tuple(sorted(set(values)))  # type: ignore[type-var]


def _one_or_many(value: Schema) -> Schema:
    return {"anyOf": [value, {"type": "array", "items": value, "maxItems": MAX_VALUES}]}


def _range_schema() -> Schema:
    return {
        "type": "object",
        "properties": dict.fromkeys(BOUNDS, _NUMBER),
        "additionalProperties": False,
        "minProperties": 1,
        "not": {"anyOf": [{"required": ["gte", "gt"]}, {"required": ["lte", "lt"]}]},
    }


def _attributes_schema(_: str) -> Schema:
    scalar = {"anyOf": [_TEXT, _NUMBER, {"type": "boolean"}]}
    return {
        "type": "object",
        "propertyNames": _TEXT,
        "additionalProperties": {"anyOf": [*_one_or_many(scalar)["anyOf"], _range_schema()]},
        "maxProperties": MAX_VALUES,
    }


def _many_filters(reference: str) -> Schema:
    return {"type": "array", "items": {"$ref": reference}, "maxItems": MAX_VALUES}


FIELDS: Mapping[str, Field] = {
    "category": Field(lambda value, at: CategoryIn(_paths(value, at)), lambda _: _one_or_many(_TEXT)),
    "brand": Field(lambda value, at: BrandIn(_texts(value, at)), lambda _: _one_or_many(_TEXT)),
    "price": Field(lambda value, at: PriceIn(_range(value, at)), lambda _: _range_schema()),
    "available": Field(_available, lambda _: {"type": "boolean"}),
    "available_in": Field(lambda value, at: AvailableIn(_texts(value, at)), lambda _: _one_or_many(_TEXT)),
    "attributes": Field(_attributes, _attributes_schema),
    "item_id": Field(lambda value, at: ItemIn(_texts(value, at)), lambda _: _one_or_many(_TEXT)),
    "and": Field(lambda value, at: all_of(_filters(value, at)), _many_filters),
    "or": Field(lambda value, at: any_of(_filters(value, at)), _many_filters),
    "not": Field(_negated, lambda reference: {"$ref": reference}),
}
