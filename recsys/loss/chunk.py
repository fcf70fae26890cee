"""Losses over a matrix of scores that never exists as a whole: a few queries at a time, gradients included.

The scores of some queries are made, read and turned into gradients while they lie in the cache; then their memory
serves the next queries. Since a loss is the end of the graph, its gradients can be had in the forward pass; the backward
pass only scales them. Hsu et al., "Liger Kernel: efficient Triton kernels for LLM training" (2024), do so for language
models; Wijmans et al., "Cut your losses in large-vocabulary language models" (ICLR 2025), go further within one kernel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CPU_CHUNK_MIB, _DEVICE_CHUNK_MIB = 1.0, 256.0
_LEAST_ROWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What the scores of C queries and their p pairs cost, summed, and how the cost changes with them.

    Attributes:
        loss: the sum; a scalar.
        scores, scale: their gradient is `scale` [C, 1] times `scores` [C, N]; apart, so that the large one is not
            walked through once more.
        positive: gradient of the targets' scores [p].
    """

    loss: Tensor
    scores: Tensor
    scale: Tensor
    positive: Tensor


class Cost(Protocol):
    """A loss as it is worked out for a few queries; may overwrite the scores."""

    def __call__(self, scores: Tensor, positive: Tensor, owner: Tensor) -> Pull:
        """`scores` [C, N] of negatives, -inf where they do not count; those of targets [p], and whose they are [p]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Which scores are compared.

    Attributes:
        owner: the query of each pair [P], ascending.
        hit_query, hit_place: scores that do not count [H]; queries ascend.
        bias: what is added to every query's scores [N].
        chunk_mib: memory for the scores of one chunk; None: 1 on a CPU (a core's own cache), 256 elsewhere.
    """

    owner: Tensor
    hit_query: Tensor
    hit_place: Tensor
    bias: Tensor | None = None
    chunk_mib: float | None = None


def contrasted(cost: Cost, query: Tensor, table: Tensor, positive: Tensor, *, contrast: Contrast) -> Tensor:
    """Mean cost of P pairs: scores of `table` [N, D] for `query` [Q, D] against `positive` [P], the targets' scores.

    A scalar, 0 without pairs. At least float32 throughout, also under autocast, where a GPU's products take operands
    of the autocast type. Gradients can be asked for once only, not differentiated again.
    """
    with torch.autocast(query.device.type, enabled=False):
        value: Tensor = _InChunks.apply(  # type: ignore[no-untyped-call]
            wide(query), wide(table), wide(positive), _Work(cost, contrast, torch.is_grad_enabled(), _operand(query))
        )
    return value


def wide(tensor: Tensor) -> Tensor:
    """At least float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _operand(query: Tensor) -> torch.dtype | None:
    """Type to round operands of products to; none on a CPU, where that does not pay."""
    if query.device.type == "cuda" and torch.is_autocast_enabled("cuda"):
        return torch.get_autocast_dtype("cuda")
    return None


@dataclass(frozen=True, slots=True)
class _Work:
    cost: Cost
    contrast: Contrast
    gradients: bool
    operand: torch.dtype | None

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """[A, B] x [B, C] -> [A, C], summed in at least float32."""
        if self.operand is None:
            return torch.mm(left, right)
        return torch.mm(left.to(self.operand), right.to(self.operand), out_dtype=torch.float32)

    def add_product(self, total: Tensor, left: Tensor, right: Tensor) -> None:
        """`total` [A, C] grows by [A, B] x [B, C]."""
        if self.operand is None:
            total.addmm_(left, right)
        else:
            total.add_(self.product(left, right))

    def scores(self, query: Tensor, table: Tensor) -> Tensor:
        if self.operand is None and self.contrast.bias is not None:
            return torch.addmm(self.contrast.bias.to(query.dtype), query, table.T)
        scores = self.product(query, table.T)
        return scores if self.contrast.bias is None else scores.add_(self.contrast.bias)

    def chunks(self, queries: int, width: int) -> "Iterator[tuple[slice, slice, slice]]":
        """Of each chunk: its queries, its pairs, its hits."""
        contrast = self.contrast
        rows = _rows(contrast.chunk_mib, width, contrast.owner.device)
        ends = torch.arange(rows, queries + rows, rows).clamp(max=queries)
        bounds = [ends.tolist()]
        for column in (contrast.owner, contrast.hit_query):
            bounds.append(torch.searchsorted(column, ends.to(column.device)).tolist())
        begin = (0, 0, 0)
        for end in zip(*bounds, strict=True):
            first, second, third = (slice(a, b) for a, b in zip(begin, end, strict=True))
            yield first, second, third
            begin = end


def _rows(chunk_mib: float | None, width: int, device: torch.device) -> int:
    """How many queries a chunk has."""
    row_mib = 4 * max(width, 1) / 2**20
    if chunk_mib is not None:
        return max(1, int(chunk_mib / row_mib))
    return max(_LEAST_ROWS, int((_CPU_CHUNK_MIB if device.type == "cpu" else _DEVICE_CHUNK_MIB) / row_mib))


class _InChunks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, table: Tensor, positive: Tensor, work: _Work) -> Tensor:
        contrast, pairs = work.contrast, max(len(positive), 1)
        value = query.new_zeros(())
        query_pull, table_pull, positive_pull = (torch.zeros_like(part) for part in (query, table, positive))
        for rows, own, hits in work.chunks(len(query), len(table)):
            part = query[rows]
            scores = work.scores(part, table)
            scores[contrast.hit_query[hits] - rows.start, contrast.hit_place[hits]] = -torch.inf
            pull = work.cost(scores, positive[own], contrast.owner[own] - rows.start)
            value += pull.loss
            if not work.gradients:
                continue
            scale = pull.scale / pairs
            query_pull[rows] = work.product(pull.scores, table).mul_(scale)
            work.add_product(table_pull, pull.scores.T, part * scale)
            positive_pull[own] = pull.positive / pairs
        ctx.save_for_backward(query_pull, table_pull, positive_pull)
        return value / pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        query_pull, table_pull, positive_pull = ctx.saved_tensors
        return query_pull * upstream, table_pull * upstream, positive_pull * upstream, None
