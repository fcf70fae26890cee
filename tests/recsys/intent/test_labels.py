"""What a question learns from what came after it, worked by hand; instants are minutes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import MINUTE
from recsys.event import EventType
from recsys.intent.labels import Labels, SessionLabel, WaitLabel
from recsys.sequence.histories import Histories
from recsys.sequence.stream import training_stream
from recsys.target.next_moment import NextMoment
from tests.recsys.by_hand import Row, histories, spec

VIEW, CART, BUY = EventType.VIEW, EventType.ADD_TO_CART, EventType.PURCHASE
BOTH = Labels((SessionLabel(), WaitLabel()))
DAY_MINUTES = 24 * 60


def labels(rows: Sequence[Row], at: int, until: int) -> dict[str, float]:
    """The labels of one question of one shopper."""
    known = histories([row for row in rows if row[1] < until], unit=MINUTE)
    found = BOTH.of(known, sequence=np.array([0]), at=np.array([at * MINUTE]), until=np.array([until * MINUTE]))
    return {name: values[0] for name, values in found.items()}


def test_a_purchase_later_in_the_session_is_one_in_this_session() -> None:
    rows = [(1, 0, VIEW), (1, 10, VIEW), (1, 35, BUY)]
    assert labels(rows, 0, 1_000)["purchase"] == 1
    assert labels(rows, 35, 1_000)["purchase"] == 1, "the question stands the instant before its own moment"


def test_a_purchase_before_the_question_or_in_the_next_session_is_none_of_this_one() -> None:
    assert labels([(1, 0, BUY), (1, 10, VIEW)], 10, 1_000)["purchase"] == 0
    assert labels([(1, 0, VIEW), (1, 31, BUY)], 0, 1_000)["purchase"] == 0
    assert labels([(1, 0, VIEW), (1, 30, BUY)], 0, 1_000)["purchase"] == 1, "half an hour of silence is no end"


def test_a_session_that_may_go_on_is_unknown_whatever_happened_in_it() -> None:
    rows = [(1, 0, VIEW), (1, 10, BUY)]
    assert labels(rows, 0, 40)["purchase"] == -1, "another event at minute 40 would belong to it"
    assert labels(rows, 0, 41)["purchase"] == 1
    assert labels(rows[:1], 0, 30)["purchase"] == -1
    assert labels(rows[:1], 0, 31)["purchase"] == 0


def test_a_cart_or_a_second_look_ahead_is_considering() -> None:
    assert labels([(1, 0, VIEW), (2, 5, CART)], 0, 99)["considering"] == 1
    assert labels([(1, 0, VIEW), (2, 5, VIEW), (1, 9, VIEW)], 9, 99)["considering"] == 1, (
        "looked at before the question"
    )
    assert labels([(1, 0, VIEW), (2, 5, VIEW), (3, 9, VIEW)], 0, 99)["considering"] == 0
    assert labels([(1, 0, VIEW), (1, 0, VIEW)], 0, 99)["considering"] == 0, "two rows of one instant are one look"
    assert labels([(1, 0, VIEW), (1, 90, VIEW)], 90, 999)["considering"] == 0, "looked at in another session"


def test_who_buys_is_ready_and_not_asked_whether_they_consider() -> None:
    assert labels([(1, 0, VIEW), (1, 5, CART), (1, 9, BUY)], 0, 99)["considering"] == -1


def test_the_wait_begins_with_the_moment_and_leaves_it_out() -> None:
    rows = [(1, 0, BUY), (2, 0, BUY), (1, 3 * DAY_MINUTES, BUY)]
    first = labels(rows, 0, 10 * DAY_MINUTES)
    assert (first["wait_days"], first["wait_seen"]) == (3, 1)


def test_a_purchase_that_is_not_seen_is_censored_where_knowledge_ends() -> None:
    rows = [(1, 0, BUY), (1, 3 * DAY_MINUTES, BUY)]
    last = labels(rows, 3 * DAY_MINUTES, 10 * DAY_MINUTES)
    assert (last["wait_days"], last["wait_seen"]) == (7, 0)
    cut = labels(rows, 0, 2 * DAY_MINUTES)
    assert (cut["wait_days"], cut["wait_seen"]) == (2, 0)


def test_views_end_no_wait() -> None:
    found = labels([(1, 0, VIEW), (1, 5, VIEW), (1, 720, BUY)], 0, 10 * DAY_MINUTES)
    assert (found["wait_days"], found["wait_seen"]) == (0.5, 1)


def test_another_event_may_be_the_goal() -> None:
    rows = histories([(1, 0, VIEW), (2, 5, EventType.CLICK)], unit=MINUTE)
    goal = Labels((SessionLabel(goal=EventType.CLICK),))
    found = goal.of(rows, sequence=np.array([0]), at=np.array([0]), until=np.array([99 * MINUTE]))
    assert found["purchase"].tolist() == [1]


def test_each_shopper_has_a_future_of_their_own() -> None:
    known = histories([(1, 0, VIEW)], [(1, 0, VIEW), (1, 9, BUY)], unit=MINUTE)
    found = BOTH.of(known, sequence=np.array([0, 1]), at=np.array([0, 0]), until=np.full(2, 99 * MINUTE))
    assert found["purchase"].tolist() == [0, 1]
    assert found["wait_seen"].tolist() == [0, 1]


def test_what_a_visitor_does_after_signing_in_is_not_known_of_the_visitor() -> None:
    known = histories([(1, 0, VIEW), (1, 5, VIEW)], unit=MINUTE)
    signed_in = replace(known.adoption, adopted_at=np.full(2, 8 * MINUTE), given_back_at=np.full(2, 2**62))
    known = Histories(known.shopper, known.start, known.events, known.asked_from, signed_in)
    found = BOTH.of(known, sequence=np.array([0]), at=np.array([0]), until=np.array([10**6 * MINUTE]))
    assert found["purchase"].tolist() == [-1], "they may have bought, signed in, a minute later"
    assert found["wait_seen"].tolist() == [0]
    assert found["wait_days"][0] == pytest.approx(8 / DAY_MINUTES)


EVENTS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 120), st.sampled_from([VIEW, CART, BUY])), min_size=1, max_size=12
)


def plainly(rows: list[Row], at: int, until: int) -> dict[str, int]:
    """The session's labels once more, event by event."""
    rows = sorted((row for row in rows if row[1] < until), key=lambda row: row[1])
    number, running = {}, 0
    for before, row in zip([rows[0], *rows], rows, strict=False):
        running += row[1] - before[1] > 30
        number[row[1]] = running
    session = [row for row in rows if number[row[1]] == number[at]]
    if session[-1][1] + 30 >= until:
        return {"purchase": -1, "considering": -1}
    ahead = [row for row in session if row[1] >= at]
    if any(row[2] is BUY for row in ahead):
        return {"purchase": 1, "considering": -1}
    looked = [any(e[0] == row[0] and e[1] < row[1] for e in session) for row in ahead]
    return {"purchase": 0, "considering": int(any(looked) or any(row[2] is CART for row in ahead))}


@settings(max_examples=150)
@given(rows=EVENTS, until=st.integers(1, 200), data=st.data())
def test_session_labels_are_those_of_a_plain_walk(rows: list[Row], until: int, data: st.DataObject) -> None:
    times = sorted({row[1] for row in rows if row[1] < until})
    if not times:
        return
    at = data.draw(st.sampled_from(times))
    found = labels(sorted(rows, key=lambda row: row[1]), at, until)
    assert {name: found[name] for name in ("purchase", "considering")} == plainly(rows, at, until)


@settings(max_examples=80)
@given(rows=EVENTS, other=EVENTS, until=st.integers(1, 120))
def test_nothing_from_where_knowledge_ends_changes_a_label(rows: list[Row], other: list[Row], until: int) -> None:
    early = [row for row in rows if row[1] < until]
    if not early:
        return
    one, two = (sorted(early + [r for r in later if r[1] >= until], key=lambda r: r[1]) for later in (rows, other))
    for at in {row[1] for row in early}:
        assert labels(one, at, until) == labels(two, at, until)


def test_labels_of_a_stream_speak_at_its_questions() -> None:
    known = histories([(1, 0, VIEW), (2, 0, VIEW), (1, 9, BUY)], [(3, 5, VIEW)], unit=MINUTE)
    stream = training_stream(known, spec(), NextMoment())
    found = BOTH.of_stream(stream, known, np.full(2, 99 * MINUTE))
    assert stream.is_query.tolist() == [True, False, False, True, False, True, False]
    assert found["purchase"].tolist() == [1, -1, -1, 1, -1, 0, -1]
    assert found["wait_seen"].tolist() == [1, -1, -1, 0, -1, 0, -1]
