"""Nothing at or after an instant may reach what the encoder says at that instant."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.event import EventType
from recsys.feature.spec import FeatureSpec
from recsys.model.encoder import SequenceEncoder
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from recsys.sequence.question import question_batch
from recsys.state import Context, ShopperState
from tests.recsys.by_hand import SECOND, Row, histories, history, spec
from tests.recsys.model.encoders import ENCODERS, untrained
from tests.recsys.sequence.random_logs import ITEMS, everything_on

FEATURES = everything_on(max_length=40)
KINDS = st.sampled_from([EventType.PURCHASE, EventType.VIEW])
EVENTS = st.lists(st.tuples(st.integers(1, ITEMS - 1), st.integers(1, 6), KINDS), max_size=12)


def small_encoder(name: str, features: FeatureSpec = FEATURES) -> SequenceEncoder:
    """Untrained, with every part switched on: random projections, so that whatever leaks in shows."""
    encoder = untrained(name, items=ITEMS, features=features, dim=8)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return encoder


MADE = {name: small_encoder(name) for name in ENCODERS}
every_encoder = pytest.mark.parametrize("encoder", MADE.values(), ids=MADE.keys())


def by_time(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row[1])


def ask(encoder: SequenceEncoder, rows: list[Row], at: int) -> torch.Tensor:
    with torch.inference_mode():
        state = ShopperState(history(*by_time(rows)), Context(at=at * SECOND))
        return encoder(question_batch([state], FEATURES))


def training_queries(
    encoder: SequenceEncoder, rows: list[Row], features: FeatureSpec = FEATURES
) -> dict[int, torch.Tensor]:
    """The query vector of every moment (by its instant in seconds), as training sees it in one window."""
    loader = Loader.of(histories(by_time(rows)), features, batch_tokens=10_000, context=10)
    batch = loader.load(np.arange(len(loader.windows.begin)))
    with torch.inference_mode():
        vectors = encoder(batch)
    return dict(zip((batch.time.flatten()[batch.query] // SECOND).tolist(), vectors, strict=True))


@every_encoder
@settings(max_examples=30, deadline=None)
@given(past=EVENTS, future=EVENTS, other=EVENTS, at=st.integers(1, 6))
def test_no_event_at_or_after_the_question_changes_it(
    encoder: SequenceEncoder, past: list[Row], future: list[Row], other: list[Row], at: int
) -> None:
    past = [row for row in past if row[1] < at]
    answers = [ask(encoder, past + [row for row in later if row[1] >= at], at) for later in ([], future, other)]
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])


@every_encoder
@settings(max_examples=30, deadline=None)
@given(past=EVENTS, basket=EVENTS, other=EVENTS, at=st.integers(1, 6))
def test_no_event_at_or_after_a_moment_changes_its_query_in_training(
    encoder: SequenceEncoder, past: list[Row], basket: list[Row], other: list[Row], at: int
) -> None:
    past = [row for row in past if row[1] < at]
    of_this, of_other = (
        training_queries(encoder, [*past, (1, at, EventType.PURCHASE), *(row for row in later if row[1] >= at)])
        for later in (basket, other)
    )
    assert torch.allclose(of_this[at], of_other[at], atol=1e-5)


@every_encoder
@settings(max_examples=20, deadline=None)
@given(rows=EVENTS.filter(len), seed=st.integers(0, 99))
def test_training_asks_exactly_what_serving_asks(encoder: SequenceEncoder, rows: list[Row], seed: int) -> None:
    for at, trained in training_queries(encoder, rows).items():
        torch.testing.assert_close(trained, ask(encoder, rows, at)[0], atol=1e-5, rtol=0)


@every_encoder
@settings(max_examples=20, deadline=None)
@given(rows=EVENTS.filter(len), seed=st.randoms(use_true_random=False))
def test_the_order_in_which_a_basket_is_stored_changes_no_query(
    encoder: SequenceEncoder, rows: list[Row], seed: object
) -> None:
    shuffled = list(rows)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    torch.testing.assert_close(ask(encoder, rows, 9), ask(encoder, shuffled, 9), atol=1e-5, rtol=0)
    one, two = training_queries(encoder, rows), training_queries(encoder, shuffled)
    for at, vector in one.items():
        torch.testing.assert_close(vector, two[at], atol=1e-5, rtol=0)


@given(rows=EVENTS.filter(len))
def test_the_mask_lets_an_event_see_itself_and_earlier_events_only(rows: list[Row]) -> None:
    loader = Loader.of(histories(by_time(rows), [(1, 3)]), FEATURES, batch_tokens=10_000, context=10)
    batch = loader.load(np.arange(len(loader.windows.begin)))
    mask = batch.attention_mask()[:, 0]
    for row in range(mask.shape[0]):
        for looking in range(mask.shape[1]):
            for seen in range(mask.shape[1]):
                assert bool(mask[row, looking, seen]) == may_see(batch, row, looking, seen)


def may_see(batch: SequenceBatch, row: int, looking: int, seen: int) -> bool:
    if looking == seen:
        return True
    is_event = bool(batch.valid[row, seen]) and not bool(batch.is_query[row, seen])
    return bool(batch.valid[row, looking]) and is_event and bool(batch.time[row, seen] < batch.time[row, looking])


def hidden_states(encoder: SequenceEncoder, batch: SequenceBatch) -> torch.Tensor:
    with torch.inference_mode():
        hidden: torch.Tensor = encoder.trunk(encoder.embedder(batch), batch)[0]
        return hidden


@every_encoder
def test_replacing_one_item_of_a_basket_leaves_the_others_untouched(encoder: SequenceEncoder) -> None:
    earlier = ShopperState(history((1, 1), (2, 5), (3, 5), (4, 5)), Context(at=9 * SECOND))
    batch = question_batch([earlier], FEATURES)
    changed = replace(batch, item=batch.item.clone())
    changed.item[0, 2] = 5
    before, after = hidden_states(encoder, batch), hidden_states(encoder, changed)
    for token in (0, 1, 3):
        assert torch.equal(before[token], after[token]), "the item before the basket and the others in it"
    assert not torch.equal(before[2], after[2])
    assert not torch.equal(before[4], after[4]), "the question comes after the basket and sees the change"


@every_encoder
def test_an_earlier_event_does_change_the_answer(encoder: SequenceEncoder) -> None:
    assert not torch.allclose(ask(encoder, [(1, 1)], 5), ask(encoder, [(2, 1)], 5))
    assert not torch.allclose(ask(encoder, [(1, 1), (2, 4)], 5), ask(encoder, [(1, 1)], 5))


@every_encoder
def test_the_hour_of_the_question_changes_the_answer(encoder: SequenceEncoder) -> None:
    assert not torch.allclose(ask(encoder, [(1, 1)], 5), ask(encoder, [(1, 1)], 5 + 3 * 3600))


LITERATURE = spec(max_length=40, query="last", token=(), order_only=True)
LAST = {name: small_encoder(name, LITERATURE) for name in ENCODERS}


def ask_last(encoder: SequenceEncoder, *rows: Row) -> torch.Tensor:
    with torch.inference_mode():
        return encoder(question_batch([ShopperState(history(*rows), Context(at=99 * SECOND))], LITERATURE))


@pytest.mark.parametrize("encoder", LAST.values(), ids=LAST.keys())
def test_asking_at_the_last_event_lets_no_event_of_its_own_moment_in(encoder: SequenceEncoder) -> None:
    assert torch.equal(ask_last(encoder, (1, 1), (2, 5), (3, 5)), ask_last(encoder, (1, 1), (4, 5), (3, 5)))
    assert not torch.equal(ask_last(encoder, (1, 1), (2, 4), (3, 5)), ask_last(encoder, (1, 1), (4, 4), (3, 5)))


@pytest.mark.parametrize("encoder", LAST.values(), ids=LAST.keys())
@settings(max_examples=30, deadline=None)
@given(items=st.lists(st.integers(1, ITEMS - 1), min_size=2, max_size=12))
def test_in_literature_mode_training_asks_what_is_asked_with_nothing_after(
    encoder: SequenceEncoder, items: list[int]
) -> None:
    rows: list[Row] = [(item, at) for at, item in enumerate(items, 1)]
    for at, trained in training_queries(encoder, rows, LITERATURE).items():
        torch.testing.assert_close(trained, ask_last(encoder, *rows[:at])[0], atol=1e-5, rtol=0)
