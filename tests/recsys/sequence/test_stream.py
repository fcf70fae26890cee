"""Questions as the encoder reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import parse_instant
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.sequence.question import askable, latest_moments, question_batch
from recsys.state import Context, ShopperState
from tests.recsys.by_hand import SECOND, history, spec, state


def test_the_latest_moments_leave_out_a_moment_that_does_not_fit_whole() -> None:
    kept = latest_moments(history((1, 1), (2, 2), (3, 2), (4, 3), (5, 3)), 3)
    assert kept.item.tolist() == [4, 5]


def test_a_moment_that_alone_is_too_long_is_cut() -> None:
    assert latest_moments(history((1, 1), (2, 2), (3, 2), (4, 2)), 2).item.tolist() == [3, 4]


@given(sizes=st.lists(st.integers(1, 4), max_size=8), count=st.integers(1, 12))
def test_the_latest_moments_are_as_many_whole_ones_as_fit(sizes: list[int], count: int) -> None:
    rows = [(number + 1, number + 1) for number, size in enumerate(sizes) for _ in range(size)]
    expected: list[int] = []
    for number in range(len(sizes), 0, -1):
        if len(expected) + sizes[number - 1] > count:
            break
        expected = [number] * sizes[number - 1] + expected
    if not expected and sizes:
        expected = [len(sizes)] * count
    assert latest_moments(history(*rows), count).item.tolist() == expected


def test_a_question_is_its_history_and_a_token_with_its_own_time() -> None:
    batch = question_batch([state((4, 1), (5, 61), (6, 61), at=3661)], spec())
    assert batch.item.tolist() == [[4, 5, 6, 0]]
    assert batch.position.tolist() == [[0, 1, 1, 2]]
    assert batch.features["gap"].tolist() == [[0, 6, 6, 12]], "none, 60 s in [32, 64), 3600 s in [2048, 4096)"
    assert batch.features["hour"].tolist() == [[0, 0, 0, 1]]
    assert batch.is_query.tolist() == [[False, False, False, True]]
    assert batch.query.tolist() == [3]


def test_questions_of_different_lengths_are_padded_on_the_right() -> None:
    batch = question_batch([state(at=5), state((4, 1), (5, 2), at=5)], spec())
    assert batch.valid.tolist() == [[True, False, False], [True, True, True]]
    assert batch.query.tolist() == [0, 5]
    assert batch.item.tolist() == [[0, 0, 0], [4, 5, 0]]


def test_only_interactions_with_known_items_are_read() -> None:
    seen = state((4, 1), (0, 2), (5, 3, EventType.IMPRESSION), (6, 4, EventType.SEARCH), at=9)
    assert question_batch([seen], spec()).item.tolist() == [[4, 0]]


def test_a_type_never_trained_on_is_read_as_its_alias() -> None:
    features = spec(known_types=("purchase",), type_alias="purchase")
    batch = question_batch([state((4, 1, EventType.VIEW), at=9)], features)
    assert batch.type.tolist() == [[EventType.PURCHASE.code, 0]]


def test_hours_and_weekdays_are_those_of_the_shop() -> None:
    at = parse_instant("2017-12-05T03:30:00Z")
    asked = ShopperState(history(), Context(at=at))
    batch = question_batch([asked], spec(time_zone="America/New_York"))
    assert batch.features["hour"].tolist() == [[22]]
    assert batch.features["weekday"].tolist() == [[0]], "still Monday over there"


def test_a_log_of_bare_order_shows_no_times() -> None:
    batch = question_batch([state((4, 1), (5, 90), at=7200)], spec(order_only=True))
    assert batch.features == {}


def test_without_a_query_token_a_shopper_without_history_cannot_be_asked() -> None:
    features = spec(query="last")
    assert askable(state((1, 1), at=2), features)
    assert not askable(state((1, 1, EventType.SEARCH), at=2), features)
    assert askable(state(at=2), spec())
    with pytest.raises(ConfigError, match=r"features\.query=token"):
        question_batch([state(at=2)], features)


def test_a_longer_history_than_the_encoder_reads_shows_its_latest_part() -> None:
    batch = question_batch([state(*((item, item) for item in range(1, 9)), at=99)], spec(max_length=3))
    assert batch.item.tolist() == [[7, 8, 0]]
    assert batch.position.tolist() == [[0, 1, 2]]
    assert batch.time[0, -1] == 99 * SECOND


def test_the_shoppers_own_offset_decides_the_hour_and_weekday_of_the_question_alone() -> None:
    sunday_2330 = parse_instant("2024-03-03T23:30:00+00:00")
    at_home = ShopperState(history((1, 1)), Context(at=sunday_2330))
    abroad = ShopperState(history((1, 1)), Context(at=sunday_2330, utc_offset_s=7_200))
    batch = question_batch([at_home, abroad], spec())
    assert batch.features["hour"].flatten()[batch.query].tolist() == [23, 1]
    assert batch.features["weekday"].flatten()[batch.query].tolist() == [6, 0]
    assert batch.features["hour"][0, 0] == batch.features["hour"][1, 0]
