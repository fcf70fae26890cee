"""The protocol of the evaluation, on histories small enough to count."""

import numpy as np
import pytest

from recsys.event import EventType
from recsys.metric.evaluation import Case, cases_between, evaluate
from recsys.metric.ranking import MISS
from recsys.state import Context, History, ShopperState
from tests.recsys.by_hand import SECOND, histories

VIEW, IMPRESSION = EventType.VIEW, EventType.IMPRESSION


def test_a_case_asks_at_the_moment_with_a_strictly_earlier_history():
    (case,) = cases_between(histories([(1, 10), (2, 20), (3, 20), (4, 30)]), since=20 * SECOND, until=30 * SECOND)
    assert case.state.context.at == 20 * SECOND
    assert case.state.history.item.tolist() == [1]
    assert case.target.tolist() == [2, 3]


def test_events_of_one_instant_are_one_case_and_other_instants_others():
    cases = cases_between(histories([(1, 10), (2, 10), (3, 11)], [(1, 10)]), since=0, until=99 * SECOND)
    assert [(case.shopper, case.target.tolist()) for case in cases] == [(0, [1, 2]), (0, [3]), (1, [1])]


def test_the_window_begins_with_since_and_ends_before_until():
    log = histories([(1, 9), (2, 10), (3, 19), (4, 20)])
    cases = cases_between(log, since=10 * SECOND, until=20 * SECOND)
    assert [case.target.tolist() for case in cases] == [[2], [3]]


def test_unknown_items_count_as_misses_in_the_size():
    (case,) = cases_between(histories([(5, 1), (0, 1), (0, 1)]), since=0, until=9 * SECOND)
    assert (case.target.tolist(), case.size) == ([5], 3)


def test_an_item_on_two_lines_of_a_basket_is_one_target():
    (case,) = cases_between(histories([(5, 1), (5, 1)]), since=0, until=9 * SECOND)
    assert (case.target.tolist(), case.size) == ([5], 1)


def test_only_wanted_events_are_targets_but_all_events_are_history():
    log = histories([(7, 1, VIEW), (5, 2), (6, 2, VIEW), (8, 3, VIEW)])
    (case,) = cases_between(log, since=0, until=9 * SECOND)
    assert (case.target.tolist(), case.size) == ([5], 1)
    assert case.state.history.item.tolist() == [7]


def test_what_was_only_seen_before_is_new_and_what_was_bought_is_a_repeat():
    log = histories([(1, 1), (2, 1, VIEW), (3, 1, IMPRESSION), (1, 5), (2, 5), (3, 5)])
    case = cases_between(log, since=5 * SECOND, until=9 * SECOND)[0]
    assert case.target.tolist() == [1, 2, 3]
    assert case.is_repeat.tolist() == [True, False, False]


def test_a_limit_samples_the_same_cases_for_the_same_seed():
    log = histories([(1, instant) for instant in range(50)])
    times = [
        [case.state.context.at for case in cases_between(log, since=0, until=99 * SECOND, limit=5, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert len(times[0]) == 5
    assert times[0] == times[1] != times[2]


def test_states_hold_the_latest_events_but_a_repeat_is_one_of_any_time():
    log = histories([(1, 1), (2, 2), (3, 3), (1, 5)])
    (case,) = cases_between(log, since=5 * SECOND, until=9 * SECOND, memory=2)
    assert case.state.history.item.tolist() == [2, 3]
    assert case.is_repeat.tolist() == [True]


def test_a_target_tells_the_gravest_event_that_took_it():
    log = histories([(1, 5, VIEW), (2, 5, VIEW), (1, 5, EventType.PURCHASE), (1, 5, EventType.ADD_TO_CART)])
    (case,) = cases_between(log, since=0, until=9 * SECOND, wanted=(VIEW, EventType.ADD_TO_CART, EventType.PURCHASE))
    assert case.target.tolist() == [1, 2]
    assert case.type.tolist() == [EventType.PURCHASE.code, VIEW.code]


def test_everything_interacted_with_before_leaves_the_ranking_if_asked_to_beyond_memory_too():
    log = histories([(1, 1), (2, 2, VIEW), (3, 3, IMPRESSION), (0, 3), (4, 4), (2, 5)])
    (case,) = cases_between(log, since=5 * SECOND, until=9 * SECOND, memory=1, exclude_seen=True)
    assert sorted(case.excluded.tolist()) == [1, 2, 4], (
        "an impression is the shop's doing; what has no index is nothing"
    )
    assert case.target.tolist() == [2]
    (plain,) = cases_between(log, since=5 * SECOND, until=9 * SECOND)
    assert plain.excluded.tolist() == []


def test_the_figures_of_two_cases_by_hand():
    cases = [case_of(0, [1, 2], [True, False], size=3), case_of(1, [4], [False], size=1)]
    score = evaluate(cases, lambda _: [np.array([0, 15]), np.array([MISS])], draws=0)
    assert score.queries == 2
    assert score.recall10 == pytest.approx((1 / 3 + 0) / 2)
    assert score.recall20 == pytest.approx((2 / 3 + 0) / 2)
    assert score.hr10 == 1 / 2
    assert score.mrr20 == pytest.approx((1 + 0) / 2)
    assert score.ndcg10 == pytest.approx(1 / (1 + 1 / np.log2(3) + 1 / 2) / 2)


def test_repeats_and_new_items_are_each_held_against_their_own_number():
    cases = [case_of(0, [1, 2], [True, False], size=3), case_of(1, [4], [False], size=1)]
    score = evaluate(cases, lambda _: [np.array([0, 3]), np.array([MISS])], draws=0)
    assert score.repeat_recall10 == 1.0, "one repeat, found"
    assert score.new_recall10 == pytest.approx((1 / 2 + 0) / 2), "one of two new (one unknown), none of one"


def case_of(shopper: int, target: list[int], is_repeat: list[bool], *, size: int) -> Case:
    state = ShopperState(History.empty(), Context(at=0))
    return Case(state, shopper, np.array(target), np.array(is_repeat), size)
