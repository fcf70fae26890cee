"""A small shop in plain Python: what filters mean, said a second time and without any column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from recsys.event import ITEM_SCHEMA
from recsys.retrieval.filter.attribute import attribute_text

PATHS = [[], ["Food"], ["Food", "Dairy"], ["Food", "Dairy", "Milk"], ["Food", "Bread"], ["Home"], ["Home", "Dairy"]]
BRANDS = ["Alpine", "Meadow", "Önè"]
PRICES = [0.0, 0.99, 1.0, 19.99, 20.0]
STORES = ["north", "south", "east"]
COLOURS = ["red", "blue", "true", "250"]
IDS = [f"i{number}" for number in range(12)]


@dataclass(frozen=True, slots=True)
class Thing:
    """One item."""

    item_id: str
    category: Sequence[str] = ()
    brand: str | None = None
    price: float | None = None
    available: bool = True
    attributes: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, bool] = field(default_factory=dict)

    def patched(self, patch: Mapping[str, Any]) -> "Thing":
        """With some fields changed; an entry of None in a mapping takes it away."""
        merged = {name: value for name, value in patch.items() if name not in ("attributes", "places")}
        for name in ("attributes", "places"):
            entries = {**getattr(self, name), **patch.get(name, {})}
            merged[name] = {key: value for key, value in entries.items() if value is not None}
        return replace(self, **merged)


def table(things: Sequence[Thing]) -> pa.Table:
    """As the catalogue holds them."""
    columns: dict[str, list[Any]] = {
        "item_id": [thing.item_id for thing in things],
        "title": ["" for _ in things],
        "category": [list(thing.category) for thing in things],
        "brand": [thing.brand for thing in things],
        "price": [thing.price for thing in things],
        "available": [thing.available for thing in things],
        "attributes": [[(key, attribute_text(value)) for key, value in thing.attributes.items()] for thing in things],
    }
    rows = len(things)
    return pa.table({f.name: pa.array(columns.get(f.name, [None] * rows), f.type) for f in ITEM_SCHEMA}, ITEM_SCHEMA)


def fulfils(thing: Thing, asked: Mapping[str, Any]) -> bool:
    """Whether an item fulfils a filter, by the words of the documentation."""
    return all(_MEANING[name](thing, wanted) for name, wanted in asked.items())


def _many(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _category(thing: Thing, wanted: Any) -> bool:
    return any(list(thing.category[: len(path.split(" > "))]) == path.split(" > ") for path in _many(wanted))


def _within(value: float | None, bounds: Mapping[str, float]) -> bool:
    if value is None:
        return False
    low = bounds.get("gte", -np.inf) <= value and bounds.get("gt", -np.inf) < value
    return low and value <= bounds.get("lte", np.inf) and value < bounds.get("lt", np.inf)


def _anywhere(thing: Thing, wanted: Any) -> bool:
    return any(thing.places.get(place, thing.available) for place in _many(wanted))


def _number(value: Any) -> float | None:
    if isinstance(value, bool | list) or value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _attributes(thing: Thing, asked: Mapping[str, Any]) -> bool:
    return all(_attribute(thing.attributes.get(name), wanted) for name, wanted in asked.items())


def _attribute(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return _within(_number(value), wanted)
    if value is None:
        return False
    texts = {attribute_text(one) for one in _many(value)}
    return any(
        _number(value) == one if isinstance(one, int | float) and not isinstance(one, bool) else _text(one) in texts
        for one in _many(wanted)
    )


def _text(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


_MEANING = {
    "category": _category,
    "brand": lambda thing, wanted: thing.brand in _many(wanted),
    "price": lambda thing, wanted: _within(thing.price, wanted),
    "available": lambda thing, wanted: thing.available is wanted,
    "available_in": _anywhere,
    "attributes": _attributes,
    "item_id": lambda thing, wanted: thing.item_id in _many(wanted),
    "and": lambda thing, wanted: all(fulfils(thing, part) for part in wanted),
    "or": lambda thing, wanted: any(fulfils(thing, part) for part in wanted),
    "not": lambda thing, wanted: not fulfils(thing, wanted),
}

values = st.sampled_from([*COLOURS, 250, 2.5, True, False, ["red", "blue"], ["250"], []])
attributes = st.dictionaries(st.sampled_from(["colour", "weight"]), values)
fields = {
    "category": st.sampled_from(PATHS),
    "brand": st.none() | st.sampled_from(BRANDS),
    "price": st.none() | st.sampled_from(PRICES),
    "available": st.booleans(),
}
things = st.builds(Thing, item_id=st.sampled_from(IDS), attributes=attributes, **fields)
patches = st.fixed_dictionaries(
    {},
    optional=fields
    | {
        "attributes": st.dictionaries(st.sampled_from(["colour", "weight"]), st.none() | values),
        "places": st.dictionaries(st.sampled_from(STORES[:2]), st.none() | st.booleans()),
    },
)


def one_or_many(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return one | st.lists(one, max_size=4)


@st.composite
def ranges(draw: st.DrawFn, bound: st.SearchStrategy[Any]) -> dict[str, Any]:
    names = draw(
        st.sampled_from(
            [("gte",), ("gt",), ("lte",), ("lt",), ("gte", "lte"), ("gt", "lte"), ("gte", "lt"), ("gt", "lt")]
        )
    )
    return {name: draw(bound) for name in names}


paths = st.sampled_from([" > ".join(path) for path in PATHS if path] + ["Toys", "Food > Dairy > Cheese"])
numbers = st.sampled_from([0, 1, 1.0, 2.5, 19.99, 20, 250, -1])
scalars = st.sampled_from([*COLOURS, "green"]) | numbers | st.booleans()
conditions = st.fixed_dictionaries(
    {},
    optional={
        "category": one_or_many(paths),
        "brand": one_or_many(st.sampled_from([*BRANDS, "Nobody"])),
        "price": ranges(numbers),
        "available": st.booleans(),
        "available_in": one_or_many(st.sampled_from(STORES)),
        "attributes": st.dictionaries(
            st.sampled_from(["colour", "weight", "size"]), one_or_many(scalars) | ranges(numbers), max_size=2
        ),
        "item_id": one_or_many(st.sampled_from([*IDS, "gone"])),
    },
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, max_size=2)
    nested = st.fixed_dictionaries({}, optional={"and": several, "or": several, "not": inner})
    return st.builds(lambda one, other: {**one, **other}, conditions, nested)


def _conditions(asked: Mapping[str, Any]) -> int:
    nested = [*asked.get("and", ()), *asked.get("or", ()), *([asked["not"]] if "not" in asked else ())]
    return len(asked) + len(asked.get("attributes", ())) + sum(map(_conditions, nested))


filters = st.recursive(conditions, _larger, max_leaves=4).filter(lambda asked: _conditions(asked) < 60)
