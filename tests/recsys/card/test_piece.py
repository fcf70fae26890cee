"""A piece of the log as arrays."""

import numpy as np

from recsys.card.piece import Crowd
from recsys.clock import DAY, HOUR, MINUTE, parse_instant
from recsys.event import EventType
from tests.recsys.card.logs import START, act, bought, by_date, pieces, table


def test_ids_become_numbers_that_last_from_piece_to_piece() -> None:
    rows = [act(0, "ann", "a"), act(1, "bob", "b"), act(DAY, "bob", "a"), act(DAY, "cem", None)]
    crowd, (monday, tuesday) = pieces(rows)
    assert (monday.shopper.tolist(), monday.item.tolist()) == ([0, 1], [0, 1])
    assert (tuesday.shopper.tolist(), tuesday.item.tolist()) == ([1, 2], [0, -1])
    assert monday.time.tolist() == [START, START + 1]
    assert crowd.known.tolist() == [True, True, True]


def test_a_visitor_is_another_shopper_than_the_user_and_not_known() -> None:
    crowd, (piece,) = pieces([act(0, None, anonymous_id="v"), act(1, "ann", anonymous_id="v")])
    assert len(crowd.shopper) == 2
    assert crowd.known[piece.shopper].tolist() == [True, False], "ann comes before anonymous:v"


def test_what_the_shop_does_is_no_act_and_a_search_no_interaction() -> None:
    rows = [act(0, type=name) for name in ("impression", "offer", "view")]
    rows += [act(3, item=None, type="search"), act(4, type="return"), bought(5)]
    _, (piece,) = pieces(rows)
    assert [EventType.VIEW.code, EventType.SEARCH.code] == piece.acts().type.tolist()[:2]
    assert len(piece.acts()) == 4
    assert piece.interactions().type.tolist() == [EventType.VIEW.code, EventType.PURCHASE.code]
    assert piece.acts().interactions().column("quantity").to_pylist() == [None, 1.0]
    assert piece.interactions().of_type(EventType.PURCHASE).column("quantity").to_pylist() == [1.0]
    everything = piece.where(np.ones(6, bool))
    assert everything is piece


def test_moments_begin_where_shopper_or_instant_changes() -> None:
    _, (piece,) = pieces([act(0, "ann"), act(0, "ann", "b"), act(1, "ann"), act(1, "bob")])
    assert piece.moments().tolist() == [0, 2, 3]
    assert piece.heads().tolist() == [0, 3]


def test_local_time_follows_daylight_saving() -> None:
    change = parse_instant("2024-03-31T01:00") - START  # Berlin turns its clocks from 2:00 to 3:00
    rows = [act(change - MINUTE), act(change + MINUTE)]
    _, (piece,) = pieces(rows, time_zone="Europe/Berlin")
    assert ((piece.local - piece.time) // HOUR).tolist() == [1, 2]


def test_ids_are_kept_only_on_request() -> None:
    rows = [act(0, "ann"), act(DAY, "bob"), act(DAY, "cem")]
    for keep, expected in ((True, ["ann", "bob", "cem"]), (False, [None, None, None])):
        crowd = Crowd(time_zone="UTC", keep_ids=keep)
        for day in by_date(table(rows)):
            crowd.piece(day)
        assert [crowd.id_of(number) for number in range(3)] == expected
