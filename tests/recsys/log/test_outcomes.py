"""What became of what was shown, worked out by hand and against brute force."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import HOUR
from recsys.errors import ConfigError
from recsys.event import Event, EventType, events_table
from recsys.log.exposures import EXPOSURE_SCHEMA, SHOWN_SCHEMA, shown
from recsys.log.outcomes import OUTCOME_SCHEMA, OUTCOMES, outcomes

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
AT = int(NOON.timestamp()) * 1_000_000


def slates(*told: tuple[str, int, list[str]]) -> pa.Table:
    """Slates: id, instant, items."""
    rows = [
        {
            **dict.fromkeys(EXPOSURE_SCHEMA.names),
            **dict.fromkeys(("placement", "policy", "model_version", "knowledge"), "x"),
            "recommendation_id": name,
            "shown_at": at,
            "experiments": [("ranker", "control")],
            "items": [
                {"item_id": item, "position": place, "propensity": 0.5, "score": 1.0 / (place + 1), "source": "s"}
                for place, item in enumerate(items)
            ],
        }
        for name, at, items in told
    ]
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in EXPOSURE_SCHEMA]
    return pa.table(columns, schema=EXPOSURE_SCHEMA)


def event(kind: EventType, at: int, item: str | None, recommendation: str | None) -> Event:
    return Event(event_id="", type=kind, occurred_at=at, item_id=item, recommendation_id=recommendation)


def test_a_slate_becomes_a_row_for_each_item_with_all_that_is_said_of_it() -> None:
    rows = shown(slates(("r", AT, ["a", "b"]), ("empty", AT, []), ("q", AT + HOUR, ["a"])))
    assert rows.schema.equals(SHOWN_SCHEMA)
    assert rows.select(["recommendation_id", "item_id", "position", "score"]).to_pylist() == [
        {"recommendation_id": "r", "item_id": "a", "position": 0, "score": 1.0},
        {"recommendation_id": "r", "item_id": "b", "position": 1, "score": 0.5},
        {"recommendation_id": "q", "item_id": "a", "position": 0, "score": 1.0},
    ]
    assert rows["shown_at"].to_pylist() == [NOON, NOON, NOON + timedelta(hours=1)]
    assert rows["experiments"].to_pylist() == [[("ranker", "control")]] * 3
    assert shown(slates()).num_rows == 0


def test_an_item_is_clicked_added_and_bought_when_the_first_event_says_so_that_names_its_slate() -> None:
    events = [
        event(EventType.CLICK, AT + 20, "a", "r"),
        event(EventType.VIEW, AT + 10, "a", "r"),
        event(EventType.ADD_TO_CART, AT + 30, "a", "r"),
        event(EventType.PURCHASE, AT + 40, "b", "r"),
        event(EventType.PURCHASE, AT + 5, "b", None),
        event(EventType.PURCHASE, AT + 5, "b", "another slate"),
        event(EventType.PURCHASE, AT + 5, "not shown", "r"),
        event(EventType.IMPRESSION, AT + 5, "b", "r"),
        event(EventType.SEARCH, AT + 5, None, "r"),
    ]
    found = outcomes(slates(("r", AT, ["a", "b"]), ("q", AT, ["a"])), events_table(events))
    assert found.schema.equals(OUTCOME_SCHEMA)
    assert told(found) == [
        ("r", "a", AT + 10, AT + 30, None),
        ("r", "b", None, None, AT + 40),
        ("q", "a", None, None, None),
    ]


def test_what_comes_after_the_window_counts_no_more_and_the_clock_of_a_shopper_that_is_behind_does_no_harm() -> None:
    events = [
        event(EventType.CLICK, AT - 7 * HOUR, "a", "r"),
        event(EventType.ADD_TO_CART, AT + 2 * HOUR - 1, "a", "r"),
        event(EventType.PURCHASE, AT + 2 * HOUR, "a", "r"),
    ]
    table = slates(("r", AT, ["a"]))
    assert told(outcomes(table, events_table(events), window_h=2)) == [("r", "a", AT, AT + 2 * HOUR - 1, None)]
    assert told(outcomes(table, events_table(events), window_h=2.5)) == [
        ("r", "a", AT, AT + 2 * HOUR - 1, AT + 2 * HOUR)
    ]
    with pytest.raises(ConfigError, match="window_h=0 holds no event"):
        outcomes(table, events_table(events), window_h=0)


def told(found: pa.Table) -> list[tuple[Any, ...]]:
    columns = [found["recommendation_id"].to_pylist(), found["item_id"].to_pylist()]
    columns += [found[name].cast(pa.int64()).to_pylist() for name in OUTCOMES]
    return list(zip(*columns, strict=True))


NAMES, ITEMS = st.sampled_from("rqs"), st.sampled_from(["a", "b", "", "a\0"])
EVENTS = st.builds(
    event,
    st.sampled_from(list(EventType)),
    st.integers(-3, 12).map(lambda at: AT + at * HOUR),
    st.none() | ITEMS,
    st.none() | NAMES,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.integers(0, 5), st.lists(ITEMS, unique=True)), unique_by=lambda one: one[0]),
    st.lists(EVENTS, max_size=25),
    st.integers(1, 8),
)
def test_outcomes_are_those_that_looking_at_every_event_for_every_item_finds(
    said: list[tuple[str, int, list[str]]], events: list[Event], window_h: int
) -> None:
    said = [(name, AT + at * HOUR, items) for name, at, items in said]
    expected = []
    for name, at, items in said:
        for item in items:
            firsts: list[int | None] = []
            for types in OUTCOMES.values():
                times = [
                    max(one.occurred_at, at)
                    for one in events
                    if one.type in types and one.recommendation_id == name and one.item_id == item
                ]
                firsts.append(min((time for time in times if time < at + window_h * HOUR), default=None))
            expected.append((name, item, *firsts))
    assert told(outcomes(slates(*said), events_table(events), window_h=window_h)) == expected
