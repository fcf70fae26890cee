"""gBCE against its definition, one pair after the other in doubles."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import ConfigError
from recsys.loss.gbce import GBCE
from recsys.sampler.negatives import Negatives
from tests.recsys.loss.cases import (
    BASKETS,
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


def by_definition(case: Case, item: list[int], t: float) -> float:
    alpha = min(len(item) / (ITEMS - 2), 1)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    losses = []
    for query, target in case.pairs():
        total = beta * math.log(logistic(case.score(query, target)))
        total += math.fsum(math.log(1 - logistic(case.score(query, n))) for n in item if n not in case.baskets[query])
        losses.append(-total / (len(item) + 1))
    return math.fsum(losses) / len(losses)


@settings(deadline=None, max_examples=60)
@given(baskets=BASKETS, item=DRAWN, seed=st.integers(0, 999), t=st.sampled_from([0.0, 0.75, 1.0]))
def test_the_loss_is_its_definition_without_accidental_hits(
    baskets: Baskets, item: list[int], seed: int, t: float
) -> None:
    case = Case.random(baskets, seed=seed)
    value = case.value(GBCE(calibration=t), drawn(item))
    assert value == pytest.approx(by_definition(case, item, t), abs=1e-5, rel=1e-5)


def test_beta_is_that_of_the_paper() -> None:
    few = Negatives(torch.ones(256).long(), torch.zeros(256), items=3417)
    assert GBCE(calibration=0.75).beta(few) == pytest.approx(0.25 + 0.75 * 256 / 3416)
    assert GBCE(calibration=0.0).beta(few) == 1
    assert GBCE(calibration=1.0).beta(few) == pytest.approx(256 / 3416)


def test_as_many_negatives_as_items_need_no_calibration() -> None:
    assert GBCE(calibration=1.0).beta(Negatives(torch.ones(9).long(), torch.zeros(9), items=5)) == 1


def test_without_calibration_it_is_the_binary_cross_entropy_of_torch() -> None:
    case = Case.random([[1], [5]], seed=0)
    scores = torch.stack([case.table[[1, 2, 3]] @ case.query[0], case.table[[5, 2, 3]] @ case.query[1]])
    label = torch.tensor([[1.0, 0, 0], [1, 0, 0]])
    full = torch.nn.functional.binary_cross_entropy_with_logits(scores, label)
    assert case.value(GBCE(calibration=0.0), drawn([2, 3])) == pytest.approx(float(full), rel=1e-5)


def test_large_scores_keep_their_digits_in_float32() -> None:
    query = torch.tensor([[1.0]], requires_grad=True)
    table = torch.tensor([[0.0], [-90.0], [90.0]])
    value = GBCE(calibration=0.0)(query, batch_of([[1]]), reading(table), drawn([2], torch.ones(3)))
    value.backward()
    assert float(value.detach()) == pytest.approx((90 + 90) / 2)
    assert query.grad is not None
    assert float(query.grad) == pytest.approx((90 + 90) / 2)


def test_its_gradients_are_the_numeric_ones() -> None:
    loss = GBCE(chunk_mib=1e-5)  # every query a chunk
    assert gradients_are_numeric(loss, [[1, 3], [5], [2]], drawn([3, 4, 4, 8]))


def test_a_calibration_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loss\.calibration is 2"):
        GBCE(calibration=2)
