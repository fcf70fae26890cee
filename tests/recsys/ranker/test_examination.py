"""How often positions are looked at, found again in logs that were made with known looks and wishes."""

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.event import EventType
from recsys.ranker.examination import NOT_LOGGED, Examination, positions_seen
from recsys.ranker.facts import Retrieved
from recsys.ranker.listwise import Listwise
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates
from recsys.state import Context, History, ShopperState
from tests.recsys.by_hand import candidates_of_one, histories, state

LOOK = np.array([1.0, 0.6, 0.35, 0.2, 0.05])


def slates(place: np.ndarray, wish: np.ndarray, *, seed: int = 0, times: int = 4_000) -> Histories:
    """A log of slates: item i (from 1) is shown at position p by the chances `place` [I, P], looked at by `LOOK`,
    and clicked where it was looked at and is wanted (`wish` [I])."""
    rng = np.random.default_rng(seed)
    item = np.repeat(np.arange(len(wish)), times)
    position = np.concatenate([rng.choice(len(LOOK), times, p=chances) for chances in place])
    clicked = rng.random(len(item)) < LOOK[position] * wish[item]
    kind = np.repeat([EventType.IMPRESSION.code, EventType.CLICK.code], [len(item), clicked.sum()])
    events = History(
        item=np.concatenate([item, item[clicked]]) + 1,
        type=kind.astype(np.int8),
        time=np.full(len(kind), DAY, np.int64),
        position=np.concatenate([position, position[clicked]]).astype(np.int16),
    )
    return Histories(histories([(1, 1)]).shopper, np.array([0, len(kind)]), events)


def test_looks_are_found_although_wanted_items_stand_in_front() -> None:
    front, back = np.array([0.6, 0.2, 0.1, 0.05, 0.05]), np.array([0.05, 0.05, 0.1, 0.2, 0.6])
    log = slates(np.array([front, back, front, back]), np.array([0.5, 0.1, 0.4, 0.2]))
    found = Examination.of(log, until=2 * DAY)
    assert found.look == pytest.approx(LOOK, abs=0.04)
    shown, clicked = (log.events[log.events.type == t.code].position for t in (EventType.IMPRESSION, EventType.CLICK))
    clicks_by_times_shown = np.bincount(clicked) / np.bincount(shown)
    assert clicks_by_times_shown[4] / clicks_by_times_shown[0] < 0.03, "which the items' own worth would halve"


def test_items_that_never_change_their_position_tell_nothing_of_looks() -> None:
    log = slates(np.eye(5), np.array([0.5, 0.4, 0.4, 0.4, 0.5]))
    assert Examination.of(log, until=2 * DAY).look == pytest.approx(np.ones(5), abs=0.02)


def test_a_log_without_impressions_or_with_few_clicks_weighs_all_alike() -> None:
    assert Examination.of(histories([(1, 1), (2, 2)]), until=DAY).weight(np.array([0, 7])).tolist() == [1, 1]
    few = slates(np.full((2, 5), 0.2), np.array([0.01, 0.01]), times=1_000)
    assert Examination.of(few, until=2 * DAY).look.tolist() == []
    late = slates(np.full((2, 5), 0.2), np.array([0.5, 0.5]), times=1_000)
    assert Examination.of(late, until=DAY).look.tolist() == [], "all of it from the cut on"


def test_what_was_taken_from_far_down_counts_for_more_up_to_ten() -> None:
    look = Examination(np.array([1.0, 0.5, 0.01], np.float32))
    assert look.weight(np.array([0, 1, 2, 9, NOT_LOGGED])).tolist() == pytest.approx([1, 2, 10, 10, 1])


PROPOSED = {name: Candidates(np.array([item]), np.array([0.1], np.float32)) for item, name in [(1, "one"), (2, "two")]}


def seen_and_bought(item: int, position: int, number: int) -> Retrieved:
    """A shopper who clicked at a position and bought a little later, of two items that were proposed alike."""
    clicked = History(
        item=np.array([item]),
        type=np.array([EventType.CLICK.code], np.int8),
        time=np.array([number * DAY], np.int64),
        position=np.array([position], np.int16),
    )
    return Retrieved(ShopperState(clicked, Context(at=number * DAY + 60)), PROPOSED, np.array([item]))


@pytest.mark.parametrize(("logged", "least", "most"), [(True, 0.4, 0.6), (False, 0.75, 1.0)])
def test_an_item_always_shown_first_is_not_taken_for_the_better_one(logged: bool, least: float, most: float) -> None:
    front, back = np.array([0.9, 0.1, 0.0, 0.0, 0.0]), np.array([0.1, 0.0, 0.0, 0.9, 0.0])
    log = slates(np.array([front, back]), np.array([0.5, 0.5]))
    made = Listwise(networks=1, hidden=4, epochs=8, rate=0.03, kept=1.0)
    log = log if logged else log.of_type(EventType.CLICK)
    made.count(log, items=3, until=2 * DAY, category=np.array([0, 1, 1]))
    bought = [(1, 0)] * 45 + [(1, 1)] * 3 + [(2, 0)] * 5 + [(2, 3)] * 9  # looks 1, .6, .35 and .2
    made.fit([seen_and_bought(item, position, 10 + n) for n, (item, position) in enumerate(bought * 2)])
    nobody = state(at=900, unit=DAY)
    chance = made.chances(Shoppers([nobody]), candidates_of_one(np.array([1, 2]), PROPOSED))
    odds = chance / (1 - chance)
    assert least < odds[0] / odds.sum() < most


def test_the_latest_position_within_a_day_is_where_the_shopper_met_it() -> None:
    seen = History(
        item=np.array([1, 2, 1, 3]),
        type=np.full(4, EventType.CLICK.code, np.int8),
        time=np.array([8, 9, 9, 9]) * DAY,
        position=np.array([4, 2, 7, -1], np.int16),
    )
    asked = np.array([1, 2, 3, 4])
    assert positions_seen(ShopperState(seen, Context(at=9 * DAY + 5)), asked).tolist() == [7, 2, -1, -1]
    assert positions_seen(ShopperState(seen, Context(at=11 * DAY)), asked).tolist() == [-1, -1, -1, -1]
