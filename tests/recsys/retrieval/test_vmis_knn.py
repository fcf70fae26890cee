"""Sessions like the running one, against going through them one by one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import MINUTE
from recsys.event import EventType
from recsys.retrieval.vmis_knn import VMISKNN
from recsys.slate import Reason
from tests.recsys.by_hand import SECOND, Row, histories, state

ITEMS = 8
CATEGORY = np.zeros(ITEMS, np.int64)
SESSION = st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=6)


def fitted(*sessions: list[int], **arguments: object) -> VMISKNN:
    """An index of sessions that follow one another, items a second apart."""
    source = VMISKNN(**{"nearness": None, **arguments})  # type: ignore[arg-type]
    shoppers: list[list[Row]] = [
        [(item, 100 * number + place) for place, item in enumerate(session)] for number, session in enumerate(sessions)
    ]
    source.fit(histories(*shoppers), items=ITEMS, until=10_000 * SECOND, category=CATEGORY)
    return source


def asked(source: VMISKNN, *items: int) -> dict[int, float]:
    """Scores after a session of these items."""
    found = source.candidates(state(*((item, 20_000 + place) for place, item in enumerate(items)), at=30_000))
    assert found.score.tolist() == sorted(found.score.tolist(), reverse=True)
    return dict(zip(found.item.tolist(), found.score.tolist(), strict=True))


def last_distinct(session: list[int]) -> list[int]:
    """The distinct items in order of their last occurrence."""
    return list(dict.fromkeys(session[::-1]))[::-1]


def plain(
    sessions: list[list[int]], running: list[int], *, latest: int, neighbours: int, nearness: float | None
) -> dict[int, float]:
    """Session by session, as the papers say it."""
    held = [last_distinct(session) for session in sessions if len(set(session)) > 1]
    anchors = last_distinct(running)[::-1]
    support = {item: sum(item in session for session in held) for item in range(ITEMS)}
    found = []
    for age, session in enumerate(held):
        met = [place for place, item in enumerate(anchors) if item in session]
        met = [p for p in met if sum(anchors[p] in later for later in held[age + 1 :]) < latest]
        if met:
            alike = sum(1 - place / len(anchors) for place in met)
            found.append((alike, age, met[0]))
    found = sorted(found, reverse=True)[:neighbours]
    total = sum(alike * max(1 - 0.1 * place, 0.1) for alike, _, place in found)
    score: dict[int, float] = {}
    for alike, age, place in found:
        for position, item in enumerate(held[age]):
            away = abs(position - held[age].index(anchors[place]))
            near = 1.0 if nearness is None else math.exp(-away / nearness)
            rarity = math.log(len(held) / support[item]) / math.log(max(len(held), 2))
            vote = alike * max(1 - 0.1 * place, 0.1) * rarity * near / total
            score[item] = score.get(item, 0.0) + vote
    return score


@settings(deadline=None)
@given(
    sessions=st.lists(SESSION, min_size=1, max_size=8),
    running=SESSION,
    latest=st.integers(1, 4),
    neighbours=st.integers(1, 5),
    nearness=st.sampled_from([None, 2.0]),
)
def test_the_scores_are_those_of_going_through_the_sessions_one_by_one(
    sessions: list[list[int]], running: list[int], latest: int, neighbours: int, nearness: float | None
) -> None:
    source = fitted(*sessions, latest=latest, neighbours=neighbours, nearness=nearness)
    expected = plain(sessions, running, latest=latest, neighbours=neighbours, nearness=nearness)
    assert asked(source, *running) == pytest.approx(expected, abs=1e-6)


def test_what_followed_in_more_sessions_comes_first_and_rare_items_count_more() -> None:
    source = fitted([1, 2], [1, 2], [1, 3], [4, 5])
    rarity = math.log(4 / 2) / math.log(4), math.log(4 / 1) / math.log(4)
    common = math.log(4 / 3) / math.log(4)
    assert asked(source, 1) == pytest.approx({2: 2 / 3 * rarity[0], 3: 1 / 3 * rarity[1], 1: common})


def test_a_session_that_shares_the_latest_item_counts_more_than_one_that_shares_an_earlier() -> None:
    found = asked(fitted([1, 3], [2, 4], [5, 6]), 1, 2)
    assert list(found) == [2, 4, 1, 3]
    assert found[3] / found[4] == pytest.approx(0.5 * 0.9)


def test_only_the_latest_sessions_of_an_item_are_kept() -> None:
    assert set(asked(fitted([1, 2], [1, 3], [1, 4], [5, 6], latest=2), 1)) == {1, 3, 4}


def test_the_nearest_sessions_answer_and_of_equal_ones_the_latest() -> None:
    assert set(asked(fitted([1, 2], [1, 3], [5, 6], neighbours=1), 1)) == {1, 3}


def test_only_so_many_latest_items_are_looked_up() -> None:
    assert set(asked(fitted([1, 3], [2, 4], [5, 6], anchors=1), 1, 2)) == {2, 4}


def test_an_item_far_from_the_shared_one_counts_less() -> None:
    found = asked(fitted([1, 2, 3], [5, 6], nearness=2.0), 1)
    assert found[3] / found[2] == pytest.approx(math.exp(-1 / 2))


def test_a_long_session_is_remembered_by_its_last_items() -> None:
    assert asked(fitted([1, 2, 3, 4], [5, 6], longest=2), 1) == {}
    assert set(asked(fitted([1, 2, 3, 4], [5, 6], longest=2), 4)) == {3, 4}


def test_a_long_pause_ends_a_session() -> None:
    source = VMISKNN()
    source.fit(
        histories([(1, 0), (2, 1), (3, 40), (4, 41)], [(5, 0), (6, 1)], unit=MINUTE),
        items=ITEMS,
        until=99 * MINUTE,
        category=CATEGORY,
    )
    assert source.candidates(state((1, 200), at=201, unit=MINUTE)).item.tolist() == [1, 2]
    assert source.candidates(state((1, 100), (3, 200), at=201, unit=MINUTE)).item.tolist() == [3, 4]


def test_nothing_from_the_cut_on_is_learnt_from() -> None:
    source = VMISKNN()
    source.fit(histories([(1, 1), (2, 2), (3, 9)], [(4, 1), (5, 2)]), items=ITEMS, until=9 * SECOND, category=CATEGORY)
    assert source.candidates(state((1, 20), at=21)).item.tolist() == [1, 2]


def test_who_did_nothing_and_what_nobody_took_get_no_answer() -> None:
    source = fitted([1, 2], [3, 4])
    assert len(source.candidates(state(at=1))) == 0
    assert len(source.candidates(state((1, 1, EventType.IMPRESSION), at=2))) == 0
    assert asked(source, 7) == {}
    assert asked(fitted(), 1) == asked(VMISKNN(), 1) == {}


def test_the_best_are_given_and_the_reason_names_the_latest_item() -> None:
    source = fitted([1, 2], [1, 2], [1, 3], [4, 5])
    shopper = state((4, 1), (1, 2), at=3)
    assert source.candidates(shopper, 1).item.tolist() == [2]
    assert source.reasons(shopper, np.array([2])) == [Reason("taken in sessions with {title}", 1)]


def test_what_was_learnt_can_be_handed_to_the_constructor() -> None:
    source = fitted([1, 2], [1, 3, 2], [4, 5])
    again = VMISKNN(**source.settings(), **source.arrays())  # type: ignore[arg-type]
    assert asked(again, 1) == asked(source, 1) != {}


def test_an_array_that_is_not_its_own_is_refused() -> None:
    with pytest.raises(TypeError, match="does not know \\['weights'\\]"):
        VMISKNN(weights=np.zeros(1))
