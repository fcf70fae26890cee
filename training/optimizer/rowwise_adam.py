"""Adam for large catalogues: tables keep one second moment for each row, and a step touches the rows it read.

One number per row in place of one per weight comes from the row-wise Adagrad that recommenders of embeddings train with
(Naumov et al., "Deep learning recommendation model", 2019, https://arxiv.org/abs/1906.00091; Mudigere et al.,
"Software-hardware co-design for fast and scalable training of deep learning recommendation models", ISCA 2022,
https://arxiv.org/abs/2104.05158); with Adam's first moment kept whole it is what FBGEMM calls partial row-wise Adam.

What is exact: gradients of one row from one batch are summed before they are squared. A table of one column, and every
parameter that is no table, gets Adam itself. What differs from Adam: the second moment is the mean over the row, and a
row that a batch does not touch stands still, its moments and its own count of steps (by which the moments' bias is
corrected) with it; so each row sees Adam over the batches that touched it, however rare they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.optimizer.groups import groups, insist_rates, tables

_EPSILON = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class RowwiseAdam:
    """Takes sparse gradients (`tower.sparse=true`: neither gradient nor update grows with the catalogue) and dense ones
    alike. State of a table [V, D]: V * (D + 2) numbers, V * 2 where `beta1` is 0, in place of Adam's V * D * 2.

    Args:
        learning_rate: its peak; the schedule says how it runs.
        beta1: memory of the gradient; a one-cycle schedule moves it.
        beta2: memory of its square.
        weight_decay: as AdamW's, of matrices alone.
    """

    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        insist_rates(
            learning_rate=self.learning_rate, weight_decay=self.weight_decay, beta1=self.beta1, beta2=self.beta2
        )

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the module's parameters; weights of `nn.Embedding` and `nn.EmbeddingBag` go row by row."""
        return AdamOfRows(
            groups(module, self.weight_decay),
            tables=tables(module),
            learning_rate=self.learning_rate,
            betas=(self.beta1, self.beta2),
        )


class AdamOfRows(torch.optim.AdamW):
    """See `RowwiseAdam`; `tables` are those of the parameters in `groups` that go row by row."""

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        tables: Iterable[nn.Parameter],
        learning_rate: float,
        betas: tuple[float, float],
    ) -> None:
        super().__init__(groups, lr=learning_rate, betas=betas, eps=_EPSILON, weight_decay=0.0, fused=True)
        self._tables = frozenset(tables)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update by the gradients that lie in `grad`; there is no closure to call."""
        set_aside = [
            (group, table, table.grad)
            for group in self.param_groups
            for table in group["params"]
            if table in self._tables and table.grad is not None
        ]
        for _, table, _ in set_aside:
            table.grad = None
        super().step()
        for group, table, gradient in set_aside:
            table.grad = gradient
            beta1, beta2 = group["betas"]
            self._move(table, *_rows(gradient), rate=float(group["lr"]), beta1=beta1, beta2=beta2)

    def _move(
        self, table: nn.Parameter, row: Tensor, gradient: Tensor, *, rate: float, beta1: float, beta2: float
    ) -> None:
        """Adam's step of the rows `row` [n], each once, by their gradients [n, D]."""
        state = self.state[table]
        if not state:
            state["step"], state["exp_avg_sq"] = (torch.zeros(len(table), device=table.device) for _ in range(2))
        step = state["step"][row] + 1
        square = state["exp_avg_sq"][row].lerp(gradient.square().mean(1), 1 - beta2)
        state["step"][row], state["exp_avg_sq"][row] = step, square
        direction = gradient
        if beta1 or "exp_avg" in state:
            if "exp_avg" not in state:
                state["exp_avg"] = torch.zeros_like(table)
            mean = state["exp_avg"][row].lerp_(gradient, 1 - beta1)
            state["exp_avg"][row] = mean
            direction = mean / (1 - beta1**step)[:, None]
        length = (square / (1 - beta2**step)).sqrt_().add_(_EPSILON)
        table.index_add_(0, row, direction / length[:, None], alpha=-rate)


def _rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The rows [n] that a gradient [V, D] names, each once, and their values [n, D]; of a dense one those that are not
    zero."""
    if gradient.is_sparse:
        summed = gradient.coalesce()
        return summed.indices()[0], summed.values()
    row = gradient.ne(0).any(1).nonzero()[:, 0]
    return row, gradient[row]
