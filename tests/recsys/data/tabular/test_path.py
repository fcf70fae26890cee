"""Paths into objects and lists, whatever way Arrow holds them."""

import pyarrow as pa
import pytest

from recsys.data.tabular.path import leaf_paths, lookup, steps_of, type_of

ITEM = pa.struct([("id", pa.string()), ("cents", pa.int64())])
PARAMETER = pa.struct([("key", pa.string()), ("value", pa.struct([("text", pa.string()), ("number", pa.int64())]))])
TABLE = pa.table(
    {
        "items": pa.array([[{"id": "a", "cents": 1}, {"id": "b", "cents": None}], None, [], [None]], pa.list_(ITEM)),
        "params": pa.array(
            [
                [{"key": "term", "value": {"text": "tea"}}, {"key": "n", "value": {"number": 5}}],
                [],
                None,
                [{"key": "n", "value": {"number": 7}}, {"key": "n", "value": {"number": 8}}],
            ],
            pa.list_(PARAMETER),
        ),
        "wrapped": pa.array([{"list": [{"element": {"id": "z"}}]}, {"list": []}, None, {"list": None}]),
        "page": pa.array([{"at": {"url": "/"}}, {"at": None}, None, {"at": {"url": "/x"}}]),
        "tags": pa.array([["x", "y"], [], None, ["z"]], pa.large_list(pa.large_string())),
        "pair": pa.array([[1, 2]] * 4, pa.list_(pa.int32(), 2)),
        "words": pa.array([[("de", "Tee")], None, [], [("fr", "thé")]], pa.map_(pa.string(), pa.string())),
        "brand": pa.array(["Lux", None, "Lux", "Rex"]).dictionary_encode(),
        "shop.name": ["s"] * 4,
        "Price [EUR]": [1.5] * 4,
    }
)

EXPECTED = {
    "items[].id": [["a", "b"], None, [], [None]],
    "items[].cents": [[1, None], None, [], [None]],
    "items[].colour": [[None, None], None, [], [None]],
    "params[key=term].value.text": ["tea", None, None, None],
    "params[key=n].value.number": [5, None, None, 7],
    "wrapped[].id": [["z"], [], None, []],
    "page.at.url": ["/", None, None, "/x"],
    "page.at": [None, None, None, None],
    "tags[]": [["x", "y"], [], None, ["z"]],
    "tags": [["x", "y"], [], None, ["z"]],
    "pair[]": [[1, 2]] * 4,
    "words.de": ["Tee", None, None, None],
    "brand": ["Lux", None, "Lux", "Rex"],
    "shop.name": ["s"] * 4,
    "Price [EUR]": [1.5] * 4,
    "nothing.here": [None] * 4,
}


@pytest.mark.parametrize("path", EXPECTED)
def test_a_path_leads_to_values_whole_or_sliced(path: str) -> None:
    assert lookup(TABLE, path).to_pylist() == EXPECTED[path]
    assert lookup(TABLE.slice(1, 2), path).to_pylist() == EXPECTED[path][1:3]


def test_every_leaf_of_a_schema_is_a_path_with_a_type() -> None:
    paths = list(leaf_paths(TABLE.schema))
    assert paths[:5] == ["items[].id", "items[].cents", "params[].key", "params[].value.text", "params[].value.number"]
    assert {"wrapped[].id", "page.at.url", "tags[]", "pair[]", "shop.name"} <= set(paths)
    assert all(type_of(TABLE.schema, path) is not None for path in paths)
    assert type_of(TABLE.schema, "items[].cents") == pa.int64()
    assert type_of(TABLE.schema, "params[key=n].value.number") == pa.int64()
    assert type_of(TABLE.schema, "items[].colour") is None
    assert type_of(TABLE.schema, "page[].at") is None


def test_what_reads_like_no_path_has_no_steps() -> None:
    assert steps_of("Price [EUR]") is None
    assert steps_of("a..b") is None
    assert steps_of("a[") is None
    assert len(steps_of("a.b[][k=v.w].c") or ()) == 5


def test_of_two_columns_with_one_name_the_type_is_the_first_ones() -> None:
    schema = pa.schema([("a", pa.string()), ("a", pa.int64())])
    assert type_of(schema, "a") == pa.string()
