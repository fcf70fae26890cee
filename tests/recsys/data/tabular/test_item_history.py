"""What was known of items, and since when: never before it was observed, whatever order observations come in."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.data.tabular.item_history import EVER, MOST_A_DAY, ItemHistory
from recsys.data.tabular.items import ItemMapping, item_mapping_of
from recsys.data.tabular.spelling import Style

Row = tuple[str | None, int, str | None, float | None]

MAPPING: ItemMapping = item_mapping_of(
    {"brand": "brand", "price": "price"}, (), style=Style(), separator=None, currency=None, own_files=False
)


def observed(*batches: list[Row]) -> ItemHistory:
    history = ItemHistory()
    order = 0
    for rows in batches:
        said = pa.table(
            {
                "item brand": pa.array([row[2] for row in rows], pa.string()),
                "item price": pa.array([row[3] for row in rows], pa.float64()),
            }
        )
        times = np.array([row[1] for row in rows], np.int64)
        orders = np.arange(order, order + len(rows))
        history.observe(pa.array([row[0] for row in rows], pa.string()), times, orders, said)
        order += len(rows)
    return history


def versions(history: ItemHistory) -> list[Row]:
    table = history.items(MAPPING)
    since = pa.compute.fill_null(table["valid_from"].cast(pa.int64()), int(EVER)).to_pylist()
    return list(
        zip(table["item_id"].to_pylist(), since, table["brand"].to_pylist(), table["price"].to_pylist(), strict=True)
    )


def test_only_changes_make_versions_and_empty_values_hide_nothing() -> None:
    rows: list[Row] = [("a", 1, "Lux", 2.0), ("a", 3, None, 2.0), ("a", 5, "Lux", None), ("a", 7, "Rex", 3.0)]
    assert versions(observed(rows)) == [("a", 1, "Lux", 2.0), ("a", 7, "Rex", 3.0)]


def test_an_item_is_known_from_its_first_observation_even_if_it_says_nothing() -> None:
    assert versions(observed([("b", 4, None, None), ("a", 2, None, None), ("b", 6, "Lux", None)])) == [
        ("a", 2, None, None),
        ("b", 4, None, None),
        ("b", 6, "Lux", None),
    ]


def test_what_was_always_known_has_no_beginning() -> None:
    assert versions(observed([("a", int(EVER), "Lux", None)], [("a", 5, None, 1.0)])) == [
        ("a", EVER, "Lux", None),
        ("a", 5, "Lux", 1.0),
    ]


def test_of_two_observations_of_one_instant_the_later_row_counts() -> None:
    assert versions(observed([("a", 1, "Lux", None), ("a", 1, "Rex", None)])) == [("a", 1, "Rex", None)]


def test_late_observations_find_their_place() -> None:
    assert versions(observed([("a", 1, "Lux", None), ("a", 9, "Lux", None)], [("a", 5, "Rex", None)])) == [
        ("a", 1, "Lux", None),
        ("a", 5, "Rex", None),
        ("a", 9, "Lux", None),
    ]


def test_prices_that_are_no_numbers_say_nothing() -> None:
    rows: list[Row] = [("a", 1, None, 2.0), ("a", 2, None, float("nan")), ("a", 3, None, float("inf"))]
    assert versions(observed(rows)) == [("a", 1, None, 2.0)]


def test_rows_without_an_item_describe_none() -> None:
    assert versions(observed([(None, 1, "Lux", 1.0)])) == []
    assert versions(ItemHistory()) == []


def test_a_price_that_flaps_all_day_keeps_the_days_first_and_last_changes() -> None:
    rows: list[Row] = [("a", minute, None, float(minute % 2)) for minute in range(1000)]
    half = MOST_A_DAY // 2
    kept = [when for _, when, _, _ in versions(observed(rows))]
    assert kept == [*range(half), *range(1000 - half, 1000)]
    assert len(versions(observed(rows, [("a", DAY + 1, None, 7.0)]))) == MOST_A_DAY + 1


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.integers(0, 12).map(lambda half_day: half_day * DAY // 2),
        st.sampled_from(["Lux", "Rex", None]),
        st.sampled_from([1.0, 2.0, None]),
    ),
    max_size=14,
)


def known_at(rows: list[Row], item: str, at: int) -> tuple[object, object]:
    """Brand and price of an item at an instant, by looking at every row."""
    seen = [row for _, row in sorted(enumerate(rows), key=lambda one: (one[1][1], one[0])) if row[0] == item]
    brands = [row[2] for row in seen if row[1] <= at and row[2] is not None]
    prices = [row[3] for row in seen if row[1] <= at and row[3] is not None]
    return (brands or [None])[-1], (prices or [None])[-1]


@given(rows=ROWS, cut=st.integers(0, 14))
def test_versions_tell_at_every_instant_what_looking_at_all_rows_tells(rows: list[Row], cut: int) -> None:
    rows = sorted(rows, key=lambda row: row[1])
    found = versions(observed(rows[:cut], rows[cut:]))
    for item in ("a", "b"):
        for at in {row[1] for row in rows}:
            latest = [version for version in found if version[0] == item and version[1] <= at]
            told = latest[-1][2:] if latest else (None, None)
            assert told == known_at(rows, item, at)
    changes = [(one, other) for one, other in pairwise(found) if one[0] == other[0]]
    assert all(one[2:] != other[2:] for one, other in changes)


@given(rows=ROWS, cut=st.integers(0, 14), many=st.booleans())
def test_in_whatever_order_observations_come_nothing_is_known_early(rows: list[Row], cut: int, many: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.data.tabular.item_history._COMPACT_ROWS", 0 if many else 1_000)
        found = versions(observed(rows[:cut], *[[row] for row in rows[cut:]]))
    for item, since, brand, price in found:
        seen = [row for row in rows if row[0] == item and row[1] <= since]
        assert brand is None or brand in {row[2] for row in seen}
        assert price is None or price in {row[3] for row in seen}
        assert since in {row[1] for row in rows if row[0] == item}
    for item in {row[0] for row in rows} - {None}:
        last = [version for version in found if version[0] == item][-1]
        assert last[2:] == known_at(rows, str(item), 99 * DAY)
