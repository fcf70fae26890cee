"""Shoppers who were encoded before: read on, they have the vectors that reading them as a whole gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import SECOND
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.model.before import Remembered
from recsys.model.encoder import SequenceEncoder
from recsys.model.gru4rec import GRU4Rec
from recsys.model.hstu import HSTU
from recsys.model.ligr import LiGR
from recsys.model.reading import Reader
from recsys.model.sasrec import SASRec
from recsys.sequence.question import question_batch, remembered
from recsys.state import Context, History, ShopperState
from recsys.tower.id_and_content import IdAndContent
from tests.recsys.by_hand import spec
from tests.recsys.sequence.random_logs import (
    ITEMS as FULL_ITEMS,
)
from tests.recsys.sequence.random_logs import (
    UNIT,
    Happening,
    context_of,
    everything_on,
    happenings,
    history_of,
)

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
    with pytest.raises(ConfigError, match=r"GRU4Rec with .* reads a history as a whole"):
        Reader(gru, SPEC)


FULL = everything_on(max_length=6, memory=9)
VISITS = st.lists(st.tuples(st.sampled_from("ab"), st.lists(happenings(1, 9), max_size=4)), min_size=1, max_size=4)


def with_everything(kind: type[SequenceEncoder]) -> SequenceEncoder:
    torch.manual_seed(0)
    return kind(items=FULL_ITEMS, features=FULL, dim=8, blocks=2, heads=2, tower=IdAndContent()).eval()  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("kind", [SASRec, LiGR, HSTU], ids=lambda one: one.__name__)
@given(visits=VISITS, late=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_with_every_feature_on_reading_on_gives_what_reading_all_of_it_gives(
    kind: type[SequenceEncoder], visits: list[tuple[str, list[Happening]]], late: int
) -> None:
    """Prices, quantities, channels, devices, searches and so on: what anything reads of an event must be compared."""
    encoder = with_everything(kind)
    reader, known = Reader(encoder, FULL), {name: list[Happening]() for name in "ab"}
    for number, (name, events) in enumerate(visits):
        known[name] += events
        context = replace(context_of(FULL, [], 10 + number), utc_offset_s=3_600 * late if number % 2 else None)
        states = [
            ShopperState(remembered(history_of(events), FULL.memory), context, shopper=shopper)
            for shopper, events in known.items()
        ]
        with torch.inference_mode():
            whole_of_it = encoder(question_batch(states, FULL)).numpy()
        np.testing.assert_allclose(reader.encode(states), whole_of_it, atol=2e-5)


@pytest.mark.parametrize("column", sorted(FULL.columns))
def test_whatever_a_feature_reads_of_an_event_is_compared_before_anything_is_reused(column: str) -> None:
    usual = Happening(1, 1, EventType.PURCHASE, 1.0, 1.0, 2.0, 0, 0, 0, (1, 2))
    other: dict[str, object] = {
        "price": 2.0, "list_price": 3.0, "quantity": 2.0, "channel": 1, "device": 1, "position": 4, "query": (1, 3),
    }  # fmt: skip
    reader = Reader(with_everything(SASRec), FULL)
    for event in (usual, replace(usual, **{column: other[column]})):  # type: ignore[arg-type]
        reader.encode([ShopperState(history_of([event]), Context(at=5 * UNIT), shopper="a")])
    assert (reader.read, reader.reused) == (2, 0)


def one_more(tokens: Remembered, number: int) -> Remembered:
    """With a token behind it that consists of its number."""
    at = np.array([number])
    return tokens.followed_by(np.full((1, 2, 3), number, np.float32), at, at)


def kept(tokens: Remembered) -> list[list[float]]:
    shelf, rows = tokens.shelf, slice(tokens.count)
    return [shelf.kept[rows, 1, 2].tolist(), shelf.time[rows].tolist(), shelf.position[rows].tolist()]


def test_of_forty_tokens_in_a_row_all_are_kept_on_shelves_with_an_eighth_to_spare() -> None:
    tokens, shelves = Remembered.nothing(blocks=1, dim=3), set()
    for number in range(40):
        tokens = one_more(tokens, number)
        shelves.add(tokens.shelf)
        assert len(tokens.shelf.time) <= len(tokens) * 9 / 8
    assert kept(tokens) == [list(range(40))] * 3
    begun = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 19, 22, 25, 29, 33, 38]
    assert len(shelves) == len(begun), "8 have room for 9, 10 for 11, and 16 for 18"


def test_who_goes_on_from_the_same_beginning_as_another_does_not_write_over_what_that_one_keeps() -> None:
    """As two answers at once do, one of which knows of another event."""
    beginning = Remembered.nothing(blocks=1, dim=3)
    for number in range(10):
        beginning = one_more(beginning, number)
    assert len(beginning.shelf.time) == 11, "with room for one"
    one, other = one_more(beginning, 50), one_more(beginning, 60)
    assert one.shelf is beginning.shelf
    assert other.shelf is not beginning.shelf
    assert [kept(part)[0][-2:] for part in (beginning, one, other)] == [[8, 9], [9, 50], [9, 60]]


def test_what_is_kept_is_copied() -> None:
    """A view would keep the memory of everybody who was encoded along with a shopper."""
    read, at = np.ones((2, 2, 3), np.float32), np.zeros(2, np.int64)
    tokens = Remembered.nothing(blocks=1, dim=3).followed_by(read, at, at)
    assert not np.shares_memory(tokens.shelf.kept, read)
    assert not np.shares_memory(tokens.shelf.time, at)
