"""Small tools for arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.card.arrays import distinct, grown


def test_an_array_grows_by_half_and_keeps_what_it_held() -> None:
    array = np.arange(20)
    assert grown(array, 20) is array
    larger = grown(array, 21, fill=-1)
    assert larger[:20].tolist() == list(range(20))
    assert (len(larger), set(larger[20:].tolist())) == (30, {-1})
    assert len(grown(array, 100)) == 100


@given(values=st.lists(st.integers(0, 9)))
def test_distinct_values_ascend(values: list[int]) -> None:
    assert distinct(np.array(values, np.uint64)).tolist() == sorted(set(values))
