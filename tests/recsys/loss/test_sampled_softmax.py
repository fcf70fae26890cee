"""Sampled softmax against its definition, one pair after the other in doubles."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recsys.errors import ConfigError
from recsys.loss.bpr_max import BPRMax
from recsys.loss.full_softmax import FullSoftmax
from recsys.loss.gbce import GBCE
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.sampler.mixed import MixedSampler
from recsys.sampler.popularity import PopularitySampler
from recsys.sampler.uniform import UniformSampler
from tests.recsys.loss.cases import (
    BASKETS,
    DIM,
    DRAWN,
    ITEMS,
    Baskets,
    Case,
    batch_of,
    drawn,
    gradients_are_numeric,
    reading,
)


def by_definition(case: Case, item: list[int], chance: Tensor, correction: float) -> float:
    losses = []
    for query, target in case.pairs():
        noise = math.fsum(
            math.exp(case.score(query, n)) / (len(item) * float(chance[n])) ** correction
            for n in item
            if n not in case.baskets[query]
        )
        hit = math.exp(case.score(query, target))
        losses.append(-math.log(hit / (hit + noise)))
    return math.fsum(losses) / len(losses)


@settings(deadline=None, max_examples=60)
@given(baskets=BASKETS, item=DRAWN, seed=st.integers(0, 999), correction=st.sampled_from([0.0, 0.5, 1.0]))
def test_the_loss_is_its_definition_with_log_q_and_without_accidental_hits(
    baskets: Baskets, item: list[int], seed: int, correction: float
) -> None:
    case = Case.random(baskets, seed=seed)
    chance = torch.rand(ITEMS, generator=torch.Generator().manual_seed(seed)) + 0.1
    chance = chance / chance.sum()
    value = case.value(SampledSoftmax(correction=correction), drawn(item, chance))
    assert value == pytest.approx(by_definition(case, item, chance, correction), abs=1e-4, rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(baskets=BASKETS, seed=st.integers(0, 999))
def test_with_every_item_as_a_negative_once_it_is_the_full_softmax(baskets: Baskets, seed: int) -> None:
    case = Case.random(baskets, seed=seed)
    everything = drawn(range(1, ITEMS))
    assert case.value(SampledSoftmax(), everything) == pytest.approx(
        case.value(FullSoftmax(), drawn([])), rel=1e-5, abs=1e-5
    )


SKEWED = torch.cat([torch.zeros(1), 1000 / torch.arange(1, 501)])
SAMPLERS = {
    "uniform": UniformSampler(popularity=SKEWED),
    "popularity": PopularitySampler(popularity=SKEWED, alpha=0.5),
    "mixed": MixedSampler(popularity=SKEWED, in_batch=0.5),
    "mixed with popularity": MixedSampler(popularity=SKEWED, in_batch=0.3, alpha=0.75),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_many_negatives_come_near_the_full_softmax_whatever_the_sampler(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    query, table = torch.randn(3, DIM, generator=generator), torch.randn(501, DIM, generator=generator)
    batch = batch_of([[1], [5], [8]])
    asked = torch.multinomial(SKEWED, 200_000, replacement=True, generator=generator)
    negatives = SAMPLERS[name].draw(100_000, target=asked, generator=generator)
    sampled = SampledSoftmax()(query, batch, reading(table), negatives)
    full = FullSoftmax()(query, batch, reading(table), negatives)
    assert float(sampled) == pytest.approx(float(full), rel=0.01)


@pytest.mark.parametrize("correction", [0.0, 1.0])
def test_its_gradients_are_the_numeric_ones(correction: float) -> None:
    loss = SampledSoftmax(correction=correction, chunk_mib=1e-5)  # every query a chunk
    assert gradients_are_numeric(loss, [[1, 3], [5], [2]], drawn([3, 4, 4, 8]))


def test_a_query_whose_negatives_all_are_its_targets_costs_nothing_and_breaks_nothing() -> None:
    query = torch.randn(1, DIM, requires_grad=True)
    value = SampledSoftmax()(query, batch_of([[3]]), reading(torch.randn(ITEMS, DIM)), drawn([3, 3]))
    value.backward()
    assert float(value.detach()) == 0.0
    assert query.grad is not None
    assert torch.equal(query.grad, torch.zeros(1, DIM))


def test_a_correction_beyond_the_whole_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loss\.correction is 1\.5"):
        SampledSoftmax(correction=1.5)


@pytest.mark.parametrize("loss", [SampledSoftmax, GBCE, BPRMax])
def test_losses_that_need_negatives_refuse_to_have_none(loss: type[SampledSoftmax | GBCE | BPRMax]) -> None:
    with pytest.raises(ConfigError, match=r"loss\.negatives is 0; give at least 1, or take loss=full_softmax"):
        loss(negatives=0)
