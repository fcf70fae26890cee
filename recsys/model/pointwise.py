"""Attention that weighs each pair by the SiLU of its score, and biases looked up for each pair; both made to be fast.

Scores [B, H, L, L] are never kept: rows are worked through in strips that stay in the cache, and worked out again for
the gradient. Tokens stand in order of time, so a strip needs no columns to its right: they are not even computed.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

UNSEEN = -1e4
"""A bias whose SiLU, and the slope there, are zero in any precision: whoever has it is not looked at."""
_STRIP = 64


def pointwise_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Sum over k of SiLU(query[l] . key[k] + bias[l, k]) value[k]; whoever may not be looked at has the bias `UNSEEN`,
    which all that stand after l must.

    `query`, `key`, `value` [B, H, L, E] and `bias` [B or 1, 1, L, L] -> [B, H, L, E].
    """
    mixed: Tensor = _PointwiseAttention.apply(query, key, value, bias)  # type: ignore[no-untyped-call]
    return mixed


def looked_up(table: Tensor, row: Tensor) -> Tensor:
    """The values of `table` [K] in the rows `row` [...] int32."""
    found: Tensor = _LookUp.apply(table, row)  # type: ignore[no-untyped-call]
    return found


def _strips(length: int) -> list[tuple[int, int]]:
    return [(begin, min(begin + _STRIP, length)) for begin in range(0, length, _STRIP)]


class _PointwiseAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        bias = bias.to(query.dtype)
        ctx.save_for_backward(query, key, value, bias)
        mixed = torch.empty_like(query)
        for begin, end in _strips(query.shape[2]):
            score = _scores(query, key, bias, begin, end)
            mixed[:, :, begin:end] = torch.nn.functional.silu(score, inplace=True) @ value[:, :, :end]
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        query, key, value, bias = ctx.saved_tensors
        grad = grad.contiguous()
        of_query, of_key, of_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        of_bias = torch.zeros_like(bias)
        summed = [1] if bias.shape[0] == query.shape[0] else [0, 1]
        for begin, end in _strips(query.shape[2]):
            score = _scores(query, key, bias, begin, end)
            above = grad[:, :, begin:end]
            of_value[:, :, :end] += torch.nn.functional.silu(score).transpose(-1, -2) @ above
            of_score = torch.ops.aten.silu_backward(above @ value[:, :, :end].transpose(-1, -2), score)
            of_bias[:, :, begin:end, :end] = of_score.sum(summed, keepdim=True)
            of_query[:, :, begin:end] = of_score @ key[:, :, :end]
            of_key[:, :, :end] += of_score.transpose(-1, -2) @ query[:, :, begin:end]
        return of_query, of_key, of_value, of_bias


def _scores(query: Tensor, key: Tensor, bias: Tensor, begin: int, end: int) -> Tensor:
    """Of the rows of one strip, [B, H, end - begin, end]."""
    return (query[:, :, begin:end] @ key[:, :, :end].transpose(-1, -2)).add_(bias[:, :, begin:end, :end])


class _LookUp(torch.autograd.Function):
    """Torch's own gradient of a lookup adds one by one; counting with weights is several times faster."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, row: Tensor) -> Tensor:
        ctx.save_for_backward(row)
        ctx.size = len(table)
        return table.index_select(0, row.flatten()).view(row.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (row,) = ctx.saved_tensors
        of_table = torch.bincount(row.flatten(), weights=grad.flatten(), minlength=ctx.size)
        return of_table.to(grad.dtype), None
