"""Where the tokens of questions stand: by hand, and as the loops over whole logs have it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.feature.past import moment_rows, past_before
from recsys.sequence.token_rows import token_rows

PLAIN = getattr(token_rows, "py_func", token_rows)
SHOPPERS = st.lists(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=8), min_size=1, max_size=3)
"""Instants of what each did, and whether it is shown."""


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_two_shoppers_by_hand() -> None:
    """The first did things at 1, 2, 2 and 5, of which the last three are shown; the second nothing."""
    time, moment, is_query, begins, low, high = token_rows(
        numbers(1, 2, 2, 5), numbers(0, 4, 4), numbers(1, 2, 3), numbers(0, 4, 5), numbers(9, 7), 2
    )
    assert time.tolist() == [2, 2, 5, 9, 7]
    assert is_query.tolist() == [False, False, False, True, True]
    assert moment.tolist() == [0, 0, 1, 2, 3]
    assert begins.tolist() == [0, 2, 3, 4]
    assert high.tolist() == [1, 3, 4, 4], "what shares the instant is not looked back on"
    assert low.tolist() == [0, 1, 3, 4], "the question's second row back would cut a moment in two"


@given(shoppers=SHOPPERS, with_token=st.booleans(), lookback=st.integers(0, 9))
def test_rows_and_moments_are_those_of_the_loops_over_whole_logs(
    shoppers: list[list[tuple[int, bool]]], with_token: bool, lookback: int
) -> None:
    did = [sorted(one) for one in shoppers]
    time = numbers(*(at for one in did for at, _ in one))
    row = np.flatnonzero([is_shown for one in did for _, is_shown in one])
    start = np.cumsum([0, *map(len, did)])
    token_start = np.cumsum([0, *(sum(is_shown for _, is_shown in one) + with_token for one in did)])
    at = np.full(len(did), 6) if with_token else numbers()
    found = token_rows(time, start, row, token_start, at, lookback)
    for one, other in zip(found, PLAIN(time, start, row, token_start, at, lookback), strict=True):
        np.testing.assert_array_equal(one, other)
    token_time, moment, is_query, begins, low, high = found
    assert token_time[~is_query].tolist() == time[row].tolist()
    fresh = moment_rows(token_time, token_start)
    assert begins.tolist() == fresh.tolist()
    assert moment.tolist() == [int(np.searchsorted(fresh, n, side="right")) - 1 for n in range(len(token_time))]
    first = moment_rows(time, start)
    own = np.empty(len(token_time), np.int64)
    own[~is_query] = first[np.searchsorted(first, row, side="right") - 1] if len(row) else numbers()
    own[is_query] = start[1:] if with_token else numbers()
    owner = np.searchsorted(token_start, begins, side="right") - 1
    past = past_before(own[begins], start[owner], first, lookback=lookback)
    assert (low.tolist(), high.tolist()) == (past.low.tolist(), past.high.tolist())
