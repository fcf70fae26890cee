"""Full softmax against its definition and against torch's own cross-entropy."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.loss.full_softmax import FullSoftmax
from tests.recsys.loss.cases import BASKETS, ITEMS, Baskets, Case, batch_of, drawn, gradients_are_numeric, reading

NOTHING = drawn([])
ONE_QUERY_MIB = 4 * (ITEMS - 1) / 2**20
"""Memory for the scores of a single query, so that every query is a chunk of its own."""


def by_definition(case: Case) -> float:
    losses = []
    for query, target in case.pairs():
        others = [item for item in range(1, ITEMS) if item not in case.baskets[query]]
        hit = math.exp(case.score(query, target))
        losses.append(-math.log(hit / (hit + math.fsum(math.exp(case.score(query, item)) for item in others))))
    return math.fsum(losses) / len(losses)


@settings(deadline=None, max_examples=60)
@given(baskets=BASKETS, seed=st.integers(0, 999), chunk_mib=st.sampled_from([None, ONE_QUERY_MIB]))
def test_the_loss_is_its_definition_over_everything_but_padding_and_the_other_targets(
    baskets: Baskets, seed: int, chunk_mib: float | None
) -> None:
    case = Case.random(baskets, seed=seed)
    value = case.value(FullSoftmax(chunk_mib=chunk_mib), NOTHING)
    assert value == pytest.approx(by_definition(case), abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_one_target_a_query_it_is_the_cross_entropy_of_torch_and_so_are_its_gradients(dtype: torch.dtype) -> None:
    case = Case.random([[1], [5], [8], [5], [2]], seed=0)
    target = torch.tensor([0, 4, 7, 4, 1])
    ours, theirs = (
        [tensor.to(dtype, copy=True).requires_grad_() for tensor in (case.query, case.table)] for _ in range(2)
    )
    value = FullSoftmax(chunk_mib=2 * ONE_QUERY_MIB)(ours[0], batch_of(case.baskets), reading(ours[1]), NOTHING)
    full = torch.nn.functional.cross_entropy(theirs[0] @ theirs[1][1:].T, target)
    (3 * value).backward()
    (3 * full).backward()
    torch.testing.assert_close(value, full)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.grad, other.grad)


@pytest.mark.parametrize("chunk_mib", [None, ONE_QUERY_MIB])
def test_its_gradients_are_the_numeric_ones(chunk_mib: float | None) -> None:
    assert gradients_are_numeric(FullSoftmax(chunk_mib=chunk_mib), [[1, 3], [5], [2, 4, 8], [1]], NOTHING)


def test_one_target_far_above_all_else_does_not_swallow_what_another_is_up_against() -> None:
    query = torch.tensor([[1.0, 0.0]])
    table = torch.zeros(4, 2)
    table[1], table[2] = torch.tensor([200.0, 0.0]), torch.tensor([-5.0, 0.0])
    value = FullSoftmax()(query, batch_of([[1, 2]]), reading(table), NOTHING)
    assert float(value) == pytest.approx((0 + math.log1p(math.exp(5))) / 2, rel=1e-5)


def test_scores_too_large_for_an_exponential_are_no_trouble() -> None:
    table = torch.tensor([[0.0], [1000.0], [-1000.0], [999.0]])
    value = FullSoftmax()(torch.ones(1, 1), batch_of([[2]]), reading(table), NOTHING)
    assert float(value) == pytest.approx(2000 + math.log1p(math.exp(-1)), rel=1e-6)


def test_a_query_that_asks_for_the_whole_catalogue_costs_nothing() -> None:
    query = torch.randn(1, 4, requires_grad=True)
    value = FullSoftmax()(query, batch_of([[1, 2, 3]]), reading(torch.randn(4, 4)), NOTHING)
    value.backward()
    assert float(value.detach()) == 0.0
    assert query.grad is not None
    assert torch.equal(query.grad, torch.zeros(1, 4))


def test_under_autocast_the_loss_is_still_worked_out_in_float32() -> None:
    case = Case.random([[1, 3], [5], [2]], seed=3, spread=4.0)
    plain = case.value(FullSoftmax(), NOTHING)
    with torch.autocast("cpu", torch.bfloat16):
        half = FullSoftmax()(case.query.bfloat16(), batch_of(case.baskets), reading(case.table), NOTHING)
        wide = FullSoftmax()(case.query, batch_of(case.baskets), reading(case.table), NOTHING)
    assert half.dtype == wide.dtype == torch.float32
    assert float(wide) == pytest.approx(plain, rel=1e-6)
    assert float(half) == pytest.approx(plain, rel=0.02)


def test_gradients_come_in_the_type_of_what_they_belong_to() -> None:
    case = Case.random([[1, 3], [5]], seed=0)
    query, table = case.query.bfloat16().requires_grad_(), case.table.requires_grad_()
    FullSoftmax()(query, batch_of(case.baskets), reading(table), NOTHING).backward()
    assert query.grad is not None
    assert table.grad is not None
    assert (query.grad.dtype, table.grad.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(table.grad[0], torch.zeros(4))


def test_where_no_gradient_is_wanted_there_is_none() -> None:
    case = Case.random([[1, 3], [5]], seed=0)
    query = case.query.requires_grad_()
    with torch.no_grad():
        quiet = FullSoftmax()(query, batch_of(case.baskets), reading(case.table), NOTHING)
    assert not quiet.requires_grad
    assert float(quiet) == pytest.approx(case.value(FullSoftmax(), NOTHING))


def test_a_batch_that_asks_for_nothing_costs_nothing() -> None:
    nothing = torch.empty(0, dtype=torch.int64)
    batch = replace(batch_of([[1], [2]]), pair_query=nothing, pair_target=nothing)
    query = torch.randn(2, 4, requires_grad=True)
    value = FullSoftmax()(query, batch, reading(torch.randn(ITEMS, 4)), NOTHING)
    value.backward()
    assert float(value.detach()) == 0.0
    assert query.grad is not None
    assert torch.equal(query.grad, torch.zeros(2, 4))


def test_memory_is_one_chunk_of_scores_however_many_queries_ask() -> None:
    queries, items = 4_000, 1_001
    table = torch.randn(items, 4, requires_grad=True)
    query = torch.randn(queries, 4, requires_grad=True)
    pairs = replace(batch_of([[1]]), pair_query=torch.arange(queries), pair_target=torch.full((queries,), 7))
    with torch.profiler.profile(profile_memory=True) as profile:
        FullSoftmax(chunk_mib=0.5)(query, pairs, reading(table), NOTHING).backward()
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert 0 < largest <= 2**20 < 4 * queries * items
