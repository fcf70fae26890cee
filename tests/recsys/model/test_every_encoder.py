"""What every encoder must do: shapes, independence of what it is batched with, storage, and learning what is plain."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from recsys.feature.spec import FeatureSpec
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.asked import Asked
from recsys.model.encoder import SequenceEncoder
from recsys.registry import construct, described
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from recsys.sequence.question import question_batch
from recsys.similarity.cosine import Cosine
from recsys.state import ShopperState
from recsys.tower.id import Id
from tests.recsys.by_hand import Row, histories, spec, state
from tests.recsys.model.encoders import ENCODERS, untrained

ITEMS = 12
ROWS = st.lists(st.tuples(st.integers(1, ITEMS - 1), st.integers(1, 30)), max_size=15)
FEATURES = spec()
MADE = {name: untrained(name, items=ITEMS, features=FEATURES, dim=16) for name in ENCODERS}
every_encoder = pytest.mark.parametrize("encoder", MADE.values(), ids=MADE.keys())
every_name = pytest.mark.parametrize("name", ENCODERS)


def encode(encoder: SequenceEncoder, states: list[ShopperState], features: FeatureSpec = FEATURES) -> torch.Tensor:
    with torch.inference_mode():
        return encoder(question_batch(states, features))


def shopper(rows: list[tuple[int, int]], at: int = 99) -> ShopperState:
    return state(*sorted(rows, key=lambda row: row[1]), at=at)


@every_encoder
def test_there_is_a_query_for_everybody_even_a_stranger(encoder: SequenceEncoder) -> None:
    assert encode(encoder, [shopper([(1, 1)]), shopper([])]).shape == (2, encoder.vector_size) == (2, 17)
    assert encode(encoder, [shopper([])]).isfinite().all()
    assert encoder.item_vectors().shape == (ITEMS, 17)


@every_encoder
@settings(deadline=None, max_examples=25)
@given(rows=ROWS, others=st.lists(ROWS, max_size=4))
def test_who_else_is_in_the_batch_changes_no_query(
    encoder: SequenceEncoder, rows: list[tuple[int, int]], others: list[list[tuple[int, int]]]
) -> None:
    alone = encode(encoder, [shopper(rows)])[0]
    together = encode(encoder, [*map(shopper, others), shopper(rows)])[-1]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


@every_encoder
def test_what_lies_in_the_padding_changes_no_query(encoder: SequenceEncoder) -> None:
    batch = question_batch([shopper([(1, 1)]), shopper([(2, 1), (3, 2), (4, 3)])], FEATURES)
    with torch.inference_mode():
        before = encoder(batch)
        batch.item[~batch.valid] = 7
        batch.type[~batch.valid] = 1
        batch.time[~batch.valid] = 0
        batch.features["hour"][~batch.valid] = 5
        assert torch.equal(encoder(batch), before)


def agree_on_those_asked(encoder: SequenceEncoder, batch: SequenceBatch) -> None:
    """The last block works for those asked alone; values and gradients are those of working for all."""
    assert Asked.of(batch) is not None
    gradients = []
    for states in (encoder.states(batch), encoder.states_of(encoder.hidden(batch), batch)):
        encoder.zero_grad()
        (states * torch.arange(states.shape[1])).sum().backward()
        gradients.append([None if p.grad is None else p.grad.clone() for p in encoder.parameters()])
        torch.testing.assert_close(states, encoder.states(batch), atol=1e-5, rtol=1e-4)
    for asked, everybody in zip(*gradients, strict=True):
        torch.testing.assert_close(asked, everybody, atol=1e-3, rtol=1e-3)


@every_name
def test_working_for_those_asked_alone_changes_nothing_in_training(name: str) -> None:
    encoder = untrained(name, items=ITEMS, features=FEATURES, dim=16)
    baskets: list[list[Row]] = [
        [(item, at) for at in range(1, moments) for item in range(1, 9)] for moments in (2, 6, 4)
    ]
    loader = Loader.of(histories(*baskets), FEATURES, batch_tokens=1_000, context=5)
    agree_on_those_asked(encoder, loader.load(np.arange(len(loader.windows))))


@pytest.mark.parametrize("query", ["token", "last"])
@every_name
def test_working_for_those_asked_alone_changes_nothing_in_answers(name: str, query: str) -> None:
    features = spec(query=query, order_only=query == "last")
    encoder = untrained(name, items=ITEMS, features=features, dim=16)
    agree_on_those_asked(encoder, question_batch([shopper([(1, 1)]), shopper([(2, 1), (3, 2), (4, 3)])], features))


@every_name
def test_described_stored_and_constructed_again_it_answers_the_same(name: str, tmp_path: Path) -> None:
    settings = {"tower": Id(std=0.3), "similarity": Cosine(), "dim": 8, "dropout": 0.4}
    encoder = untrained(name, items=ITEMS, features=FEATURES, **settings)
    save_file(encoder.state_dict(), tmp_path / "weights.safetensors")
    told = described(encoder)
    other = construct(told["class"], {**told["settings"], "items": ITEMS, "features": FEATURES}).eval()
    assert described(other) == told
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    some = [shopper([(1, 1), (2, 1), (3, 7)])]
    assert torch.equal(encode(other, some), encode(encoder, some))


@every_name
def test_every_weight_is_reached_by_the_gradient(name: str) -> None:
    features = spec(known_types=("purchase", "view"), token=("gap",))
    encoder = untrained(name, items=ITEMS, features=features, dim=8).train()
    rows: list[Row] = [(1, 1), (2, 1), (3, 4), (4, 9), (5, 20)]
    loader = Loader.of(histories(rows), features, batch_tokens=100, context=5)
    (batch,) = loader.epoch(seed=0, epoch=0)
    (encoder(batch) @ encoder.item_vectors().T).square().sum().backward()
    still = [key for key, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not still


@pytest.mark.parametrize("query", ["token", "last"])
@every_name
def test_it_learns_that_every_item_is_followed_by_the_next(name: str, query: str) -> None:
    features = spec(query=query, token=(), max_length=10, order_only=query == "last")
    encoder = untrained(name, items=ITEMS, features=features, dim=16, dropout=0.0).train()
    real, rng = ITEMS - 1, np.random.default_rng(0)
    begins = rng.integers(0, real, 40)
    shoppers = [[(int((begin + at) % real) + 1, at + 1) for at in range(8)] for begin in begins]
    loader = Loader.of(histories(*shoppers), features, batch_tokens=1_000, context=2)
    sampler, loss = UniformSampler(popularity=torch.ones(ITEMS)), SampledSoftmax(negatives=64)
    optimizer, generator = torch.optim.Adam(encoder.parameters(), lr=0.02), torch.Generator().manual_seed(0)
    for epoch in range(60):
        for batch in loader.epoch(seed=0, epoch=epoch):
            negatives = sampler.draw(64, target=batch.pair_target, generator=generator)
            optimizer.zero_grad()
            loss(encoder(batch), batch, encoder.item_vectors, negatives).backward()
            optimizer.step()
    asked = [shopper([(item, 1), (item % real + 1, 2)], at=3) for item in range(1, ITEMS)]
    best = (encode(encoder.eval(), asked, features) @ encoder.item_vectors().detach().T)[:, 1:].argmax(1) + 1
    assert best.tolist() == [(item + 1) % real + 1 for item in range(1, ITEMS)]
