"""Losses over a matrix of scores that never exists as a whole: a few queries at a time, gradients included.

The scores of some queries are made, read and turned into gradients while they lie in the cache; then their memory
serves the next queries. Since a loss is the end of the graph, its gradients can be had in the forward pass; the
backward pass only scales them. Hsu et al., "Liger Kernel: efficient Triton kernels for LLM training" (2024), do so for
language models; Wijmans et al., "Cut your losses in large-vocabulary language models" (ICLR 2025), go further within
one kernel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CPU_CHUNK_MIB, _CPU_ROWS, _DEVICE_CHUNK_MIB = 3.0, 128, 256.0


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
    """A loss as it is worked out for a few queries."""

    def __call__(self, scores: Tensor, positive: Tensor, owner: Tensor) -> Pull:
        """`scores` [C, N] of negatives, the lowest number there is where they do not count; those of
        targets [p], and whose they are [p]. May overwrite the scores."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Which scores are compared.

    Attributes:
        owner: the query of each pair [P], ascending.
        hit_query, hit_place: scores that do not count [H]; queries ascend.
        bias: what is added to every query's scores [N].
        chunk_mib: memory for the scores of one chunk. None: on a CPU 3 (what stays in the cache), but room for at least
            128 queries, since each chunk walks through the gradient of the whole table; 256 elsewhere.
    """

    owner: Tensor
    hit_query: Tensor
    hit_place: Tensor
    bias: Tensor | None = None
    chunk_mib: float | None = None


def contrasted(cost: Cost, query: Tensor, table: Tensor, positive: Tensor, *, contrast: Contrast) -> Tensor:
    """Mean cost of P pairs: scores of `table` [N, D] for `query` [Q, D] against `positive` [P], the targets' scores.

    A scalar, 0 without pairs. At least float32 throughout, also under autocast, where a GPU's products take operands
    of the autocast type. There are no second derivatives.
    """
    products = _products(query.device)
    with torch.autocast(query.device.type, enabled=False):
        work = _Work(cost, contrast, products, gradients=torch.is_grad_enabled())
        value: Tensor = _InChunks.apply(wide(query), wide(table), wide(positive), work)  # type: ignore[no-untyped-call]
    return value


def wide(tensor: Tensor) -> Tensor:
    """At least float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def lowest(scores: Tensor) -> float:
    """Score of a negative that does not count: finite, so that a query without any negative makes no NaN."""
    return torch.finfo(scores.dtype).min


class _Products:
    """Products of matrices as they are."""

    def product(self, left: Tensor, right: Tensor, *, room: Tensor | None = None) -> Tensor:
        """[A, B] x [B, C] -> [A, C], in `room` if given."""
        return torch.mm(left, right, out=room)

    def grow(self, total: Tensor, left: Tensor, right: Tensor) -> None:
        """`total` [A, C] grows by [A, B] x [B, C]."""
        total.addmm_(left, right)


@dataclass(frozen=True, slots=True)
class _RoundedProducts(_Products):
    """Operands are rounded to `operand`, sums are float32: what autocast means on a GPU, without rounding results."""

    operand: torch.dtype

    def product(self, left: Tensor, right: Tensor, *, room: Tensor | None = None) -> Tensor:
        return torch.mm(left.to(self.operand), right.to(self.operand), out_dtype=torch.float32)

    def grow(self, total: Tensor, left: Tensor, right: Tensor) -> None:
        total.add_(self.product(left, right))


def _products(device: torch.device) -> _Products:
    """Rounded ones under autocast on a GPU; on a CPU they do not pay."""
    if device.type == "cuda" and torch.is_autocast_enabled("cuda"):
        return _RoundedProducts(torch.get_autocast_dtype("cuda"))
    return _Products()


@dataclass(frozen=True, slots=True)
class _Work:
    cost: Cost
    contrast: Contrast
    products: _Products
    gradients: bool

    def rows(self, width: int) -> int:
        """How many queries a chunk has."""
        mib, least = self.contrast.chunk_mib, 1
        if mib is None:
            on_cpu = self.contrast.owner.device.type == "cpu"
            mib, least = (_CPU_CHUNK_MIB, _CPU_ROWS) if on_cpu else (_DEVICE_CHUNK_MIB, 1)
        return max(least, int(mib * 2**20) // (4 * max(width, 1)))

    def chunks(self, queries: int, width: int) -> "Iterator[tuple[slice, slice, slice]]":
        """Of each chunk: its queries, its pairs, its hits."""
        contrast = self.contrast
        rows = self.rows(width)
        ends = torch.arange(rows, queries + rows, rows).clamp(max=queries)
        bounds = [ends.tolist()]
        for column in (contrast.owner, contrast.hit_query):
            bounds.append(torch.searchsorted(column, ends.to(column.device)).tolist())
        begin = (0, 0, 0)
        for end in zip(*bounds, strict=True):
            first, second, third = (slice(a, b) for a, b in zip(begin, end, strict=True))
            yield first, second, third
            begin = end


class _InChunks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, table: Tensor, positive: Tensor, work: _Work) -> Tensor:
        contrast, products, pairs = work.contrast, work.products, max(len(positive), 1)
        value = query.new_zeros(())
        query_pull, table_pull, positive_pull = (torch.zeros_like(part) for part in (query, table, positive))
        room = query.new_empty(min(work.rows(len(table)), len(query)), len(table))
        for rows, own, hits in work.chunks(len(query), len(table)):
            part = query[rows]
            scores = products.product(part, table.T, room=room[: len(part)])
            if contrast.bias is not None:
                scores += contrast.bias
            scores[contrast.hit_query[hits] - rows.start, contrast.hit_place[hits]] = lowest(scores)
            pull = work.cost(scores, positive[own], contrast.owner[own] - rows.start)
            value += pull.loss
            if not work.gradients:
                continue
            scale = pull.scale / pairs
            query_pull[rows] = products.product(pull.scores, table).mul_(scale)
            products.grow(table_pull, pull.scores.T, part * scale)
            positive_pull[own] = pull.positive / pairs
        ctx.save_for_backward(query_pull, table_pull, positive_pull)
        return value / pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        query_pull, table_pull, positive_pull = ctx.saved_tensors
        return query_pull * upstream, table_pull * upstream, positive_pull * upstream, None
