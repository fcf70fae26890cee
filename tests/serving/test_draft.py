"""Events made the quick way are events like any other."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from recsys.event import Event, EventType
from serving.store.draft import Draft

FULL = Event(
    event_id="e",
    type=EventType.PURCHASE,
    occurred_at=7,
    user_id="u",
    anonymous_id="a",
    session_id="s",
    channel="web",
    device="phone",
    store="berlin",
    item_id="i",
    quantity=2.0,
    price=3.0,
    list_price=4.0,
    currency="EUR",
    query="q",
    filters=("f",),
    rating=5.0,
    offer_id="o",
    placement="home",
    recommendation_id="r",
    position=0,
    consent=(),
)


def test_a_draft_becomes_the_event_of_its_fields_in_the_order_of_the_event() -> None:
    values = {field.name: getattr(FULL, field.name) for field in fields(Event)}
    made = Draft(*values.values()).event()
    assert type(made) is Event
    assert made == FULL
    assert hash(made) == hash(FULL)
    assert repr(made) == repr(FULL)
    assert replace(made, event_id="other") == replace(FULL, event_id="other")
    with pytest.raises(FrozenInstanceError):
        made.event_id = "changed"  # type: ignore[misc]


def test_lists_become_tuples_as_events_have_them() -> None:
    values = {field.name: getattr(FULL, field.name) for field in fields(Event)}
    made = Draft(**{**values, "filters": ["f"], "consent": []}).event()
    assert made == FULL
    assert made.consent == ()
