"""Shoppers who were encoded before: read on, they have the vectors that reading them as a whole gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import SECOND
from recsys.event import EventType
from recsys.model.encoder import SequenceEncoder
from recsys.model.gru4rec import GRU4Rec
from recsys.model.hstu import HSTU
from recsys.model.ligr import LiGR
from recsys.model.reading import Reader
from recsys.model.sasrec import SASRec
from recsys.sequence.question import question_batch
from recsys.state import Context, History, ShopperState
from tests.recsys.by_hand import spec

ITEMS, LONGEST = 12, 8
SPEC = spec(max_length=LONGEST, token=("gap", "hour", "weekday", "item_count", "item_recency"))
EVENTS = st.lists(
    st.tuples(st.integers(0, ITEMS - 1), st.integers(0, 9), st.sampled_from(list(EventType)[:6])), max_size=9
)
"""Item (0: unknown), instant and type; few instants, so that many share one and some come late."""


def untrained(kind: type[SequenceEncoder]) -> SequenceEncoder:
    torch.manual_seed(0)
    return kind(items=ITEMS, features=SPEC, dim=8, blocks=2, heads=2).eval()  # type: ignore[call-arg, arg-type]


ENCODERS = [untrained(kind) for kind in (SASRec, LiGR, HSTU)]


def asked(shopper: str | None, rows: list[tuple[int, int, EventType]], *, at: int = 20) -> ShopperState:
    rows = sorted(rows, key=lambda row: row[1])
    known = History(
        item=np.array([row[0] for row in rows], np.int32),
        type=np.array([row[2].code for row in rows], np.int8),
        time=np.array([row[1] * SECOND for row in rows], np.int64),
    )
    return ShopperState(known, Context(at=at * SECOND), shopper=shopper)


def whole(encoder: SequenceEncoder, states: list[ShopperState]) -> np.ndarray:
    with torch.inference_mode():
        return encoder(question_batch(states, SPEC)).numpy()


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda one: type(one).__name__)
@given(visits=st.lists(st.tuples(st.sampled_from("abc"), EVENTS), min_size=1, max_size=6))
@settings(max_examples=40)
def test_reading_on_gives_what_reading_all_of_it_gives(
    encoder: SequenceEncoder, visits: list[tuple[str, list[tuple[int, int, EventType]]]]
) -> None:
    reader, known = Reader(encoder, SPEC), {name: list[tuple[int, int, EventType]]() for name in "abc"}
    for name, events in visits:
        known[name] += events
        states = [asked(shopper, rows) for shopper, rows in known.items()]
        np.testing.assert_allclose(reader.encode(states), whole(encoder, states), atol=2e-5)


def rows(count: int) -> list[tuple[int, int, EventType]]:
    return [(1 + number, number, EventType.VIEW) for number in range(count)]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda one: type(one).__name__)
def test_of_a_known_shopper_only_the_new_event_is_read(encoder: SequenceEncoder) -> None:
    reader = Reader(encoder, SPEC)
    reader.encode([asked("a", rows(5))])
    assert (reader.read, reader.reused) == (5, 0)
    reader.encode([asked("a", rows(6))])
    assert (reader.read, reader.reused) == (6, 5)
    reader.encode([asked("a", rows(6), at=25)])
    assert (reader.read, reader.reused) == (6, 11), "another question, no event"


def test_what_comes_late_or_moves_the_window_is_read_anew() -> None:
    reader = Reader(ENCODERS[0], SPEC)
    reader.encode([asked("a", rows(5))])
    reader.encode([asked("a", [*rows(5), (9, 2, EventType.VIEW)])])
    assert (reader.read, reader.reused) == (11, 0), "it stands before others"
    reader.encode([asked("b", rows(LONGEST - 1))])
    reader.encode([asked("b", rows(LONGEST))])
    assert (reader.read, reader.reused) == (11 + 2 * (LONGEST - 1), 0), "the first event has left the window"


@given(left=st.lists(st.booleans(), min_size=4, max_size=4).filter(lambda kept: not all(kept)))
def test_of_whoever_lost_any_part_of_their_history_nothing_remembered_is_used_that_is_not_there(
    left: list[bool],
) -> None:
    """As after an erasure, on a replica that has not heard of it."""
    reader, some = Reader(ENCODERS[0], SPEC), [row for row, is_left in zip(rows(4), left, strict=True) if is_left]
    reader.encode([asked("a", rows(4))])
    after = reader.encode([asked("a", some)])
    assert reader.reused == 0
    np.testing.assert_allclose(after, whole(ENCODERS[0], [asked("a", some)]), atol=2e-5)


def test_who_is_not_named_or_forgotten_is_not_remembered() -> None:
    reader = Reader(ENCODERS[0], SPEC)
    for _ in range(2):
        reader.encode([asked(None, rows(3)), asked("a", rows(3))])
        reader.forget(lambda shopper: shopper == "a")
    assert reader.reused == 0


def test_no_more_is_kept_than_allowed_and_the_longest_unasked_goes_first() -> None:
    reader = Reader(ENCODERS[0], SPEC, most_tokens=2 * (5 + 9))
    for name in "abab":
        reader.encode([asked(name, rows(5))])
    assert reader.reused == 10
    reader.encode([asked("c", rows(5))])
    reader.encode([asked("b", rows(5))])
    assert reader.reused == 15, "there is room for two"
    reader.encode([asked("a", rows(5))])
    assert reader.reused == 15


def test_visitors_of_one_event_count_for_ten_because_of_what_is_around_it() -> None:
    reader = Reader(ENCODERS[0], SPEC, most_tokens=30)
    for name in "abcd":
        reader.encode([asked(name, rows(1))])
    for name in "dcba":
        reader.encode([asked(name, rows(1))])
    assert reader.reused == 3, "there is room for three"


def test_an_encoder_that_keeps_nothing_is_not_read_on() -> None:
    torch.manual_seed(0)
    gru = GRU4Rec(items=ITEMS, features=SPEC, dim=8).eval()
    assert not Reader.can_read(gru, SPEC)
    assert Reader.can_read(ENCODERS[0], SPEC)
