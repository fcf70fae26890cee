"""Offline and online features agree to the bit, with everything on."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import DAY, parse_instant
from recsys.event import ACTS, EventType
from recsys.feature.spec import FeatureSpec
from recsys.feature.token import TOKEN_FEATURES
from recsys.sequence import question
from recsys.sequence.question import question_stream, remembered
from recsys.sequence.stream import TokenStream, training_stream
from recsys.state import Context, History, ShopperState
from tests.recsys.by_hand import histories, history
from tests.recsys.sequence.random_logs import (
    UNIT,
    Happening,
    context_of,
    everything_on,
    happenings,
    histories_of,
    history_of,
)

SHOPPERS = st.lists(st.lists(happenings(1, 9), max_size=9), min_size=1, max_size=3)


def features_of(stream: TokenStream, row: int) -> dict[str, list[int]]:
    return {name: np.atleast_1d(values[row]).tolist() for name, values in stream.features.items()}


def tokens_by_what_they_are(stream: TokenStream, sequence: int) -> dict[tuple[bool, int, int], list[int]]:
    """Stream rows of a sequence by (query or event, instant, number within)."""
    found: dict[tuple[bool, int, int], list[int]] = {}
    rows = range(int(stream.start[sequence]), int(stream.start[sequence + 1]))
    for row in rows:
        found.setdefault((bool(stream.is_query[row]), int(stream.time[row])), []).append(row)  # type: ignore[arg-type]
    return found


@settings(max_examples=150)
@given(shoppers=SHOPPERS, length=st.integers(3, 6), more=st.sampled_from([0, 1, 3, 5, 90]))
def test_training_and_question_features_are_the_same_to_the_bit(
    shoppers: list[list[Happening]], length: int, more: int
) -> None:
    spec = everything_on(max_length=length, memory=length + more)
    training = training_stream(histories_of(*shoppers), spec)
    assert set(training.features) == set(TOKEN_FEATURES)
    for number, events in enumerate(shoppers):
        trained = tokens_by_what_they_are(training, number)
        for is_query, at in list(trained):
            if is_query:
                compare_at(spec, events, at // UNIT, training, trained)


def compare_at(
    spec: FeatureSpec,
    events: list[Happening],
    at: int,
    training: TokenStream,
    trained: dict[tuple[bool, int], list[int]],
) -> None:
    """Ask online at `at` units, with no more memory than the spec has, and compare every token."""
    known = remembered(history_of([event for event in events if event.at < at]), spec.memory)
    asked = question_stream([ShopperState(known, context_of(spec, events, at))], spec)
    acts = sorted(event.at for event in events if event.at < at and event.kind in ACTS)
    for (is_query, time), rows in tokens_by_what_they_are(asked, 0).items():
        behind = sum(instant * UNIT >= time for instant in acts)
        if behind >= spec.max_length:
            continue  # only where much was done that is not shown: so far back that memory ends within its lookback
        counterparts = trained[is_query, time]
        for mine, other in zip(rows[::-1], counterparts[::-1], strict=False):
            assert features_of(asked, mine) == features_of(training, other)


def test_a_question_knows_its_own_channel_device_and_clock() -> None:
    spec = everything_on(max_length=5, memory=9)
    at = parse_instant("2024-03-03T23:30:00+00:00")
    contexts = [
        Context(at=at, channel="store", device="phone", utc_offset_s=7_200),
        Context(at=at, channel="fax"),
        Context(at=at),
    ]
    asked = question_stream([ShopperState(history((1, 1)), context) for context in contexts], spec)
    question = asked.start[1:] - 1
    assert asked.features["channel"][question].tolist() == [3, 1, 0]
    assert asked.features["device"][question].tolist() == [2, 0, 0]
    assert asked.features["hour"][question].tolist() == [1, 18, 18]
    assert asked.features["weekday"][question].tolist() == [0, 6, 6]
    assert asked.features["day_of_month"][question].tolist() == [4, 3, 3]


def test_the_gap_is_to_the_last_thing_the_shopper_did_shown_or_not() -> None:
    spec = everything_on(max_length=5, memory=9)
    rows = [(1, 0), (0, 60, EventType.SEARCH), (2, 61, EventType.IMPRESSION), (3, 64)]
    stream = training_stream(histories(rows), spec)  # type: ignore[arg-type]
    assert stream.item.tolist() == [0, 1, 0, 3]
    assert stream.features["gap"].tolist() == [0, 0, 3, 3], "four seconds since the search"


def test_searches_are_shown_where_their_words_are_read_and_were_trained_on() -> None:
    search = Happening(2, 0, EventType.SEARCH, 1.0, 1.0, 1.0, 0, 0, -1, (5, 7))
    events = [Happening(1, 1, EventType.PURCHASE, 1.0, 1.0, 1.0, 0, 0, -1, (0, 0)), search]
    log = histories_of(events)
    shown = training_stream(log, everything_on())
    assert shown.type.tolist() == [0, EventType.PURCHASE.code, 0, EventType.SEARCH.code]
    assert shown.features["query"].tolist() == [[0] * 4] * 3 + [[5, 7, 0, 0]]
    for other in ({"token": ("gap",)}, {"known_types": ("purchase",)}):
        assert training_stream(log, everything_on(**other)).item.tolist() == [0, 1]


def test_counts_intervals_and_prices_of_a_coffee_drinker_by_hand() -> None:
    spec = everything_on(max_length=9, memory=99)
    rows = [(1, 0), (2, 10), (1, 20), (3, 24), (1, 40)]
    stream = training_stream(histories(rows, unit=DAY), spec)
    events = ~stream.is_query
    values = {name: column[events].tolist() for name, column in stream.features.items()}
    assert values["item_count"] == [0, 0, 1, 0, 2]
    assert values["item_recency"] == [0, 0, 6, 0, 6], "twenty days each"
    assert values["item_interval"] == [0, 0, 0, 0, 5]
    assert values["item_due"] == [0, 0, 0, 0, 6], "just due"
    assert values["category_count"] == [0, 1, 2, 0, 3], "1 and 2 share a category"
    assert values["category_1"] == [1, 1, 1, 1, 1]
    assert values["category_2"] == [1, 1, 1, 0, 1]
    assert not any(stream.features["item_count"][stream.is_query])


def test_order_without_times_keeps_what_needs_no_time() -> None:
    spec = everything_on(order_only=True)
    stream = training_stream(histories([(1, 1), (1, 2)]), spec)
    assert set(stream.features) == set(spec.names)
    assert "item_count" in spec.names
    assert {"gap", "hour", "weekday", "day_of_month", "payday", "item_recency", "item_age"} <= set(spec.off)


@pytest.mark.parametrize("token", [(), ("gap",), tuple(TOKEN_FEATURES)])
def test_nobody_and_nothing_can_be_asked_too(token: tuple[str, ...]) -> None:
    spec = everything_on(token=token)
    asked = question_stream(
        [ShopperState(history(), Context(at=5)), ShopperState(history((1, 1)), Context(at=9))], spec
    )
    assert asked.start.tolist() == [0, 1, 2]
    assert tuple(asked.features) == spec.names
    assert training_stream(histories([]), spec).start.tolist() == [0, 0]


class Watched:
    """Events that know the columns a spec names, and let nobody read any other."""

    def __init__(self, events: History, spec: FeatureSpec) -> None:
        self._events, self._known = events, {"item", "type", "time", *spec.columns}

    def __len__(self) -> int:
        return len(self._events)

    def __getattr__(self, name: str) -> np.ndarray:
        assert name in self._known, f"{name} is read; say so in TokenFeature.columns"
        return np.asarray(getattr(self._events, name))


@pytest.mark.parametrize("name", TOKEN_FEATURES)
@given(first=st.lists(happenings(1, 9), max_size=6), second=st.lists(happenings(1, 9), min_size=1, max_size=6))
@settings(max_examples=15)
def test_a_feature_names_all_columns_that_it_reads(name: str, first: list[Happening], second: list[Happening]) -> None:
    """Questions of several shoppers hold no others: a column that a feature forgot would be unknown to it there."""
    spec = everything_on(token=(name,), max_length=9, memory=20)
    states = [ShopperState(history_of(events), context_of(spec, [], 10)) for events in (first, second)]
    alone = [question_stream([state], spec).features[name] for state in states]
    with patch.object(question, "_joined", lambda acts, spec: Watched(History.joined(acts), spec)):
        together = question_stream(states, spec).features[name]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    np.testing.assert_array_equal(question_stream(states, spec).features[name], together)
