"""What goes with what, by hand: categories bread (items 1, 2), butter (3, 4) and milk (5)."""

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.retrieval.complement import Complement
from recsys.slate import Reason
from tests.recsys.by_hand import Row, histories, state

CATEGORY = np.array([0, 1, 1, 2, 2, 3])
BASKETS: list[list[Row]] = [
    [(1, 1), (3, 1), (5, 1)],
    [(1, 2), (3, 2), (5, 2)],
    [(1, 3), (2, 3), (5, 3)],
    [(4, 4), (5, 4)],
    [(4, 5), (5, 5)],
    [(4, 6), (5, 6)],
]


def fitted(until: int = 10, **settings: float) -> Complement:
    source = Complement(**{"least": 1, "prior_moments": 0.0, **settings})  # type: ignore[arg-type]
    source.fit(histories(*BASKETS, unit=DAY), items=6, until=until * DAY, category=CATEGORY)
    return source


def found(source: Complement, *rows: Row) -> dict[int, float]:
    answer = source.candidates(state(*rows, at=10, unit=DAY))
    return dict(zip(answer.item.tolist(), answer.score.tolist(), strict=True))


def test_a_pair_counts_by_what_the_one_gains_from_the_other() -> None:
    """Item 3 is in 2 of the 3 baskets of item 1 and in 2 of all 6; milk is in every basket and gains nothing."""
    assert found(fitted(), (1, 9)) == pytest.approx({3: 2 * (2 / 3 - 2 / 6)}), "a purchase weighs 2"


def test_things_of_the_same_kind_are_no_complements() -> None:
    assert 2 not in found(fitted(), (1, 9))
    assert found(fitted(), (1, 9), (4, 9)) == {}, "butter is in the basket already"


def test_a_rare_item_leans_on_its_category() -> None:
    """Bread is in 3 baskets, butter with it in 2 of them but in 5 of all 6: to butter, bread as such adds nothing."""
    assert found(fitted(prior_moments=1.0), (1, 9)) == pytest.approx({3: 2 * 3 / 4 * (2 / 3 - 2 / 6)})


def test_a_new_item_has_its_categorys_complements() -> None:
    category = np.array([0, 1, 2, 2, 3, 1])  # item 5 is bread that nobody took yet
    log: list[list[Row]] = [[(1, 1), (2, 1)], [(1, 2), (2, 2)], [(1, 3), (3, 3)], [(4, 4)]]
    source = Complement(least=1)
    source.fit(histories(*log, unit=DAY), items=6, until=10 * DAY, category=category)
    assert found(source, (5, 9)) == pytest.approx({2: 2 * (1 - 3 / 4) * 2 / 3, 3: 2 * (1 - 3 / 4) * 1 / 3})


def test_what_was_seen_less_often_than_asked_for_is_chance() -> None:
    assert found(fitted(least=3), (1, 9)) == {}


def test_nothing_from_the_cut_on_is_learnt_from() -> None:
    assert found(fitted(until=2), (1, 9)) == {}, "one basket, and what is in every basket gains nothing"


def test_the_reason_names_what_each_goes_with() -> None:
    source = fitted()
    assert source.reasons(state((5, 9), (1, 9), at=10, unit=DAY), np.array([3])) == [Reason("goes with {title}", 1)]


def test_without_a_session_or_before_it_learnt_there_is_nothing_to_go_with() -> None:
    assert found(fitted()) == {}
    assert found(Complement(), (1, 9)) == {}
