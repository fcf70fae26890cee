"""The order of a log, against plain sorting."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.log.order import log_order, ranked_shoppers, shopper_of
from tests.recsys.by_hand import event_table

NAMES = st.none() | st.sampled_from(["ann", "bob", "anonymous:ann", "", "Ann", "zoë", "anonymous"])
ROWS = st.lists(st.tuples(NAMES, st.sampled_from(["ann", "bob", "x", "", None])), max_size=30)


@given(rows=ROWS)
def test_shoppers_are_ranked_by_the_text_that_names_them(rows: list[tuple[str | None, str | None]]) -> None:
    rows = [(user, visitor) for user, visitor in rows if user is not None or visitor is not None]
    table = event_table(
        [
            {"event_id": str(n), "occurred_at": 0, "user_id": user, "anonymous_id": visitor}
            for n, (user, visitor) in enumerate(rows)
        ]
    )
    rank, shoppers = ranked_shoppers(table)
    names = shopper_of(table).to_pylist()
    assert [shoppers[int(place)].as_py() for place in rank] == names
    assert shoppers.to_pylist() == sorted(set(names), key=lambda name: name.encode())


@given(
    rows=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4), st.integers(0, 3), st.integers(0, 99)), max_size=40),
    crowd=st.sampled_from([1, 1 << 30]),
)
def test_rows_are_in_order_of_day_shopper_instant_and_id_also_where_they_do_not_fit_one_number(
    rows: list[tuple[int, int, int, int]], crowd: int
) -> None:
    rows = [(day, shopper * crowd, time, n * 100 + number) for number, (day, shopper, time, n) in enumerate(rows)]
    day, rank, time = (np.array([row[column] for row in rows], np.int64) for column in range(3))
    ids = pa.chunked_array([pa.array([f"{row[3]:05d}" for row in rows], pa.string())])
    order, begins = log_order(day, rank, day * DAY + time, ids)
    assert [rows[place] for place in order] == sorted(rows)
    assert int(begins.sum()) == len({row[:3] for row in rows})
