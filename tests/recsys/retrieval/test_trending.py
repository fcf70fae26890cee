"""What is taken more than usual, by hand: everybody, a category, a segment."""

import numpy as np
import pytest

from recsys.clock import DAY, MINUTE
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.retrieval.behaviour import Behaviour
from recsys.retrieval.trending import Trending
from recsys.retrieval.trending_category import TrendingInCategory
from recsys.retrieval.trending_segment import TrendingInSegment
from recsys.slate import Reason
from tests.recsys.by_hand import Row, histories, state

CATEGORY = np.array([0, 1, 1, 2, 2])
NOW = 10 * DAY
PLAIN = {"usual": 0.0, "caution": 0.0}


def everybody(*shoppers: list[Row], **settings: float) -> dict[int, float]:
    source = Trending(**{"half_life_days": 1.0, "usual_days": 2.0, **settings})  # type: ignore[arg-type]
    source.fit(histories(*shoppers, unit=DAY), items=5, until=NOW, category=CATEGORY)
    found = source.candidates(state(at=10, unit=DAY))
    return dict(zip(found.item.tolist(), found.score.tolist(), strict=True))


def test_a_moment_counts_half_after_a_half_life() -> None:
    assert everybody([(1, 8)], [(2, 9)], **PLAIN) == pytest.approx({2: 2 / 3, 1: 1 / 3})


def test_what_is_taken_off_is_the_share_that_fades_more_slowly() -> None:
    usual = 0.5**0.5 / (0.5**0.5 + 0.5)
    assert everybody([(1, 8)], [(2, 9)], usual=1.0, caution=0.0) == pytest.approx({2: 2 / 3 - usual})


def test_one_purchase_is_no_trend_for_the_cautious() -> None:
    assert everybody([(1, 8)], [(2, 9)], usual=1.0, caution=1.0) == {}


def test_what_is_always_taken_is_popular_but_no_trend() -> None:
    always: list[Row] = [(1, day) for day in range(10)]
    risen: list[list[Row]] = [[(2, 9)]] * 6
    assert list(everybody(always, *risen, **PLAIN)) == [2, 1]
    assert list(everybody(always, *risen, usual=1.0, caution=1.0, usual_days=100.0)) == [2]


def test_nothing_from_the_cut_on_counts() -> None:
    assert everybody([(1, 9)], [(2, 10)], [(3, 11)], **PLAIN) == {1: 1.0}


def test_only_where_all_of_the_usual_is_taken_off_a_trend_is_told() -> None:
    told = [Trending(usual=usual).reasons(state(at=1), np.array([1])) for usual in (1.0, 0.5)]
    assert told == [[Reason("taken more than usual these days")], [Reason("much taken these days")]]


def test_a_usual_share_that_fades_faster_than_the_news_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"half_life_days=9.*fade more slowly"):
        Trending(half_life_days=9.0, usual_days=2.0)
    with pytest.raises(ConfigError, match="usual=2"):
        TrendingInCategory(usual=2.0)


def in_category() -> TrendingInCategory:
    source = TrendingInCategory(half_life_days=1.0, usual_days=2.0, **PLAIN)
    source.fit(histories([(1, 8)], [(2, 9), (3, 9)], [(2, 10)], unit=DAY), items=5, until=NOW, category=CATEGORY)
    return source


def test_a_view_brings_what_rises_in_its_category() -> None:
    looking = state((1, 0, EventType.VIEW), at=1, unit=MINUTE)
    found = in_category().candidates(looking)
    assert dict(zip(found.item.tolist(), found.score.tolist(), strict=True)) == pytest.approx({2: 2 / 3, 1: 1 / 3})
    assert in_category().reasons(looking, np.array([2])) == [Reason("much taken these days, like {title}", 1)]
    both = state((1, 0, EventType.VIEW), (4, 0, EventType.VIEW), at=1, unit=MINUTE)
    assert in_category().candidates(both, 2).item.tolist() == [3, 2]


def test_without_a_view_in_this_session_no_category_is_of_interest() -> None:
    assert len(in_category().candidates(state((1, 0, EventType.VIEW), at=40, unit=MINUTE))) == 0
    assert len(in_category().candidates(state((1, 0), at=1, unit=MINUTE))) == 0
    assert len(TrendingInCategory().candidates(state((1, 0, EventType.VIEW), at=1, unit=MINUTE))) == 0


def test_a_segment_has_trends_of_its_own() -> None:
    bread: list[list[Row]] = [[(1, 1), (1, 2), (1, 8)], [(1, 1), (1, 3), (2, 9)]]
    milk: list[list[Row]] = [[(3, 1), (3, 2), (4, 9)], [(3, 2), (3, 3), (3, 4)]]
    source = TrendingInSegment(segments=Behaviour(segments=2), half_life_days=1.0, usual_days=2.0, **PLAIN)
    source.fit(histories(*bread, *milk, unit=DAY), items=5, until=NOW, category=CATEGORY)
    eats = state((1, 1), (2, 2), (1, 3), at=10, unit=DAY)
    drinks = state((3, 1), (3, 2), (3, 3), at=10, unit=DAY)
    assert source.candidates(eats, 1).item.tolist() == [2]
    assert source.candidates(drinks, 1).item.tolist() == [4]
    assert len(source.candidates(state((3, 1), at=10, unit=DAY))) == 0, "of one purchase nobody can tell"
    assert source.reasons(eats, np.array([2]))[0].words.startswith("much taken these days by shoppers")
