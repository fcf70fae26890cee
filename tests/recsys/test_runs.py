"""Distinct numbers are those of NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.runs import distinct


@given(st.lists(st.integers(0, 2**62), max_size=30), st.lists(st.integers(0, 5), max_size=30))
def test_distinct_numbers_come_once_and_in_order(large: list[int], small: list[int]) -> None:
    value = np.array(large + small, np.int64)
    assert distinct(value).tolist() == np.unique(value).tolist()
