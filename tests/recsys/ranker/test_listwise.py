"""The learnt order, on a shop whose habits are known."""

from functools import cache

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.ranker.facts import CrowdFacts, Retrieved, facts_of, width
from recsys.ranker.listwise import Listwise
from recsys.shoppers import Shoppers
from recsys.slate import Candidates
from recsys.state import Context, ShopperState
from tests.recsys.by_hand import candidates_of_one, histories, state
from tests.recsys.retrieval.test_repurchase import CATEGORY, DURABLE, EXTRA, STAPLE, shop

CROWD = Candidates(np.array([EXTRA, STAPLE, DURABLE]), np.array([0.3, 0.2, 0.1], np.float32))
UNTIL = 200 * DAY


def questions(count: int) -> list[Retrieved]:
    """Baskets after `UNTIL`, everything proposed by everybody."""
    asked = []
    for history in shop():
        rows = np.flatnonzero(history.time >= UNTIL)
        if len(rows):
            at = int(history.time[rows[0]])
            target = np.unique(history.item[history.time == at])
            asked.append(Retrieved(ShopperState(history, Context(at=at)), {"crowd": CROWD}, target))
    return asked[:count]


@cache
def ranker() -> Listwise:
    made = Listwise(hidden=8, epochs=6, rate=0.01, kept=1.0)
    made.count(shop(), items=4, until=UNTIL, category=CATEGORY)
    made.fit(questions(200))
    return made


def test_a_staple_that_is_due_comes_before_what_is_bought_once_in_a_life() -> None:
    shopper = state((DURABLE, 0), *((STAPLE, 7 * week) for week in range(29)), at=203, unit=DAY)
    chance = ranker().chances(Shoppers([shopper]), candidates_of_one(np.array([STAPLE, DURABLE]), {"crowd": CROWD}))
    assert chance[0] > 0.8
    assert chance[1] < 0.2


def test_the_chances_are_those_of_the_moments_it_learnt_from() -> None:
    asked = questions(400)[200:]
    item = np.array([STAPLE, DURABLE, EXTRA])
    chance = np.stack([ranker().chances(Shoppers([q.state]), candidates_of_one(item, q.gathered)) for q in asked])
    taken = np.stack([np.isin(item, q.target) for q in asked])
    assert chance.mean() == pytest.approx(taken.mean(), abs=0.05)


def test_the_share_of_candidates_left_out_does_not_change_the_chances_much() -> None:
    few = Listwise(hidden=8, epochs=6, rate=0.01, kept=0.5)
    few.count(shop(), items=4, until=UNTIL, category=CATEGORY)
    few.fit(questions(200))
    shopper = state(*((STAPLE, 7 * week) for week in range(6)), at=42, unit=DAY)
    ours, theirs = (
        r.chances(Shoppers([shopper]), candidates_of_one(np.array([DURABLE, EXTRA]), {"crowd": CROWD}))
        for r in (few, ranker())
    )
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.1)


def test_what_it_learnt_can_be_handed_to_the_constructor() -> None:
    again = Listwise(**ranker().settings(), **ranker().arrays())  # type: ignore[arg-type]
    shopper = state((EXTRA, 3), at=9, unit=DAY)
    item = np.array([STAPLE, EXTRA])
    assert again.ready
    np.testing.assert_array_equal(
        again.chances(Shoppers([shopper]), candidates_of_one(item, {"crowd": CROWD})),
        ranker().chances(Shoppers([shopper]), candidates_of_one(item, {"crowd": CROWD})),
    )


def test_nothing_from_the_cut_on_is_counted() -> None:
    one = CrowdFacts.of(shop(), items=4, until=UNTIL, category=CATEGORY).arrays()
    two = CrowdFacts.of(shop().before(UNTIL), items=4, until=UNTIL, category=CATEGORY).arrays()
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name], err_msg=name)


def test_it_is_ready_only_when_it_was_fitted_to_something() -> None:
    made = Listwise()
    made.count(shop(), items=4, until=UNTIL, category=CATEGORY)
    assert not made.ready
    made.fit([])
    assert not made.ready
    with pytest.raises(RuntimeError, match="call count and fit first"):
        made.chances(Shoppers([state(at=1)]), candidates_of_one(np.array([1]), {}))
    with pytest.raises(RuntimeError, match="call count first"):
        Listwise().fit([])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("networks", 0), ("hidden", 0), ("epochs", 0), ("kept", 0.0), ("rate", 0.0), ("explore", -1.0)],
)
def test_settings_that_cannot_work_are_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"ranker.{setting}"):
        Listwise(**{setting: value})  # type: ignore[arg-type]


def test_an_array_that_is_not_its_own_is_refused() -> None:
    with pytest.raises(TypeError, match="weight9"):
        Listwise(weight9=np.zeros(1))


def test_facts_are_as_many_as_announced_and_finite_for_who_never_came_and_what_nobody_proposed() -> None:
    crowd = CrowdFacts.of(shop(), items=4, until=UNTIL, category=CATEGORY)
    nobody = state((0, 1), (2, 1, EventType.VIEW), at=2, unit=DAY)
    facts, new = facts_of(
        Shoppers([nobody]),
        candidates_of_one(np.array([1, 2]), {"crowd": CROWD}),
        sources=("crowd", "silent"),
        crowd=crowd,
    )
    assert facts.shape == (2, width(("crowd", "silent")))
    assert np.isfinite(facts).all()
    assert new.tolist() == [True, True]
    assert facts[:, 0] == pytest.approx(np.log(np.array([0.2, 0.1]) + 1e-5))
    assert facts[:, 1] == pytest.approx(np.log(1e-5))


def test_new_is_what_the_shopper_never_bought_a_view_is_no_purchase() -> None:
    crowd = CrowdFacts.of(shop(), items=4, until=UNTIL, category=CATEGORY)
    shopper = state((STAPLE, 1), (EXTRA, 1, EventType.VIEW), at=2, unit=DAY)
    _, new = facts_of(
        Shoppers([shopper]), candidates_of_one(np.array([STAPLE, DURABLE, EXTRA]), {}), sources=(), crowd=crowd
    )
    assert new.tolist() == [False, True, True]


def test_shares_of_a_category_and_first_purchases_are_counted_by_hand() -> None:
    log = histories([(1, 1), (1, 90), (2, 95)], [(1, 95)], unit=DAY)
    crowd = CrowdFacts.of(log, items=4, until=100 * DAY, category=np.array([0, 1, 1, 2]))
    assert crowd.crowd.tolist() == pytest.approx([0, 1, 0])
    assert np.exp(crowd.popularity[1:]).tolist() == pytest.approx([2.5, 1.5, 0.5])
    assert np.exp(crowd.first_time[1:]).tolist() == pytest.approx([1.5, 1.5, 0.5])
    assert np.exp(crowd.share[1:]).tolist() == pytest.approx([2 / 3 + 1e-4, 1 / 3 + 1e-4, 1e-4], abs=1e-6)
    assert np.exp(crowd.repeat[1:]).tolist() == pytest.approx([2 / 7, 1 / 6, 1 / 5])
