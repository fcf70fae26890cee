"""What the filter language accepts, and how it refuses."""

import contextlib
import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import FilterError
from recsys.retrieval.filter.expression import EVERYTHING, NOTHING, And, BrandIn, CategoryIn, Filter, Not, PriceIn
from recsys.retrieval.filter.parse import FIELDS, MAX_DEPTH, MAX_LENGTH, MAX_NODES, MAX_VALUES, json_schema, parse
from recsys.retrieval.filter.range import Range
from tests.recsys.retrieval.filter.shop import filters

SCHEMA = {"$ref": "#/$defs/Filter", "$defs": {"Filter": json_schema()}}
VALID = jsonschema.Draft202012Validator(SCHEMA)


def test_fields_of_one_object_must_all_match() -> None:
    found = parse({"brand": "Alpine", "price": {"gte": 1, "lt": 5}})
    assert found == And((BrandIn(("Alpine",)), PriceIn(Range(gte=1.0, lt=5.0))))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"brand": "A"}, {"brand": ["A", "A"]}),
        ({"brand": ["A", "B"]}, {"brand": ["B", "A"]}),
        ({"brand": "A", "category": "C"}, {"and": [{"category": "C"}, {"and": [{"brand": "A"}]}]}),
        ({"not": {"not": {"brand": "A"}}}, {"or": [{"brand": "A"}]}),
        ({"attributes": {"a": "x", "b": 1}}, {"and": [{"attributes": {"b": 1.0}}, {"attributes": {"a": ["x"]}}]}),
        ({"attributes": {"a": True}}, {"attributes": {"a": "true"}}),
    ],
)
def test_what_is_written_differently_and_means_the_same_is_equal(one: Any, other: Any) -> None:
    assert parse(one) == parse(other)
    assert hash(parse(one)) == hash(parse(other))


def test_true_is_not_one() -> None:
    assert parse({"attributes": {"a": True}}) != parse({"attributes": {"a": 1}})


def test_an_empty_object_and_an_empty_and_are_everything_an_empty_or_nothing() -> None:
    assert parse({}) == parse({"and": []}) == parse({"attributes": {}}) == EVERYTHING
    assert parse({"or": []}) == NOTHING
    assert parse({"not": {}}) == Not(EVERYTHING)


@pytest.mark.parametrize(
    ("value", "place", "remedy"),
    [
        (None, "filter is None", "give an object"),
        ([], "filter is []", "give an object"),
        ({"colour": "red"}, "filter/colour", "stands under attributes"),
        ({"brnd": "A"}, "filter/brnd", "did you mean brand?"),
        ({"brand": 7}, "filter/brand is 7", "a text or a list of texts"),
        ({"brand": ["A", None]}, "filter/brand/1 is None", "a text of 1 to 256 characters"),
        ({"brand": ""}, "filter/brand is ''", "a text of 1 to 256 characters"),
        ({"price": {"gte": "cheap"}}, "filter/price/gte is 'cheap'", "a finite number"),
        ({"price": {"gte": True}}, "filter/price/gte is True", "a finite number"),
        ({"price": {"gte": float("nan")}}, "filter/price/gte is nan", "a finite number"),
        ({"price": {"lt": 10**400}}, "filter/price/lt is 1000", "a finite number"),
        ({"price": {"gte": 1, "gt": 1}}, "filter/price", "gte or gt, lte or lt"),
        ({"price": {}}, "filter/price is {}", "gte or gt, lte or lt"),
        ({"price": {"ge": 1}}, "filter/price is {'ge': 1}", "gte or gt, lte or lt"),
        ({"price": 5}, "filter/price is 5", "gte or gt, lte or lt"),
        ({"available": "yes"}, "filter/available is 'yes'", "available_in"),
        ({"attributes": {"a/b~": {"gte": None}}}, "filter/attributes/a~1b~0/gte is None", "a finite number"),
        ({"attributes": {"a": [["x"]]}}, "filter/attributes/a/0 is ['x']", "a list of these or a range"),
        ({"attributes": "red"}, "filter/attributes is 'red'", "an object such as"),
        ({"or": {"brand": "A"}}, "filter/or is {'brand': 'A'}", "a list of filters"),
        ({"or": [{}, {"not": [1]}]}, "filter/or/1/not is [1]", "an object"),
        ({"category": " > ".join("abcdefghijklmnopq")}, "filter/category", "at most 16 levels"),
    ],
)
def test_a_refusal_names_the_place_the_value_and_what_is_allowed(value: Any, place: str, remedy: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(value)
    assert place in str(refused.value)
    assert remedy in str(refused.value)
    assert len(str(refused.value)) < 400


def _nested(depth: int) -> dict[str, Any]:
    return {"brand": "A"} if depth == 1 else {"or": [_nested(depth - 1), {"brand": "B"}]}


def test_filters_nest_to_the_limit_and_no_deeper() -> None:
    parse(_nested(MAX_DEPTH))
    with pytest.raises(FilterError, match=r"filter/or/0/or/0.*more than 8 filters within each other"):
        parse(_nested(MAX_DEPTH + 1))
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"not": deep}
    with pytest.raises(FilterError, match="within each other"):
        parse(deep)
    with pytest.raises(FilterError, match="filter/brand/0 is"):
        parse({"brand": [deep]})


def test_conditions_are_counted_over_the_whole_filter() -> None:
    parse({"or": [{"brand": "A"}] * (MAX_NODES - 1)})
    with pytest.raises(FilterError, match="filter/or/63/brand: more than 64 conditions"):
        parse({"or": [{"brand": "A"}] * MAX_NODES})
    with pytest.raises(FilterError, match="more than 64 conditions"):
        parse({"attributes": {f"a{number}": 1 for number in range(MAX_NODES + 1)}})


def test_lists_and_texts_are_limited() -> None:
    parse({"item_id": ["i"] * MAX_VALUES, "brand": "b" * MAX_LENGTH})
    with pytest.raises(FilterError, match="filter/item_id has 257 values; give at most 256"):
        parse({"item_id": ["i"] * (MAX_VALUES + 1)})
    with pytest.raises(FilterError, match="256 characters"):
        parse({"brand": "b" * (MAX_LENGTH + 1)})


@given(filters)
def test_what_is_parsed_is_written_so_that_it_is_parsed_to_the_same(value: dict[str, Any]) -> None:
    before = copy.deepcopy(value)
    found = parse(value)
    assert value == before
    assert parse(json.loads(json.dumps(found.to_json()))) == found


def test_what_is_written_never_lies_deeper_than_what_was_read() -> None:
    deepest = _nested(MAX_DEPTH - 1)
    value = {"not": {"brand": "A"}, "and": [{"not": {"brand": "B"}}], "or": [deepest, {"brand": "C"}]}
    value["and"].append({"or": [{"brand": "D"}, {"brand": "E"}]})  # type: ignore[attr-defined]
    assert parse(parse(value).to_json()) == parse(value)


@given(filters)
def test_the_schema_accepts_what_is_parsed(value: dict[str, Any]) -> None:
    VALID.validate(value)
    VALID.validate(parse(value).to_json())


broken = st.sampled_from(
    [None, 7, -1.5, True, "", "red", "x" * 257, [], ["red"], [""], ["red", 7], [True, 2.5], [None], [[]], [{}], {},
     {"gte": 1}, {"gte": 1, "gt": 2}, {"lt": "x"}, {"gte": 1, "to": 2}, {"brand": "A"}, [{"brand": "A"}, {"x": 1}]]
)  # fmt: skip


@given(filters, st.sampled_from([*FIELDS, "colour", "range"]), broken)
def test_schema_and_parser_agree_on_what_is_broken(value: dict[str, Any], field: str, content: Any) -> None:
    changed = {**value, field: content}
    try:
        parse(changed)
        accepted = True
    except FilterError:
        accepted = False
    assert VALID.is_valid(changed) == accepted


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "gte", "x"]), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_parsed_or_refused_with_a_filter_error(value: Any) -> None:
    with contextlib.suppress(FilterError):
        assert isinstance(parse(value), Filter)


def test_the_place_of_the_schema_is_that_of_the_document_that_takes_it_in() -> None:
    schema = json_schema("#/components/schemas/Filter")
    assert schema["properties"]["not"] == {"$ref": "#/components/schemas/Filter"}
    assert set(schema["properties"]) == set(FIELDS)


def test_categories_are_paths() -> None:
    assert parse({"category": ["Food > Dairy", "Home"]}) == CategoryIn(("Food > Dairy", "Home"))
