"""Item versions: one row for every change of what was known, and nothing of what stayed."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.item_versions import changes

FIELDS = ("brand", "price", "available")
SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("valid_from", pa.timestamp("us", tz="UTC")),
        ("brand", pa.string()),
        ("price", pa.float64()),
        ("available", pa.bool_()),
    ]
)
Row = tuple[str, int, str | None, float | None, bool | None]
ROW = st.tuples(
    st.sampled_from(["b", "a", "ä"]),
    st.integers(0, 6),
    st.none() | st.sampled_from(["x", "y"]),
    st.none() | st.sampled_from([1.0, 2.5]),
    st.none() | st.booleans(),
)


def table(rows: list[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def rows_of(versions: pa.Table) -> list[Row]:
    instants = versions["valid_from"].cast(pa.int64()).to_pylist()
    columns = [versions["item_id"].to_pylist(), instants, *(versions[name].to_pylist() for name in FIELDS)]
    return list(zip(*columns, strict=True))


def one_by_one(rows: list[Row]) -> list[Row]:
    """The same, told row by row: what is known of each item after each instant, where that is news."""
    told = []
    for item in sorted({row[0] for row in rows}):
        known: tuple[object, ...] = (None, None, None)
        news: object = "nothing was ever said"
        of_item = [row for row in rows if row[0] == item]
        for instant in sorted({row[1] for row in of_item}):
            for row in (row for row in of_item if row[1] == instant):
                known = tuple(old if new is None else new for old, new in zip(known, row[2:], strict=True))
            if known != news:
                told.append((item, instant, *known))
                news = known
    return told


def test_a_version_begins_where_something_changes_and_carries_on_what_did_not():
    rows = [
        ("a", 5, None, 2.0, None),
        ("a", 1, "x", 1.0, None),
        ("b", 2, "y", None, None),
        ("a", 3, "x", 1.0, None),
        ("a", 7, None, 2.0, True),
    ]
    assert rows_of(changes(table(rows), FIELDS)) == [
        ("a", 1, "x", 1.0, None),
        ("a", 5, "x", 2.0, None),
        ("a", 7, "x", 2.0, True),
        ("b", 2, "y", None, None),
    ]


def test_of_one_instant_the_last_row_has_the_last_word():
    rows = [("a", 1, "x", 1.0, None), ("a", 1, "y", None, None)]
    assert rows_of(changes(table(rows), FIELDS)) == [("a", 1, "y", 1.0, None)]


@given(st.lists(ROW, max_size=25))
def test_versions_are_what_one_finds_by_going_through_the_rows_one_by_one(rows):
    assert rows_of(changes(table(rows), FIELDS)) == one_by_one(rows)


@given(st.lists(ROW, max_size=25), st.integers(0, 25))
def test_rows_in_order_of_time_can_be_taken_in_bit_by_bit(rows, cut):
    rows.sort(key=lambda row: row[1])
    early, late = changes(table(rows[:cut]), FIELDS), changes(table(rows[cut:]), FIELDS)
    assert rows_of(changes(pa.concat_tables([early, late]), FIELDS)) == one_by_one(rows)
