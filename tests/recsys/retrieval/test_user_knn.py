"""Shoppers like this one, against dense vectors."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.retrieval.user_knn import UserKNN
from recsys.slate import Reason
from recsys.state import ShopperState
from tests.recsys.by_hand import Row, histories, state

ITEMS = 6
CATEGORY = np.zeros(ITEMS, np.int64)
BASKETS = st.lists(st.tuples(st.integers(1, ITEMS - 1), st.integers(0, 200)), min_size=1, max_size=8, unique=True).map(
    lambda rows: sorted(rows, key=lambda row: row[1])
)


def fitted(*shoppers: list[Row], **arguments: object) -> UserKNN:
    source = UserKNN(**arguments)  # type: ignore[arg-type]
    source.fit(histories(*shoppers, unit=DAY), items=ITEMS, until=300 * DAY, category=CATEGORY)
    return source


def asked(source: UserKNN, shopper: ShopperState) -> dict[int, float]:
    found = source.candidates(shopper)
    assert found.score.tolist() == sorted(found.score.tolist(), reverse=True)
    return dict(zip(found.item.tolist(), found.score.tolist(), strict=True))


def shares(rows: list[Row], half_life: float) -> np.ndarray:
    """Basket by basket."""
    share, total = np.zeros(ITEMS), 0.0
    for day in {row[1] for row in rows}:
        weight = 0.5 ** ((max(row[1] for row in rows) - day) / half_life)
        share[list({row[0] for row in rows if row[1] == day})] += weight
        total += weight
    return share / total


@settings(deadline=None)
@given(
    shoppers=st.lists(BASKETS, min_size=1, max_size=5),
    own=BASKETS,
    alpha=st.sampled_from([0.0, 0.3]),
    neighbours=st.integers(1, 6),
)
def test_the_scores_are_those_of_dense_vectors(
    shoppers: list[list[Row]], own: list[Row], alpha: float, neighbours: int
) -> None:
    source = fitted(*shoppers, own=alpha, neighbours=neighbours, half_life_days=50.0)
    vectors = np.stack([shares(rows, 50.0) for rows in shoppers])
    mine = shares(own, 50.0)
    rarity = np.log((len(shoppers) + 1) / np.maximum((vectors > 0).sum(0), 1))
    alike = (vectors * rarity) @ (mine * rarity) / np.linalg.norm(vectors * rarity, axis=1)
    best = np.lexsort((np.arange(len(alike)), -alike.round(9)))[:neighbours]
    if 0 < neighbours < len(alike) and math.isclose(alike[best[-1]], np.sort(alike)[::-1][neighbours], abs_tol=1e-6):
        return  # two are equally alike at the border: either may answer
    crowd = alike[best] @ vectors[best] / max(alike[best].sum(), 1e-12)
    expected = (1 - alpha) * crowd + alpha * mine
    found = asked(source, state(*own, at=300, unit=DAY))
    assert [found.get(item, 0.0) for item in range(ITEMS)] == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_neighbour_gives_what_they_take_by_its_share_of_their_baskets() -> None:
    source = fitted([(1, 0), (2, 0), (1, 10)], [(3, 0), (4, 0)], own=0.0, half_life_days=1e9)
    assert asked(source, state((1, 5), at=9, unit=DAY)) == pytest.approx({1: 1.0, 2: 0.5})


def test_an_old_basket_counts_half_after_each_half_life() -> None:
    source = fitted([(1, 0), (2, 90)], own=0.0, half_life_days=90)
    assert asked(source, state((1, 5), at=9, unit=DAY)) == pytest.approx({2: 2 / 3, 1: 1 / 3})


def test_the_own_part_comes_from_the_shopper_alone() -> None:
    source = fitted([(3, 0)], own=0.4)
    assert asked(source, state((1, 1), (2, 1), at=9, unit=DAY)) == pytest.approx({1: 0.4, 2: 0.4})
    assert source.reasons(state((1, 1), at=9), np.array([1, 2])) == [
        Reason("you take it now and then"),
        Reason("shoppers like you take it"),
    ]


def test_only_the_shoppers_last_seen_are_remembered() -> None:
    source = fitted([(1, 0), (2, 0)], [(1, 5), (3, 5)], own=0.0, shoppers=1)
    assert set(asked(source, state((1, 5), at=9, unit=DAY))) == {1, 3}


def test_a_shopper_is_described_by_the_items_taken_most() -> None:
    source = fitted([(1, 0), (2, 0), (1, 5), (2, 9), (3, 9)], own=0.0, items_per_shopper=2)
    assert set(asked(source, state((1, 5), at=9, unit=DAY))) == {1, 2}


def test_an_item_finds_those_who_take_it_most() -> None:
    source = fitted([(1, 0), (2, 0), (3, 0)], [(1, 0)], own=0.0, shoppers_per_item=1)
    assert set(asked(source, state((1, 5), at=9, unit=DAY))) == {1}


def test_nothing_from_the_cut_on_is_learnt_from() -> None:
    source = UserKNN(own=0.0)
    source.fit(histories([(1, 1), (2, 1), (3, 9)], unit=DAY), items=ITEMS, until=9 * DAY, category=CATEGORY)
    assert set(asked(source, state((1, 20), at=21, unit=DAY))) == {1, 2}


def test_a_shopper_without_history_gets_nothing_and_an_empty_log_breaks_nothing() -> None:
    assert len(fitted([(1, 0)]).candidates(state(at=1))) == 0
    assert asked(fitted(), state((1, 1), at=2)) == pytest.approx({1: 0.5})
    assert len(UserKNN().candidates(state((1, 1), at=2))) == 0


def test_what_was_learnt_can_be_handed_to_the_constructor() -> None:
    source = fitted([(1, 0), (2, 0)], [(1, 5), (3, 5)])
    again = UserKNN(**source.settings(), **source.arrays())  # type: ignore[arg-type]
    shopper = state((1, 5), at=9, unit=DAY)
    assert asked(again, shopper) == asked(source, shopper) != {}
