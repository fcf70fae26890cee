"""Things alike by their content: against brute force and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.event import EventType
from recsys.feature.item import NEVER, PATH, WORDS, ItemFacts
from recsys.retrieval.content import Contents, alike
from recsys.retrieval.look_alike import LookAlike
from recsys.slate import Reason
from tests.recsys.by_hand import Row, histories, state

TEA, MILK = (1, 1, 1, 0), (1, 2, 2, 0)
"""Paths: both are food."""


def facts(*items: tuple[tuple[int, ...], int, int, tuple[int, ...]], born: list[int] | None = None) -> ItemFacts:
    """Of items (path, brand, price class, words) from index 1 on."""
    nothing = ((0,) * PATH, 0, 0, ())
    rows = [nothing, *items]
    return ItemFacts(
        path=np.array([row[0] for row in rows], np.int32),
        brand=np.array([row[1] for row in rows], np.int32),
        price=np.array([row[2] for row in rows], np.int8),
        born=np.array([NEVER, *(born or [0] * len(items))], np.int64),
        text=np.array([row[3] + (0,) * (WORDS - len(row[3])) for row in rows], np.int16),
    )


SHOP = facts((TEA, 1, 5, (7, 8)), (TEA, 1, 5, (8, 7)), (TEA, 2, 5, (7, 9)), (MILK, 3, 6, (4,)), (TEA, 1, 5, (7, 8, 3)))
CATEGORY = np.array([0, 1, 1, 1, 2, 1])


def brute_force(shop: ItemFacts) -> np.ndarray:
    """Cosine of every pair [V, V]."""
    sets = [
        {("path", level, int(code)) for level, code in enumerate(path) if code}
        | {("brand", int(brand)), ("price", int(price)), *(("word", int(word)) for word in text)}
        for path, brand, price, text in zip(shop.path, shop.brand, shop.price, shop.text, strict=True)
    ]
    sets = [{token for token in tokens if token[-1]} for tokens in sets]
    held = [token for tokens in sets for token in tokens]
    weight = {token: np.log((len(sets) - 1) / held.count(token)) for token in held}
    dot = [[sum(weight[token] ** 2 for token in one & two) for two in sets] for one in sets]
    length = np.sqrt(np.maximum(np.diag(dot), 1e-9))
    found: np.ndarray = np.array(dot) / (length[:, None] * length)
    np.fill_diagonal(found, 0)
    return found


def contents(shop: ItemFacts) -> Contents:
    known = np.ones(len(shop.born), bool)
    known[0] = False
    return Contents.of(np.zeros(len(known), np.int64), shop, known)


PATHS = st.tuples(st.integers(1, 2), st.integers(0, 3), st.integers(0, 4), st.integers(0, 5))
ITEMS = st.tuples(PATHS, st.integers(0, 3), st.integers(0, 3), st.lists(st.integers(1, 9), max_size=2).map(tuple))


@given(st.lists(ITEMS, min_size=2, max_size=12))
def test_the_most_alike_are_those_of_all_pairs_where_lists_are_short(
    items: list[tuple[tuple[int, ...], int, int, tuple[int, ...]]],
) -> None:
    shop = facts(*items)
    found, cosine = alike(contents(shop), len(items))
    expected = brute_force(shop)
    for number in range(1, len(items) + 1):
        np.testing.assert_allclose(cosine[number], np.sort(expected[number])[::-1][: len(items)], atol=1e-3)
        near = found[number][found[number] > 0]
        np.testing.assert_allclose(expected[number][near], cosine[number][: len(near)], atol=1e-3)
        assert len(set(near.tolist())) == len(near)
        assert number not in near


def test_the_order_of_words_does_not_matter_and_a_word_more_makes_less_alike() -> None:
    found, cosine = alike(contents(SHOP), 3)
    assert found[1].tolist() == [2, 5, 3]
    assert cosine[1, 0] == pytest.approx(1.0)
    assert 1 > cosine[1, 1] > cosine[1, 2] > 0
    assert found[4].tolist() == [0, 0, 0], "what all have in common makes nobody alike"


LOG: list[list[Row]] = [[(1, 90), (2, 95)], [(4, 50), (4, 60)]]


def fitted(shop: ItemFacts | None = SHOP, until: int = 100) -> LookAlike:
    source = LookAlike(neighbours=3)
    source.fit(histories(*LOG, unit=DAY), items=6, until=until * DAY, category=CATEGORY, facts=shop)
    return source


def test_the_score_is_the_likeness_times_the_learnt_chance() -> None:
    """Of the look-alikes of item 1, none taken before the last 28 days, item 2 came next."""
    source = fitted()
    _, cosine = alike(contents(SHOP), 3)
    untried = (1_000 * 1e-4 + 1) / (1_000 + float(cosine[1].sum()))
    found = source.candidates(state((1, 99, EventType.VIEW), at=100, unit=DAY))
    assert found.item.tolist() == [5, 3, 2], "what was taken before has no chance of its own yet but the prior"
    assert found.score.tolist() == pytest.approx([untried * cosine[1, 1], untried * cosine[1, 2], 1e-4])


def test_what_nobody_ever_took_is_proposed_and_says_why() -> None:
    source, visitor = fitted(), state((2, 99, EventType.VIEW), at=100, unit=DAY)
    assert 5 in source.candidates(visitor).item
    assert source.reasons(visitor, np.array([5])) == [Reason("much like {title}", 2)]


def test_what_is_born_later_is_not_proposed_and_what_has_no_birthday_is() -> None:
    born = facts(
        (TEA, 1, 5, (7, 8)), (TEA, 1, 5, (7, 8)), (TEA, 1, 5, (7,)), (MILK, 3, 6, (4,)), (TEA, 1, 5, (7,)),
        born=[0, 0, 100 * DAY, 0, NEVER],
    )  # fmt: skip
    found = fitted(born).candidates(state((1, 99, EventType.VIEW), at=100, unit=DAY))
    assert sorted(found.item.tolist()) == [2, 5]
    assert 3 in fitted(born, until=101).candidates(state((1, 99, EventType.VIEW), at=101, unit=DAY)).item


def test_where_nothing_is_said_of_the_items_those_of_one_category_are_alike() -> None:
    found = fitted(None).candidates(state((1, 99, EventType.VIEW), at=100, unit=DAY))
    assert sorted(found.item.tolist()) == [2, 3, 5]


def test_without_a_session_or_before_it_learnt_there_is_nothing_to_start_from() -> None:
    assert len(fitted().candidates(state(at=100, unit=DAY))) == 0
    assert len(LookAlike().candidates(state((1, 99), at=100, unit=DAY))) == 0
    with pytest.raises(TypeError, match="weights"):
        LookAlike(weights=np.zeros(1))
