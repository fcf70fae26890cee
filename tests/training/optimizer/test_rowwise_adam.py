"""Adam row by row."""

import math
from copy import deepcopy

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from training.optimizer.rowwise_adam import RowwiseAdam

RATE, BETA1, BETA2, EPSILON = 0.1, 0.9, 0.99, 1e-8
ADAM = RowwiseAdam(learning_rate=RATE, beta1=BETA1, beta2=BETA2)


def table(values: Tensor, *, sparse: bool = False) -> nn.Embedding:
    return nn.Embedding.from_pretrained(values.clone(), freeze=False, sparse=sparse)


def reference(start: Tensor, gradients: list[dict[int, list[float]]]) -> Tensor:
    """The same by hand, number by number, in float64; each step names the rows it touches."""
    rows = start.double().tolist()
    mean = [[0.0] * len(row) for row in rows]
    square, steps = [0.0] * len(rows), [0] * len(rows)
    for touched in gradients:
        for row, gradient in touched.items():
            steps[row] += 1
            square[row] = BETA2 * square[row] + (1 - BETA2) * sum(g * g for g in gradient) / len(gradient)
            length = math.sqrt(square[row] / (1 - BETA2 ** steps[row])) + EPSILON
            for column, g in enumerate(gradient):
                mean[row][column] = BETA1 * mean[row][column] + (1 - BETA1) * g
                rows[row][column] -= RATE * mean[row][column] / (1 - BETA1 ** steps[row]) / length
    return torch.tensor(rows, dtype=torch.float64)


number = st.integers(-20, 20).filter(bool).map(lambda n: n / 10)


@given(st.lists(st.dictionaries(st.integers(0, 3), st.lists(number, min_size=3, max_size=3)), min_size=1, max_size=6))
def test_it_is_adam_over_the_batches_that_touched_a_row_with_one_second_moment_a_row(
    gradients: list[dict[int, list[float]]],
) -> None:
    start = torch.linspace(-1, 1, 12).view(4, 3)
    for sparse in (False, True):
        module = table(start)
        optimizer = ADAM.build(module)
        for touched in gradients:
            row = torch.tensor(list(touched), dtype=torch.int64)
            values = torch.tensor(list(touched.values())).view(-1, 3)
            dense = torch.zeros(4, 3).index_copy(0, row, values)
            named = torch.sparse_coo_tensor(row[None], values, (4, 3), check_invariants=False)
            module.weight.grad = named if sparse else dense
            optimizer.step()
        torch.testing.assert_close(module.weight.double(), reference(start, gradients), rtol=1e-4, atol=1e-5)


def test_what_a_batch_says_of_one_row_several_times_is_summed_before_it_is_squared() -> None:
    one, other = table(torch.ones(3, 2), sparse=True), table(torch.ones(3, 2))
    for module in (one, other):
        optimizer = ADAM.build(module)
        for _ in range(3):
            optimizer.zero_grad()
            (module(torch.tensor([1, 1, 2])) * torch.tensor([[1.0], [2.0], [4.0]])).sum().backward()
            optimizer.step()
    torch.testing.assert_close(one.weight, other.weight)
    assert (one.weight[0] == 1).all()
    assert (one.weight[1:] < 1).all()


def test_a_table_of_one_column_and_whatever_is_no_table_move_as_by_torchs_adam() -> None:
    mine = nn.ModuleList([table(torch.ones(3, 1)), nn.Linear(2, 2)])
    theirs = nn.ModuleList([table(torch.ones(3, 1)), nn.Linear(2, 2)])
    theirs.load_state_dict(mine.state_dict())
    optimizers = [ADAM.build(mine), torch.optim.Adam(theirs.parameters(), lr=RATE, betas=(BETA1, BETA2), fused=True)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        for weight, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            weight.grad = torch.randn(weight.shape, generator=generator)
            other.grad = weight.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for weight, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(weight, other)


def test_its_state_is_a_little_over_half_of_adams_and_with_no_first_moment_nearly_nothing() -> None:
    def numbers(optimizer: torch.optim.Optimizer, module: nn.Embedding) -> int:
        module(torch.tensor([1])).sum().backward()
        optimizer.step()
        return sum(value.numel() for value in optimizer.state[module.weight].values())

    whole, bare = table(torch.ones(100, 64), sparse=True), table(torch.ones(100, 64), sparse=True)
    assert numbers(ADAM.build(whole), whole) == 100 * (64 + 2)
    assert numbers(RowwiseAdam(beta1=0.0).build(bare), bare) == 100 * 2


def test_what_it_keeps_survives_storing_and_restoring() -> None:
    module = table(torch.ones(3, 2), sparse=True)
    optimizer = ADAM.build(module)
    module(torch.tensor([1, 2, 2])).sum().backward()
    optimizer.step()
    other = table(module.weight.detach(), sparse=True)
    again = ADAM.build(other)
    again.load_state_dict(deepcopy(optimizer.state_dict()))
    for one, its in ((module, optimizer), (other, again)):
        its.zero_grad()
        one(torch.tensor([0, 2])).sum().backward()
        its.step()
    assert torch.equal(module.weight, other.weight)
    assert module.weight[0].tolist() == pytest.approx([0.9, 0.9])
