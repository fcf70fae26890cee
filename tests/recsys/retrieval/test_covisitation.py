"""Co-visitation against counting pair by pair."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import MINUTE
from recsys.event import EventType
from recsys.retrieval.covisitation import CoVisitation, Relation
from recsys.slate import Reason
from tests.recsys.by_hand import SECOND, Row, histories, state

ITEMS = 7
CATEGORY = np.zeros(ITEMS, np.int64)
LOGS = st.lists(
    st.lists(st.tuples(st.integers(0, ITEMS - 1), st.integers(1, 5)), min_size=1, max_size=10, unique=True),
    min_size=1,
    max_size=4,
)


def fitted(
    log: list[list[Row]], relation: Relation, *, until: int = 99, least: int = 1, most: int = 99
) -> CoVisitation:
    source = CoVisitation(relation=relation, least=least, neighbours=most)
    shoppers = [sorted(rows, key=lambda row: row[1]) for rows in log]
    source.fit(histories(*shoppers), items=ITEMS, until=until * SECOND, category=CATEGORY)
    return source


def neighbours(source: CoVisitation, anchor: int) -> dict[int, float]:
    """Shares of one anchor, bought just now: a purchase weighs two views."""
    found = source.candidates(state((anchor, 1), at=2))
    return {int(item): float(score) / 2 for item, score in zip(found.item, found.score, strict=True)}


def shares(log: list[list[Row]], relation: Relation, anchor: int, until: int) -> dict[int, float]:
    """Moment by moment, pair by pair."""
    together: Counter[int] = Counter()
    support = 0
    for rows in log:
        known = [row for row in rows if row[0] and row[1] < until]
        times = sorted({row[1] for row in known})
        baskets = [[row[0] for row in known if row[1] == instant] for instant in times]
        support += sum(basket.count(anchor) for basket in baskets)
        beside = (
            [(a, b) for basket in baskets for a, b in product(basket, basket) if a != b]
            if relation is Relation.WITHIN
            else [pair for one, two in pairwise(baskets) for pair in product(one, two)]
        )
        together.update(b for a, b in beside if a == anchor)
    return {item: count / support for item, count in together.items()}


@settings(deadline=None)
@given(log=LOGS, relation=st.sampled_from(Relation), anchor=st.integers(1, ITEMS - 1), until=st.integers(2, 6))
def test_the_shares_are_those_of_counting_pair_by_pair(
    log: list[list[Row]], relation: Relation, anchor: int, until: int
) -> None:
    source = fitted(log, relation, until=until)
    assert neighbours(source, anchor) == pytest.approx(shares(log, relation, anchor, until))


BASKETS: list[list[Row]] = [[(1, 1), (2, 1), (3, 2)], [(1, 1), (2, 1)], [(1, 1), (4, 1)]]


def test_what_was_seen_together_once_only_is_chance() -> None:
    assert neighbours(fitted(BASKETS, Relation.WITHIN, least=2), 1) == pytest.approx({2: 2 / 3})


def test_only_the_nearest_neighbours_are_kept() -> None:
    assert neighbours(fitted(BASKETS, Relation.WITHIN, most=1), 1) == pytest.approx({2: 2 / 3})


def test_what_follows_is_directed() -> None:
    source = fitted(BASKETS, Relation.NEXT)
    assert neighbours(source, 1) == pytest.approx({3: 1 / 3})
    assert neighbours(source, 3) == {}


def test_the_anchors_of_a_session_add_up_and_fade() -> None:
    source = fitted([[(1, 1), (3, 1)], [(2, 1), (3, 1)]], Relation.WITHIN)
    seen = state((1, 10, EventType.VIEW), (2, 20, EventType.ADD_TO_CART), at=21)
    assert source.candidates(seen).score.tolist() == pytest.approx([0.8 * 1 + 2 * 1])
    assert source.reasons(seen, np.array([3])) == [Reason("often taken together with {title}", 2)]


def test_an_earlier_session_says_nothing() -> None:
    source = fitted([[(1, 1), (3, 1)], [(2, 1), (4, 1)]], Relation.WITHIN)
    seen = state((1, 0), (2, 31), at=40, unit=MINUTE)
    assert source.candidates(seen).item.tolist() == [4]


def test_a_shopper_without_history_gets_nothing() -> None:
    assert len(fitted(BASKETS, Relation.WITHIN).candidates(state(at=1))) == 0


def test_what_was_learnt_can_be_handed_to_the_constructor() -> None:
    source = fitted(BASKETS, Relation.WITHIN)
    again = CoVisitation(**source.settings(), **source.arrays())  # type: ignore[arg-type]
    assert neighbours(again, 1) == neighbours(source, 1) != {}


@pytest.mark.parametrize("relation", Relation)
def test_pairs_of_a_catalogue_whose_square_exceeds_32_bits_are_told_apart(relation: Relation) -> None:
    source, items, gap = CoVisitation(relation=relation, least=1), 70_000, 0 if relation is Relation.WITHIN else 1
    log = histories([(69_998, 1), (69_999, 1 + gap)])
    log = replace(log, events=replace(log.events, item=log.events.item.astype(np.int32)))  # as coded from a log
    source.fit(log, items=items, until=99 * SECOND, category=np.zeros(items, np.int64))
    assert neighbours(source, 69_998) == {69_999: 1.0}
