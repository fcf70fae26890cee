"""What is asked for: the next item, the next moment, or everything within a horizon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.protocols import Target
from recsys.sequence.loader import Loader
from recsys.target.horizon import Horizon
from recsys.target.next_item import NextItem
from recsys.target.next_moment import NextMoment
from tests.recsys.by_hand import Row, histories, spec

BASKETS: list[Row] = [(1, 1), (2, 1), (3, 2), (4, 4), (5, 4), (6, 9)]
"""Items 1 and 2 on day 1, 3 on day 2, 4 and 5 on day 4, 6 on day 9."""
OTHER: list[Row] = [(7, 1), (8, 3)]


def asked(
    target: Target, *shoppers: list[Row], query: str = "token", length: int = 50
) -> dict[tuple[int, int], list[int]]:
    """(shopper, day) -> targets, for every question of an epoch."""
    log = histories(*shoppers, unit=DAY)
    loader = Loader.of(log, spec(query=query, max_length=length), batch_tokens=1000, context=10, target=target)
    found: dict[tuple[int, int], list[int]] = {}
    for batch in loader.epoch(seed=0, epoch=0):
        width = batch.time.shape[1]
        for pair, item in zip(batch.pair_query.tolist(), batch.pair_target.tolist(), strict=True):
            row, column = divmod(int(batch.query[pair]), width)
            owner = 0 if int(batch.item[row].max()) < 7 else 1
            found.setdefault((owner, int(batch.time[row, column]) // DAY), []).append(item)
    return found


def test_the_next_moment_is_the_whole_basket() -> None:
    assert asked(NextMoment(), BASKETS, OTHER) == {
        (0, 1): [1, 2], (0, 2): [3], (0, 4): [4, 5], (0, 9): [6], (1, 1): [7], (1, 3): [8]
    }  # fmt: skip


def test_the_next_item_is_the_basket_s_first() -> None:
    assert asked(NextItem(), BASKETS) == {(0, 1): [1], (0, 2): [3], (0, 4): [4], (0, 9): [6]}


def test_a_horizon_of_three_days_ends_before_the_fourth_day_begins() -> None:
    assert asked(Horizon(days=3), BASKETS, OTHER) == {
        (0, 1): [1, 2, 3], (0, 2): [3, 4, 5], (0, 4): [4, 5], (0, 9): [6], (1, 1): [7, 8], (1, 3): [8]
    }  # fmt: skip


def test_a_horizon_holds_the_earliest_of_too_many() -> None:
    assert asked(Horizon(days=30, most=3), BASKETS)[0, 1] == [1, 2, 3]


def test_a_horizon_goes_beyond_the_window() -> None:
    assert asked(Horizon(days=30), BASKETS, length=2)[0, 1] == [1, 2, 3, 4, 5, 6]


def test_asked_at_the_last_event_the_horizon_begins_with_the_next_one() -> None:
    clicks: list[Row] = [(1, 1), (2, 2), (3, 3), (4, 6)]
    assert asked(Horizon(days=2), clicks, query="last") == {(0, 1): [2, 3], (0, 2): [3], (0, 3): [4]}


@pytest.mark.parametrize(("days", "most"), [(0, 5), (-1, 5), (3, 0)])
def test_an_empty_horizon_is_refused(days: float, most: int) -> None:
    with pytest.raises(ConfigError, match=rf"target\.days is {days} and target\.most {most}"):
        Horizon(days=days, most=most)


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    days=st.integers(1, 5),
    length=st.integers(2, 8),
)
def test_every_question_of_a_horizon_is_what_the_plain_definition_says(
    sizes: list[int], days: int, length: int
) -> None:
    rows: list[Row] = [(1 + day * 10 + place, day) for day, size in enumerate(sizes) for place in range(size)]
    found = {}
    log = histories(rows, unit=DAY)
    loader = Loader.of(log, spec(max_length=length), batch_tokens=500, context=5, target=Horizon(days=days))
    for batch in loader.epoch(seed=0, epoch=0):
        width = batch.time.shape[1]
        for pair, item in zip(batch.pair_query.tolist(), batch.pair_target.tolist(), strict=True):
            row, column = divmod(int(batch.query[pair]), width)
            found.setdefault(int(batch.time[row, column]) // DAY, set()).add(item)
    for day, size in enumerate(sizes):
        wanted = {item for item, at in rows if day <= at < day + days}
        assert found[day] <= wanted
        if size <= length:
            assert found[day] == wanted, "a basket that is longer than the window asks for its own items only"
