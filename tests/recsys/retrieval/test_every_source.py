"""What every source of candidates keeps to, on logs that nobody wrote by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.event import EventType
from recsys.feature.item import NEVER, PATH, WORDS, ItemFacts
from recsys.protocols import CandidateSource
from recsys.registry import construct, described
from recsys.retrieval.behaviour import Behaviour
from recsys.retrieval.buy_again import BuyAgain
from recsys.retrieval.category_affinity import CategoryAffinity
from recsys.retrieval.category_popular import CategoryPopular
from recsys.retrieval.complement import Complement
from recsys.retrieval.covisitation import CoVisitation
from recsys.retrieval.due import Due
from recsys.retrieval.look_alike import LookAlike
from recsys.retrieval.new_arrivals import NewArrivals
from recsys.retrieval.popular import Popular
from recsys.retrieval.proposals import proposed
from recsys.retrieval.rfm import RFM
from recsys.retrieval.segment_popular import SegmentPopular
from recsys.retrieval.trending import Trending
from recsys.retrieval.trending_category import TrendingInCategory
from recsys.retrieval.trending_segment import TrendingInSegment
from recsys.retrieval.user_knn import UserKNN
from recsys.retrieval.vmis_knn import VMISKNN
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates
from recsys.state import Context, ShopperState
from tests.recsys.by_hand import Row, histories
from tests.recsys.by_hand import state as state_of

ITEMS = 9
UNTIL = 60
CATEGORY = np.array([0, 1, 1, 1, 2, 2, 2, 3, 0])
LOOSE = {"usual": 0.5, "caution": 0.0}
SOURCES: dict[str, Callable[[], CandidateSource]] = {
    "popular": Popular,
    "category": CategoryPopular,
    "affinity": CategoryAffinity,
    "buy_again": BuyAgain,
    "due": Due,
    "covisitation": lambda: CoVisitation(relation="within", least=1),
    "user_knn": UserKNN,
    "vmis_knn": VMISKNN,
    "trending": lambda: Trending(**LOOSE),  # type: ignore[arg-type]
    "trending_category": lambda: TrendingInCategory(**LOOSE),  # type: ignore[arg-type]
    "trending_segment": lambda: TrendingInSegment(segments=Behaviour(segments=2, least=1), **LOOSE),  # type: ignore[arg-type]
    "segment_rfm": lambda: SegmentPopular(segments=RFM(classes=2), prior_moments=1.0),
    "segment_behaviour": lambda: SegmentPopular(segments=Behaviour(segments=2, least=1)),
    "look_alike": lambda: LookAlike(neighbours=4),
    "complement": lambda: Complement(least=1),
    "new_arrivals": NewArrivals,
}

ROWS = st.tuples(
    st.integers(1, ITEMS - 1),
    st.integers(0, UNTIL + 20),
    st.sampled_from([EventType.VIEW, EventType.ADD_TO_CART, EventType.PURCHASE]),
)
SHOPPERS = st.lists(ROWS, min_size=1, max_size=12).map(lambda rows: sorted(rows, key=lambda row: row[1]))
LOGS = st.lists(SHOPPERS, min_size=1, max_size=6)


def facts() -> ItemFacts:
    path = np.zeros((ITEMS, PATH), np.int32)
    path[:, 0] = CATEGORY
    words = np.zeros((ITEMS, WORDS), np.int16)
    words[1:, 0] = np.arange(1, ITEMS) % 3
    born = np.array([NEVER, *(5 * number * DAY for number in range(1, ITEMS - 1)), NEVER])
    return ItemFacts(path, np.arange(ITEMS, dtype=np.int32) % 2, np.ones(ITEMS, np.int8), born, words)


def fitted(name: str, log: Histories) -> CandidateSource:
    source = SOURCES[name]()
    source.fit(log, items=ITEMS, until=UNTIL * DAY, category=CATEGORY, facts=facts())
    return source


def asked(log: list[list[Row]]) -> list[ShopperState]:
    """Everybody of the log a minute after their last event before the cut, and somebody unknown."""
    known = histories(*log, unit=DAY).before(UNTIL * DAY)
    states = [ShopperState(history, Context(at=int(history.time[-1]) + 60_000_000)) for history in known]
    return [*states, ShopperState(histories([(1, 1)]).events[:0], Context(at=UNTIL * DAY))]


def said(source: CandidateSource, state: ShopperState) -> tuple[list[int], list[float]]:
    found = source.candidates(state)
    return found.item.tolist(), found.score.tolist()


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=25)
@given(log=LOGS)
def test_nothing_at_or_after_the_cut_is_learnt_from(name: str, log: list[list[Row]]) -> None:
    whole = histories(*log, unit=DAY)
    one, two = fitted(name, whole), fitted(name, whole.before(UNTIL * DAY))
    assert one.arrays().keys() == two.arrays().keys()
    for array, values in one.arrays().items():
        np.testing.assert_array_equal(values, two.arrays()[array], err_msg=array)


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=25)
@given(log=LOGS)
def test_candidates_are_distinct_items_best_first_with_a_reason_each(name: str, log: list[list[Row]]) -> None:
    source = fitted(name, histories(*log, unit=DAY))
    for state in asked(log):
        found: Candidates = source.candidates(state)
        assert len(set(found.item.tolist())) == len(found) == len(found.score)
        assert ((found.item > 0) & (found.item < ITEMS)).all()
        assert (found.score >= 0).all()
        assert (np.diff(found.score) <= 1e-7).all()
        first = source.candidates(state, 2)
        assert first.score.tolist() == pytest.approx(found.score[:2].tolist())
        reasons = source.reasons(state, found.item)
        assert len(reasons) == len(found)
        assert all(reason.words and ("{title}" in reason.words) == bool(reason.cause) for reason in reasons)


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=10)
@given(log=LOGS)
def test_a_source_built_again_from_its_settings_and_arrays_says_the_same(name: str, log: list[list[Row]]) -> None:
    source = fitted(name, histories(*log, unit=DAY))
    stored = described(source)
    again = construct(stored["class"], {**stored["settings"], **source.arrays()})
    assert again.name == source.name
    for state in asked(log):
        assert said(again, state) == said(source, state)


@pytest.mark.parametrize("name", SOURCES)
def test_before_it_learnt_a_source_has_nothing_to_say_but_what_the_shopper_did(name: str) -> None:
    state = asked([[(1, 5, EventType.VIEW), (2, 6, EventType.VIEW)]])[0]
    assert len(SOURCES[name]().candidates(state)) == 0


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=15)
@given(log=LOGS, asked=LOGS, count=st.one_of(st.none(), st.integers(1, 5)))
def test_many_shoppers_are_proposed_what_each_is_proposed_alone(
    name: str, log: list[list[Row]], asked: list[list[Row]], count: int | None
) -> None:
    source = fitted(name, histories(*log, unit=DAY))
    states = [state_of(*rows, at=UNTIL + 5, unit=DAY) for rows in asked]
    together = proposed(source, Shoppers(states), count)
    for number, one in enumerate(states):
        alone = source.candidates(one, count)
        assert together.one(number).item.tolist() == alone.item.tolist()
        np.testing.assert_allclose(together.one(number).score, alone.score, rtol=1e-6)
