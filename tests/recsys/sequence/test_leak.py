"""Nothing at or after an instant may reach what the encoder says at that instant."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.event import EventType
from recsys.feature.spec import FeatureSpec
from recsys.model.sasrec import SASRec
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from recsys.sequence.question import question_batch
from recsys.state import Context, ShopperState
from tests.recsys.by_hand import SECOND, Row, histories, history, spec
from tests.recsys.sequence.random_logs import ITEMS, everything_on

FEATURES = everything_on(max_length=40)
KINDS = st.sampled_from([EventType.PURCHASE, EventType.VIEW])
EVENTS = st.lists(st.tuples(st.integers(1, ITEMS - 1), st.integers(1, 6), KINDS), max_size=12)


def small_encoder(features: FeatureSpec = FEATURES) -> SASRec:
    """Untrained, with every part switched on: random projections, so that whatever leaks in shows."""
    torch.manual_seed(0)
    encoder = SASRec(items=ITEMS, features=features, dim=8, blocks=2, heads=2).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return encoder


ENCODER = small_encoder()


def by_time(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row[1])


def ask(rows: list[Row], at: int) -> torch.Tensor:
    with torch.inference_mode():
        state = ShopperState(history(*by_time(rows)), Context(at=at * SECOND))
        return ENCODER(question_batch([state], FEATURES))


def training_queries(rows: list[Row], features: FeatureSpec = FEATURES) -> dict[int, torch.Tensor]:
    """The query vector of every moment (by its instant in seconds), as training sees it in one window."""
    loader = Loader.of(histories(by_time(rows)), features, batch_tokens=10_000, context=10)
    batch = loader.load(np.arange(len(loader.windows.begin)))
    with torch.inference_mode():
        vectors = ENCODER(batch)
    return dict(zip((batch.time.flatten()[batch.query] // SECOND).tolist(), vectors, strict=True))


@settings(max_examples=60, deadline=None)
@given(past=EVENTS, future=EVENTS, other=EVENTS, at=st.integers(1, 6))
def test_no_event_at_or_after_the_question_changes_it(
    past: list[Row], future: list[Row], other: list[Row], at: int
) -> None:
    past = [row for row in past if row[1] < at]
    answers = [ask(past + [row for row in later if row[1] >= at], at) for later in ([], future, other)]
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])


@settings(max_examples=60, deadline=None)
@given(past=EVENTS, basket=EVENTS, other=EVENTS, at=st.integers(1, 6))
def test_no_event_at_or_after_a_moment_changes_its_query_in_training(
    past: list[Row], basket: list[Row], other: list[Row], at: int
) -> None:
    past = [row for row in past if row[1] < at]
    of_this, of_other = (
        training_queries([*past, (1, at, EventType.PURCHASE), *(row for row in later if row[1] >= at)])
        for later in (basket, other)
    )
    assert torch.allclose(of_this[at], of_other[at], atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(rows=EVENTS.filter(len), seed=st.integers(0, 99))
def test_training_asks_exactly_what_serving_asks(rows: list[Row], seed: int) -> None:
    for at, trained in training_queries(rows).items():
        torch.testing.assert_close(trained, ask(rows, at)[0], atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(rows=EVENTS.filter(len), seed=st.randoms(use_true_random=False))
def test_the_order_in_which_a_basket_is_stored_changes_no_query(rows: list[Row], seed: object) -> None:
    shuffled = list(rows)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    torch.testing.assert_close(ask(rows, 9), ask(shuffled, 9), atol=1e-5, rtol=0)
    one, two = training_queries(rows), training_queries(shuffled)
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


def hidden_states(batch: SequenceBatch) -> torch.Tensor:
    with torch.inference_mode():
        hidden = ENCODER.embedder(batch)
        for block in ENCODER.blocks:
            hidden = block(hidden, batch.attention_mask())
        return hidden[0]


def test_replacing_one_item_of_a_basket_leaves_the_others_untouched() -> None:
    earlier = ShopperState(history((1, 1), (2, 5), (3, 5), (4, 5)), Context(at=9 * SECOND))
    batch = question_batch([earlier], FEATURES)
    changed = replace(batch, item=batch.item.clone())
    changed.item[0, 2] = 5
    before, after = hidden_states(batch), hidden_states(changed)
    for token in (0, 1, 3):
        assert torch.equal(before[token], after[token]), "the item before the basket and the others in it"
    assert not torch.equal(before[2], after[2])
    assert not torch.equal(before[4], after[4]), "the question comes after the basket and sees the change"


def test_an_earlier_event_does_change_the_answer() -> None:
    assert not torch.allclose(ask([(1, 1)], 5), ask([(2, 1)], 5))
    assert not torch.allclose(ask([(1, 1), (2, 4)], 5), ask([(1, 1)], 5))


def test_the_hour_of_the_question_changes_the_answer() -> None:
    assert not torch.allclose(ask([(1, 1)], 5), ask([(1, 1)], 5 + 3 * 3600))


def test_asking_at_the_last_event_lets_no_event_of_its_own_moment_in() -> None:
    features = spec(max_length=40, query="last")
    encoder = small_encoder(features)

    def ask_last(*rows: Row) -> torch.Tensor:
        with torch.inference_mode():
            return encoder(question_batch([ShopperState(history(*rows), Context(at=9 * SECOND))], features))

    assert torch.equal(ask_last((1, 1), (2, 5), (3, 5)), ask_last((1, 1), (4, 5), (3, 5)))
    assert not torch.equal(ask_last((1, 1), (2, 4), (3, 5)), ask_last((1, 1), (4, 4), (3, 5)))
