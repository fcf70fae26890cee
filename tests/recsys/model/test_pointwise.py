"""Pointwise attention and its biases, against the same written out plainly in double precision."""

import math

import pytest
import torch
from torch import Tensor

from recsys.model.pointwise import UNSEEN, looked_up, pointwise_attention


def silu(score: float) -> float:
    return score / (1 + math.exp(-score))


def test_two_tokens_worked_out_by_hand() -> None:
    query, key, value = (
        torch.tensor(values)[None, None, :, None] for values in ([1.0, 2.0], [3.0, -1.0], [10.0, 20.0])
    )
    bias = torch.tensor([[[0.5, UNSEEN], [-4.0, 1.0]]])
    mixed = pointwise_attention(query, key, value, bias).flatten()
    expected = [silu(3.5) * 10, silu(2.0) * 10 + silu(-1.0) * 20]
    assert mixed.tolist() == pytest.approx(expected, rel=1e-5), "the first token does not see the second"


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    score = query @ key.transpose(-1, -2) + bias
    return torch.nn.functional.silu(score).tril() @ value


@pytest.mark.parametrize("biases", [1, 9], ids=["one bias for all sequences", "a bias for each"])
@pytest.mark.parametrize("length", [1, 64, 150])
def test_values_and_gradients_are_those_of_the_plain_formula(length: int, biases: int) -> None:
    given = [random(2, 9, length, 4, seed=seed) for seed in range(3)] + [random(biases, length, length, seed=3)]
    given[3] = torch.where(torch.ones(length, length).tril() > 0, given[3], UNSEEN)
    ours, theirs = ([tensor.clone().requires_grad_() for tensor in given] for _ in range(2))
    weight = random(2, 9, length, 4, seed=4)
    mixed, expected = pointwise_attention(*ours), plain(*theirs)
    torch.testing.assert_close(mixed, expected)
    (mixed * weight).sum().backward()
    (expected * weight).sum().backward()
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def test_a_bias_looked_up_gets_the_sum_of_the_gradients_of_its_places() -> None:
    table = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    found = looked_up(table, torch.tensor([[0, 2], [2, 0], [2, 2]], dtype=torch.int32))
    assert found.tolist() == [[1, 3], [3, 1], [3, 3]]
    (found * torch.tensor([[1.0, 10.0], [100.0, 1000.0], [0.5, 0.25]])).sum().backward()
    assert table.grad is not None
    assert table.grad.tolist() == [1001, 0, 110.75]
