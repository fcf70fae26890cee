"""BPR-max against its definition, one pair after the other in doubles."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import ConfigError
from recsys.loss.bpr_max import BPRMax
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


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_definition(case: Case, item: list[int], regularisation: float, bend: float) -> float:
    def bent(score: float) -> float:
        return score if score > 0 or bend == 0 else bend * math.expm1(score)

    losses = []
    for query, target in case.pairs():
        others = [bent(case.score(query, n)) for n in item if n not in case.baskets[query]]
        if not others:
            losses.append(0.0)
            continue
        own = bent(case.score(query, target))
        total = math.fsum(math.exp(other) for other in others)
        weight = [math.exp(other) / total for other in others]
        above = math.fsum(w * logistic(own - other) for w, other in zip(weight, others, strict=True))
        squares = math.fsum(w * other**2 for w, other in zip(weight, others, strict=True))
        losses.append(-math.log(above) + regularisation * squares)
    return math.fsum(losses) / len(losses)


@settings(deadline=None, max_examples=60)
@given(
    baskets=BASKETS,
    item=DRAWN,
    seed=st.integers(0, 999),
    regularisation=st.sampled_from([0.0, 0.9]),
    bend=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_loss_is_its_definition_without_accidental_hits(
    baskets: Baskets, item: list[int], seed: int, regularisation: float, bend: float
) -> None:
    case = Case.random(baskets, seed=seed)
    value = case.value(BPRMax(regularisation=regularisation, elu=bend), drawn(item))
    assert value == pytest.approx(by_definition(case, item, regularisation, bend), abs=1e-4, rel=1e-4)


def test_a_target_level_with_its_only_negative_costs_log_two_and_the_negatives_square() -> None:
    table = torch.tensor([[0.0], [3.0], [3.0]])
    value = BPRMax(regularisation=0.5)(torch.ones(1, 1), batch_of([[1]]), reading(table), drawn([2], torch.ones(3)))
    assert float(value) == pytest.approx(math.log(2) + 0.5 * 9, rel=1e-6)


def test_a_target_far_below_everything_costs_the_distance_not_infinity() -> None:
    query = torch.ones(1, 1, requires_grad=True)
    table = torch.tensor([[0.0], [-300.0], [300.0]])
    loss = BPRMax(regularisation=0.0, elu=0.0)
    value = loss(query, batch_of([[1]]), reading(table), drawn([2], torch.ones(3)))
    value.backward()
    assert float(value.detach()) == pytest.approx(600)
    assert query.grad is not None
    assert float(query.grad) == pytest.approx(600)


@pytest.mark.parametrize("bend", [0.0, 0.5])
def test_its_gradients_are_the_numeric_ones(bend: float) -> None:
    loss = BPRMax(elu=bend, regularisation=0.7, chunk_mib=1e-5)  # every query a chunk
    assert gradients_are_numeric(loss, [[1, 3], [5], [2]], drawn([3, 4, 4, 8]))


def test_a_query_whose_negatives_all_are_its_targets_costs_nothing_and_breaks_nothing() -> None:
    query = torch.randn(2, DIM, requires_grad=True)
    value = BPRMax()(query, batch_of([[3], [4]]), reading(torch.randn(ITEMS, DIM)), drawn([3, 3]))
    value.backward()
    assert query.grad is not None
    assert torch.equal(query.grad[0], torch.zeros(DIM))
    assert bool(torch.isfinite(query.grad).all())
    assert bool(query.grad[1].abs().sum() > 0)


@pytest.mark.parametrize("settings", [{"elu": -1.0}, {"regularisation": -0.1}])
def test_settings_below_zero_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="give 0"):
        BPRMax(**settings)
