"""Events as the numbers of a history: one by one, by columns and from a table of the log."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.event import ACTS, Event, EventColumns, EventType, events_table
from recsys.feature.coding import FIRST, NONE, UNSEEN, Vocabulary
from recsys.feature.query import tokens
from recsys.sequence.coding import Coding
from recsys.state import HISTORY_COLUMNS, History
from tests.recsys.by_hand import catalogue_of

CODING = Coding(catalogue_of(3), channels=Vocabulary(("web", "app")), devices=Vocabulary(("phone",)))
ITEMS = [CODING.catalogue.id_of(1), CODING.catalogue.id_of(3), "unheard of", None]

EVENTS = st.lists(
    st.builds(
        Event,
        event_id=st.text("abc", min_size=1, max_size=3),
        type=st.sampled_from(sorted(ACTS)),
        occurred_at=st.integers(0, 6),
        item_id=st.sampled_from(ITEMS),
        quantity=st.just(1.0) | st.floats(0.25, 1e3, width=32),
        price=st.none() | st.floats(0, 1e6),
        list_price=st.none() | st.floats(0, 1e6),
        channel=st.sampled_from([None, "", "web", "app", "fax"]),
        device=st.sampled_from([None, "phone", "watch"]),
        position=st.none() | st.integers(0, 2**31 - 1),
        query=st.sampled_from([None, "", "red shoe", "a b c d e"]),
    ),
    max_size=8,
    unique_by=lambda event: event.event_id,
)


def same(one: History, other: History) -> None:
    for name in HISTORY_COLUMNS:
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == theirs.dtype, name
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


@given(EVENTS, st.integers(0, 7))
def test_columns_and_events_and_the_log_give_the_same_history(events: list[Event], before: int) -> None:
    ordered = sorted(events, key=lambda event: (event.occurred_at, event.event_id))
    kept = [event for event in ordered if event.occurred_at < before]
    by_columns = CODING.of_columns(EventColumns.of(events), before=before)
    same(by_columns, CODING.of_events(events, before=before))
    same(by_columns, CODING.of_table(events_table(kept)))


@given(EVENTS)
def test_every_column_says_what_its_events_say(events: list[Event]) -> None:
    ordered = sorted(events, key=lambda event: (event.occurred_at, event.event_id))
    history = CODING.of_columns(EventColumns.of(events), before=9)
    assert history.item.tolist() == [CODING.catalogue.index_of(event.item_id) for event in ordered]
    assert history.type.tolist() == [event.type.code for event in ordered]
    assert history.time.tolist() == [event.occurred_at for event in ordered]
    assert history.quantity.tolist() == [np.float32(event.quantity) for event in ordered]
    for name in ("price", "list_price"):
        said = [getattr(event, name) for event in ordered]
        expected = np.array([np.nan if price is None else price for price in said], np.float32)
        np.testing.assert_array_equal(getattr(history, name), expected)
    assert history.channel.tolist() == [CODING.channels.code(event.channel) for event in ordered]
    assert history.device.tolist() == [CODING.devices.code(event.device) for event in ordered]
    places = [-1 if event.position is None else min(event.position, 2**15 - 1) for event in ordered]
    assert history.position.tolist() == places
    assert [tuple(row) for row in history.query.tolist()] == [tokens(event.query) for event in ordered]


def test_a_view_and_a_purchase_worked_out_by_hand() -> None:
    view = Event(event_id="b", type=EventType.VIEW, occurred_at=5, item_id=ITEMS[1], channel="fax", device="phone")
    bought = Event(event_id="a", type=EventType.PURCHASE, occurred_at=5, item_id=ITEMS[0], quantity=2, price=3.5)
    later = Event(event_id="c", type=EventType.VIEW, occurred_at=6, item_id=ITEMS[0])
    history = CODING.of_columns(EventColumns.of([later, view, bought]), before=6)
    assert (history.item.tolist(), history.type.tolist()) == ([1, 3], [6, 1])
    assert (history.channel.tolist(), history.device.tolist()) == ([NONE, UNSEEN], [NONE, FIRST])
    assert history.quantity.tolist() == [2, 1]
    assert (history.price[0], np.isnan(history.price[1])) == (3.5, True)
    assert history.query.tolist() == [[0, 0, 0, 0]] * 2


def test_what_nobody_said_takes_no_memory() -> None:
    views = [Event(event_id=f"{at}", type=EventType.VIEW, occurred_at=at, item_id=ITEMS[0]) for at in range(4)]
    columns = EventColumns.of(views)
    assert (columns.quantity, columns.price, columns.channel, columns.query) == (None, None, None, None)
    history = CODING.of_columns(columns, before=9)
    silent = ("quantity", "price", "list_price", "channel", "device", "position", "query")
    assert [getattr(history, name).strides[0] for name in silent] == [0] * 7
