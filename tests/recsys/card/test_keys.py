"""Tables of keys that thin themselves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.card.keys import KeyTable, sampling_rank

KEYS = st.lists(st.lists(st.integers(1, 200), max_size=20), max_size=6)


def keys(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def test_half_of_all_keys_leave_at_each_rank() -> None:
    assert sampling_rank(keys(1, 2, 3, 4, 8, 6, 0, 1 << 63)).tolist() == [0, 1, 0, 2, 3, 1, 63, 63]


def test_rows_are_found_again_and_new_ones_start_with_the_initial_value() -> None:
    table = KeyTable({"last": -1})
    rows = table.rows(keys(5, 9))
    table.column["last"][rows] = [50, 90]
    assert table.rows(keys(3, 5, 7, 9)).tolist() == [0, 1, 2, 3]
    assert table.key.tolist() == [3, 5, 7, 9]
    assert table.column["last"].tolist() == [-1, 50, -1, 90]


def test_beyond_the_limit_a_sample_by_rank_stays() -> None:
    table = KeyTable({}, most=2)
    table.rows(keys(1, 2, 3, 4, 6))
    table.thin()
    assert (table.key.tolist(), table.level) == ([4], 2), "2, 4 and 6 were still too many at level 1"
    assert table.sampled(keys(1, 2, 8)).tolist() == [False, False, True]


@given(batches=KEYS, most=st.integers(1, 40))
def test_what_stays_does_not_depend_on_the_order(batches: list[list[int]], most: int) -> None:
    def kept(batches: list[list[int]]) -> tuple[list[int], int]:
        table = KeyTable({}, most=most)
        for batch in batches:
            some = keys(*sorted(set(batch)))
            table.rows(some[table.sampled(some)])
            table.thin()
        return table.key.tolist(), table.level

    together = [[key for batch in batches for key in batch]]
    assert kept(batches) == kept(batches[::-1]) == kept(together)
