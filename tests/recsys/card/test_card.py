"""The whole card: the same from any pieces, silent about time where there is none, and plain values at the end."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.card.card import COLUMNS
from recsys.clock import DAY, MINUTE
from recsys.event import EVENT_SCHEMA
from tests.recsys.card.logs import START, Row, act, bought, by_date, card, table

TYPES = ("view", "purchase", "search", "impression", "add_to_cart", "return")


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """A log of three days, a few shoppers and visitors, a few items."""
    return [
        {
            "type": draw(st.sampled_from(TYPES)),
            "occurred_at": START + draw(st.integers(0, 3 * 24 * 12 - 1)) * 5 * MINUTE,
            "user_id": (user := draw(st.sampled_from(["ann", "bob", None]))),
            "anonymous_id": draw(st.sampled_from(["v", "w"] if user is None else ["v", "w", None])),
            "session_id": draw(st.sampled_from(["1", "2", None])),
            "channel": draw(st.sampled_from(["web", None])),
            "item_id": draw(st.sampled_from(["a", "b", "c", None])),
            "quantity": draw(st.sampled_from([1.0, 2.0])),
            "price": draw(st.sampled_from([1.5, 2.25, 10.0, None])),
            "list_price": draw(st.sampled_from([2.5, None])),
        }
        for _ in range(draw(st.integers(1, 25)))
    ]


def parts_of(events: pa.Table, size: int) -> list[pa.Table]:
    """Tables of at most `size` rows, cut anywhere, as the reader cuts large dates."""
    return [events.slice(begin, size) for begin in range(0, events.num_rows, size)]


def coded(events: pa.Table) -> pa.Table:
    """The same with texts as codes, as the reader gives them."""
    for place, field in enumerate(events.schema):
        if pa.types.is_string(field.type):
            events = events.set_column(place, field.name, events[field.name].dictionary_encode())
    return events


@settings(max_examples=40)
@given(log=rows(), size=st.integers(1, 10))
def test_a_log_in_pieces_has_the_card_of_the_whole_log(log: list[Row], size: int) -> None:
    view = {"cutoff": START + DAY, "time_zone": "Asia/Kolkata"}
    whole = card(log, tables=[table(log)], **view).to_json()
    assert card(log, **view).to_json() == whole
    cut = [coded(part) for day in by_date(table(log)) for part in parts_of(day, size)]
    pieces = card(log, tables=cut, **view).to_json()
    if whole["traffic"] is not None:  # an instant met in two tables of one date counts twice there
        assert pieces["traffic"].pop("instants") >= whole["traffic"].pop("instants")
    assert pieces == whole


def test_only_the_columns_that_are_read_are_needed() -> None:
    log = [bought(0, price=1.0), act(DAY, "bob")]
    narrow = [day.select(COLUMNS) for day in by_date(table(log))]
    assert card(log, tables=narrow).to_json() == card(log).to_json()
    assert set(EVENT_SCHEMA.names) - set(COLUMNS) == {"event_id"}


def test_literature_mode_says_nothing_about_time() -> None:
    log = [bought(0), bought(DAY), act(1, "bob", "b")]
    found = card(log, order_only=True)
    assert (found.traffic, found.rhythm, found.haste, found.cold_items, found.cold_shoppers) == (None,) * 5
    assert found.pairs.gap_days is None
    assert (found.pairs.repeats, found.popularity.interactions, found.shoppers.two_moments) == (1, 3, 1)


def test_an_empty_log_has_a_card_of_zeros() -> None:
    found = card()
    assert (found.shoppers.count, found.popularity.items, found.density, found.pairs.repeat_share) == (0, 0, 0.0, 0.0)
    assert found.rhythm is not None
    assert found.rhythm.sessions == 0
    json.dumps(found.to_json(), allow_nan=False)


def test_a_log_of_nothing_but_impressions_has_a_card_too() -> None:
    found = card([act(0, type="impression")])
    assert (found.shoppers.count, found.coverage.events) == (0, {"impression": 1})


@pytest.mark.parametrize("key", ["days", "first", "last", "crowded"])
def test_plain_values_hold_dates_as_text(key: str) -> None:
    plain: dict[str, Any] = card([act(0), act(DAY)], cutoff=START).to_json()
    expected = {
        "days": {"2024-01-01": {"view": 1}, "2024-01-02": {"view": 1}},
        "first": "2024-01-01T00:00:00+00:00",
        "last": "2024-01-02T00:00:00+00:00",
        "crowded": [("2024-01-01T00:00:00+00:00", 1), ("2024-01-02T00:00:00+00:00", 1)],
    }
    assert plain["traffic"][key] == expected[key]
    assert plain["view"]["cutoff"] == "2024-01-01T00:00:00+00:00"
    assert plain["cold_items"]["first_days"] == {"2024-01-01": 1}
    json.dumps(plain, allow_nan=False)
