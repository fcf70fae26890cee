"""What is new in the shop, by hand."""

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.feature.item import NEVER, PATH, WORDS, ItemFacts
from recsys.retrieval.new_arrivals import NewArrivals
from recsys.slate import Reason
from tests.recsys.by_hand import Row, histories, state

CATEGORY = np.array([0, 1, 1, 2, 2])
OLD: list[Row] = [(1, 10), (1, 60), (1, 98)]
NEW: list[list[Row]] = [[(2, 90)], [(2, 92)], [(3, 96)], [(1, 97)]]
"""Item 2 is first seen on day 90 and taken once more, item 3 on day 96 and never again."""


def fitted(*shoppers: list[Row], until: int = 100, born: list[int] | None = None, **settings: float) -> NewArrivals:
    plain: dict[str, float] = {"half_life_days": 1e9, "prior_moments": 1.0, **settings}
    source = NewArrivals(**plain)  # type: ignore[arg-type]
    facts = None
    if born is not None:
        none = np.zeros(5, np.int32)
        facts = ItemFacts(
            np.zeros((5, PATH), np.int32), none, none.astype(np.int8), np.array(born), np.zeros((5, WORDS), np.int16)
        )
    log = histories(*(shoppers or (OLD, *NEW)), unit=DAY)
    source.fit(log, items=5, until=until * DAY, category=CATEGORY, facts=facts)
    return source


def scores(source: NewArrivals, *rows: Row, at: int = 100) -> dict[int, float]:
    found = source.candidates(state(*rows, at=at, unit=DAY))
    return dict(zip(found.item.tolist(), found.score.tolist(), strict=True))


def test_a_new_item_is_counted_against_the_moments_since_its_birth_and_not_by_the_event_that_bore_it() -> None:
    """Since day 90 there were four moments and item 2 was in one; since day 96 two, item 3 in none."""
    usual = (1 + 1_000 * 1e-4) / (4 + 2 + 1_000)
    assert scores(fitted()) == pytest.approx({2: (1 + usual) / (4 + 1), 3: (0 + usual) / (2 + 1)}, rel=1e-4)


def test_early_events_fade() -> None:
    source = fitted([(1, 0)], [(2, 90)], [(2, 98)], [(1, 99)], half_life_days=1.0, prior_moments=0.0)
    assert scores(source) == pytest.approx({2: 0.25 / 0.75})


def test_a_shopper_gets_what_is_new_in_their_own_categories_first() -> None:
    source = fitted(taste_half_life_days=1e9)
    crowd, mine = 1 / 7, (1 + 5 * 1 / 7) / (1 + 5)
    found = scores(source, (4, 99))
    assert found[3] == pytest.approx(scores(source)[3] * mine / crowd, rel=1e-4)
    assert source.reasons(state((4, 99), at=100, unit=DAY), np.array([3, 2])) == [
        Reason("new, of a kind you take"),
        Reason("new in the shop"),
    ]


def test_the_catalogue_knows_better_what_is_new() -> None:
    born = [NEVER, 0, 5 * DAY, 95 * DAY, 99 * DAY]
    source = fitted(born=born)
    assert set(scores(source)) == {3, 4}, "2 was there long before anybody took it; 4 nobody took yet"
    assert scores(source)[4] > 0


def test_nothing_from_the_cut_on_is_learnt_from() -> None:
    assert set(scores(fitted(until=96))) == {2}
    assert set(scores(fitted(until=96, born=[NEVER, 0, 90 * DAY, 96 * DAY, 97 * DAY]))) == {2}


def test_an_item_is_new_for_so_many_days_when_asked_too() -> None:
    assert set(scores(fitted(), at=121)) == {3}
    assert scores(fitted(), at=127) == {}


def test_at_the_start_of_a_log_everything_is_seen_first_and_nothing_is_new() -> None:
    assert set(scores(fitted([(1, 90)], [(2, 92)], [(3, 99)]))) == {3}
    assert scores(NewArrivals()) == {}
