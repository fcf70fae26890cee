"""How far one batch may pull."""

import pytest
import torch
from torch import nn

from training.trainer.gradient import clip


def test_a_gradient_of_length_five_is_shortened_to_one_and_a_short_one_left() -> None:
    weights = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    weights[0].grad, weights[1].grad = torch.tensor([3.0]), torch.tensor([-4.0])
    assert float(clip(weights, 1.0)) == 5
    assert [float(w.grad) for w in weights[:2] if w.grad is not None] == pytest.approx([0.6, -0.8], rel=1e-5)
    assert float(clip(weights, 10.0)) == pytest.approx(1, rel=1e-5)
    assert [float(w.grad) for w in weights[:2] if w.grad is not None] == pytest.approx([0.6, -0.8], rel=1e-5)


def test_a_gradient_that_is_never_too_long_is_measured_and_left_to_the_bit() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3e3, -4e3])
    assert float(clip([weight], None)) == 5e3
    assert weight.grad.tolist() == [3e3, -4e3]


def test_dense_gradients_are_clipped_to_the_bit_as_torch_does() -> None:
    generator = torch.Generator().manual_seed(0)
    mine = [nn.Parameter(torch.zeros(size)) for size in (3, 50, 7)]
    theirs = [nn.Parameter(torch.zeros(size)) for size in (3, 50, 7)]
    for one, other in zip(mine, theirs, strict=True):
        one.grad = torch.randn(one.shape, generator=generator)
        other.grad = one.grad.clone()
    assert torch.equal(clip(mine, 0.5), nn.utils.clip_grad_norm_(theirs, 0.5))
    assert all(
        one.grad is not None and other.grad is not None and torch.equal(one.grad, other.grad)
        for one, other in zip(mine, theirs, strict=True)
    )


def test_a_row_named_twice_counts_with_the_sum_of_what_is_said_of_it() -> None:
    table = nn.Embedding(4, 1, sparse=True)
    (table(torch.tensor([2, 2, 3])) * torch.tensor([[1.0], [2.0], [4.0]])).sum().backward()
    assert float(clip(table.parameters(), 1.0)) == 5  # not the root of 1 + 4 + 16
    assert table.weight.grad is not None
    assert table.weight.grad.to_dense()[:, 0].tolist() == pytest.approx([0, 0, 0.6, 0.8], rel=1e-5)
