"""The plain policy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.event import EventType
from recsys.policy.top_k import TopK
from recsys.retrieval.repurchase import Repurchase
from recsys.slate import Candidates
from recsys.state import ShopperState
from tests.recsys.by_hand import state

NOBODY = state(at=1)


def candidates(**score: float) -> Candidates:
    """Candidates item1=..., item2=...; in the order given."""
    return Candidates(
        np.array([int(name.removeprefix("item")) for name in score]), np.array([*score.values()], np.float32)
    )


def shown(found: Candidates, who: ShopperState, *, count: int = 10, policy: TopK | None = None) -> list[int]:
    choice = (policy or TopK()).choose(found, who, count=count, rng=np.random.default_rng(0))
    return found.item[choice.place].tolist()


def test_the_best_come_first() -> None:
    found = candidates(item3=0.1, item1=0.9, item2=0.5)
    choice = TopK().choose(found, NOBODY, count=2, rng=np.random.default_rng(0))
    assert found.item[choice.place].tolist() == [1, 2]
    assert choice.score.tolist() == [np.float32(0.9), 0.5]
    assert choice.propensity.tolist() == [1.0, 1.0]


def test_ties_go_to_the_smaller_index_whatever_the_order_they_come_in() -> None:
    assert shown(candidates(item9=0.5, item4=0.5, item7=0.5), NOBODY) == [4, 7, 9]


def test_what_is_in_the_basket_or_excluded_is_never_shown() -> None:
    who = state((1, 1, EventType.ADD_TO_CART), at=2, exclude=frozenset({2}))
    assert shown(candidates(item1=0.9, item2=0.8, item3=0.1), who) == [3]


def test_fewer_candidates_than_asked_for_give_a_shorter_slate() -> None:
    assert shown(candidates(item1=0.9), NOBODY, count=5) == [1]
    assert shown(Candidates.none(), NOBODY, count=5) == []


@given(
    basket=st.sets(st.integers(1, 8)),
    exclude=st.frozensets(st.integers(1, 8)),
    score=st.lists(st.sampled_from([0.0, 0.1, 0.5]), min_size=8, max_size=8),
    count=st.integers(1, 9),
)
def test_the_slate_is_the_best_of_what_may_be_shown(
    basket: set[int], exclude: frozenset[int], score: list[float], count: int
) -> None:
    who = state(*((item, 1, EventType.ADD_TO_CART) for item in basket), at=2, exclude=exclude)
    found = Candidates(np.arange(1, 9), np.array(score, np.float32))
    allowed = [item for item in range(1, 9) if item not in basket | exclude]
    assert shown(found, who, count=count) == sorted(allowed, key=lambda item: (-score[item - 1], item))[:count]


def bought_yesterday(*, unit: int = DAY) -> ShopperState:
    return state((1, 9), at=10, unit=unit)


def model() -> Repurchase:
    """What was bought a day ago sinks to a tenth; at an interval of 60 days it recovers in half an hour + 0.4 days."""
    multiplier = np.ones((5, 7), np.float32)
    multiplier[:, :2] = 0.1
    return Repurchase(np.array([0, 1, 1]), np.array([60.0, 60.0], np.float32), multiplier)


def test_what_was_just_bought_sinks_by_the_learnt_chance() -> None:
    found = candidates(item1=0.5, item2=0.2)
    assert shown(found, bought_yesterday()) == [1, 2]
    assert shown(found, bought_yesterday(), policy=TopK(repurchase=model())) == [2, 1]


def test_the_part_of_a_score_that_knows_of_the_purchase_does_not_sink_again() -> None:
    score = np.array([0.5, 0.2], np.float32)
    found = Candidates(np.array([1, 2]), score, timed=np.array([0.4, 0.0], np.float32))
    choice = TopK(repurchase=model()).choose(found, bought_yesterday(), count=2, rng=np.random.default_rng(0))
    np.testing.assert_allclose(choice.score, [0.4 + 0.1 * 0.1, 0.2], rtol=1e-6)


def test_everything_waits_for_the_item_to_recover_over_its_interval_squared() -> None:
    found = Candidates(np.array([1]), np.array([0.8], np.float32), timed=np.array([0.8], np.float32))
    a_tenth_of_a_day_later = bought_yesterday(unit=DAY // 10)
    choice = TopK(repurchase=model()).choose(found, a_tenth_of_a_day_later, count=1, rng=np.random.default_rng(0))
    np.testing.assert_allclose(choice.score, [0.8 * 0.1 / (1 / 48 + 0.4)], rtol=1e-6)
