"""New things of the kinds a shopper takes, by hand."""

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.retrieval.category_affinity import CategoryAffinity
from recsys.slate import Reason
from tests.recsys.by_hand import Row, histories, state

CATEGORY = np.array([0, 1, 1, 2, 2])
LOG: list[list[Row]] = [[(1, 80), (3, 90)], [(2, 80), (1, 90)]]


def fitted(**arguments: float) -> CategoryAffinity:
    source = CategoryAffinity(**arguments)  # type: ignore[arg-type]
    source.fit(histories(*LOG, unit=DAY), items=5, until=100 * DAY, category=CATEGORY)
    return source


def test_a_stranger_gets_what_is_usual_in_the_crowds_categories() -> None:
    found = fitted().candidates(state(at=100, unit=DAY))
    assert found.item.tolist() == [1, 2, 3]
    assert found.score.tolist() == pytest.approx([3 / 4 * 2 / 3, 3 / 4 * 1 / 3, 1 / 4])


def test_a_shopper_gets_the_chance_of_their_own_categories_with_the_crowd_as_prior() -> None:
    source = fitted(half_life_days=10.0, prior_moments=2.0)
    found = source.candidates(state((4, 80), (3, 90), (4, 90), (1, 90), at=100, unit=DAY))
    chance = {1: (0.5 + 2 * 3 / 4) / (0.75 + 2), 2: (0.25 + 0.5 + 2 * 1 / 4) / (0.75 + 2)}
    expected = {1: chance[1] * 2 / 3, 2: chance[1] / 3, 3: chance[2]}
    assert dict(zip(found.item.tolist(), found.score.tolist(), strict=True)) == pytest.approx(expected)


def test_only_the_best_are_given_and_only_so_many_of_a_category_are_kept() -> None:
    assert fitted().candidates(state(at=100, unit=DAY), 2).item.tolist() == [1, 2]
    assert fitted(most=1).candidates(state(at=100, unit=DAY)).item.tolist() == [1, 3]


def test_items_that_were_not_taken_lately_are_not_proposed() -> None:
    assert fitted(days=15).candidates(state(at=100, unit=DAY)).item.tolist() == [1, 3]


def test_the_reason_names_the_latest_item_of_the_category() -> None:
    source = fitted()
    assert source.reasons(state((4, 80), (3, 90), at=100, unit=DAY), np.array([4, 1])) == [
        Reason("goes with your taste for {title}", 3),
        Reason("much taken"),
    ]


def test_nothing_from_the_cut_on_is_learnt_from() -> None:
    source = CategoryAffinity()
    source.fit(histories(*LOG, unit=DAY), items=5, until=90 * DAY, category=CATEGORY)
    assert source.candidates(state(at=100, unit=DAY)).item.tolist() == [1, 2]


def test_what_was_learnt_can_be_handed_to_the_constructor_and_without_it_there_is_nothing_to_say() -> None:
    source, shopper = fitted(), state((1, 80), at=100, unit=DAY)
    again = CategoryAffinity(**source.settings(), **source.arrays())  # type: ignore[arg-type]
    assert again.candidates(shopper).score.tolist() == source.candidates(shopper).score.tolist()
    assert len(CategoryAffinity().candidates(shopper)) == 0
    with pytest.raises(TypeError, match="weights"):
        CategoryAffinity(weights=np.zeros(1))
