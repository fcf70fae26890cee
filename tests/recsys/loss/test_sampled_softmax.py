"""Sampled softmax against its definition, one pair after the other in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.sampler.negatives import Negatives
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from tests.recsys.by_hand import histories, spec

ITEMS, DIM = 9, 4


def batch_of(baskets: list[list[int]]) -> SequenceBatch:
    """One shopper a basket: query q asks for the items of basket q."""
    loader = Loader.of(
        histories(*([(item, 1) for item in basket] for basket in baskets)), spec(), batch_tokens=9_999, context=9
    )
    batch = loader.load(torch.arange(len(baskets)).numpy())
    assert batch.pair_target.tolist() == [item for basket in baskets for item in basket]
    return batch


def negatives_of(item: Tensor, chance: Tensor) -> Negatives:
    log_q = chance.log()
    return Negatives(item, log_q[item])


def by_definition(query: Tensor, table: Tensor, baskets: list[list[int]], item: list[int], chance: Tensor) -> float:
    losses = []
    for vector, basket in zip(query.double(), baskets, strict=True):
        noise = sum(
            math.exp(float(vector @ table[n].double())) / (len(item) * float(chance[n]))
            for n in item
            if n not in basket
        )
        for target in basket:
            hit = math.exp(float(vector @ table[target].double()))
            losses.append(-math.log(hit / (hit + noise)))
    return sum(losses) / len(losses)


@settings(deadline=None, max_examples=60)
@given(
    baskets=st.lists(st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=4, unique=True), min_size=1, max_size=4),
    drawn=st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=12),
    seed=st.integers(0, 999),
)
def test_the_loss_is_its_definition_with_log_q_and_without_accidental_hits(
    baskets: list[list[int]], drawn: list[int], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(len(baskets), DIM, generator=generator)
    table = torch.randn(ITEMS, DIM, generator=generator)
    chance = torch.rand(ITEMS, generator=generator) + 0.1
    chance = chance / chance.sum()
    negatives = negatives_of(torch.tensor(drawn), chance)
    value = SampledSoftmax()(query, batch_of(baskets), lambda item: table[item], negatives)
    assert float(value) == pytest.approx(by_definition(query, table, baskets, drawn, chance), abs=1e-4, rel=1e-4)


def test_with_every_item_as_a_negative_it_is_the_full_softmax() -> None:
    torch.manual_seed(0)
    query, table = torch.randn(3, DIM), torch.randn(ITEMS, DIM)
    everything = torch.arange(1, ITEMS)
    negatives = negatives_of(everything, torch.full((ITEMS,), 1 / (ITEMS - 1)))
    value = SampledSoftmax()(query, batch_of([[1], [5], [8]]), lambda item: table[item], negatives)
    full = torch.nn.functional.cross_entropy(query @ table[1:].T, torch.tensor([0, 4, 7]))
    torch.testing.assert_close(value, full)


def test_many_uniform_negatives_come_near_the_full_softmax() -> None:
    torch.manual_seed(0)
    query, table = torch.randn(3, DIM), torch.randn(501, DIM)
    full = torch.nn.functional.cross_entropy(query @ table[1:].T, torch.tensor([0, 4, 7]))
    sampler = UniformSampler(popularity=torch.ones(501))
    negatives = sampler.draw(100_000, target=torch.tensor([1]), generator=torch.Generator().manual_seed(0))
    value = SampledSoftmax()(query, batch_of([[1], [5], [8]]), lambda item: table[item], negatives)
    assert float(value) == pytest.approx(float(full), rel=0.01)


def test_its_gradient_is_the_numeric_one() -> None:
    torch.manual_seed(0)
    query = torch.randn(2, DIM, dtype=torch.float64, requires_grad=True)
    table = torch.randn(ITEMS, DIM, dtype=torch.float64, requires_grad=True)
    batch = batch_of([[1, 3], [5]])
    negatives = negatives_of(torch.tensor([3, 4, 4, 8]), torch.full((ITEMS,), 1 / (ITEMS - 1), dtype=torch.float64))
    assert torch.autograd.gradcheck(
        lambda q, t: SampledSoftmax()(q, batch, lambda item: t[item], negatives), (query, table)
    )


def test_a_query_whose_negatives_all_are_its_targets_costs_nothing_and_breaks_nothing() -> None:
    query = torch.randn(1, DIM, requires_grad=True)
    table = torch.randn(ITEMS, DIM)
    negatives = negatives_of(torch.tensor([3, 3]), torch.full((ITEMS,), 1 / ITEMS))
    value = SampledSoftmax()(query, batch_of([[3]]), lambda item: table[item], negatives)
    value.backward()
    assert float(value.detach()) == 0.0
    assert torch.equal(query.grad, torch.zeros(1, DIM))
