"""Attention that weighs each pair by the SiLU of its score, and biases looked up for each pair; both made to be fast.

Scores [B, H, L, L] are never kept: they are worked through in tiles that stay in a CPU's cache, and worked out again
for the gradient. Tokens stand in order of time, so a strip of rows needs no columns to its right: none are computed.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

UNSEEN = -1e4
"""A bias whose SiLU, and the slope there, are zero in any precision: whoever has it is not looked at."""
_SEQUENCES, _STRIP = 8, 64
"""Of a tile, for each thread of a CPU: half a megabyte of scores of 200 tokens."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
def pointwise_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Sum over k of SiLU(query[l] . key[k] + bias[l, k]) value[k]; whoever may not be looked at has the bias `UNSEEN`,
    which all that stand after l must.

    `query` [H, B, R, E], `key`, `value` [H, B, L, E] and `bias` [B or 1, R, L] -> [H, B, R, E]; where R is not L, all
    may stand before all.
    """
    mixed: Tensor = _PointwiseAttention.apply(query, key, value, bias)  # type: ignore[no-untyped-call]
    return mixed


@torch.compiler.disable  # type: ignore[untyped-decorator]
def looked_up(table: Tensor, row: Tensor) -> Tensor:
    """The values of `table` [K] in the rows `row` [...] int32."""
    found: Tensor = _LookUp.apply(table, row)  # type: ignore[no-untyped-call]
    return found


class _PointwiseAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        bias = bias.to(query.dtype).expand(query.shape[1], -1, -1)
        ctx.save_for_backward(query, key, value, bias)
        mixed = torch.empty_like(query)
        for some, rows, seen in _tiles(bias):
            for head in range(len(query)):
                score = torch.baddbmm(bias[some, rows, seen], query[head, some, rows], key[head, some, seen].mT)
                weight = torch.nn.functional.silu(score, inplace=True)
                torch.bmm(weight, value[head, some, seen], out=mixed[head, some, rows])
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        query, key, value, bias = ctx.saved_tensors
        grad = grad.contiguous()
        of_query, of_key, of_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        own = bias.stride(0) > 0
        of_bias = torch.zeros_like(bias if own else bias[:1], dtype=torch.promote_types(bias.dtype, torch.float32))
        for some, rows, seen in _tiles(bias):
            for head in range(len(query)):
                asking, asked, given = query[head, some, rows], key[head, some, seen], value[head, some, seen]
                above = grad[head, some, rows]
                score = torch.baddbmm(bias[some, rows, seen], asking, asked.mT)
                of_value[head, some, seen].baddbmm_(torch.nn.functional.silu(score).mT, above)
                of_score = torch.ops.aten.silu_backward(above @ given.mT, score)
                torch.bmm(of_score, asked, out=of_query[head, some, rows])
                of_key[head, some, seen].baddbmm_(of_score.mT, asking)
                if own:
                    of_bias[some, rows, seen] += of_score
                else:
                    of_bias[:, rows, seen] += of_score.sum(0)
        return of_query, of_key, of_value, of_bias


def _tiles(bias: Tensor) -> Iterator[tuple[slice, slice, slice]]:
    """Sequences, rows and the columns that these may see, of `bias` [B, R, L]."""
    count, length, columns = bias.shape
    on_cpu = bias.device.type == "cpu"
    sequences, strip = (_SEQUENCES * torch.get_num_threads(), _STRIP) if on_cpu else (count, length)
    for first in range(0, count, sequences):
        for begin in range(0, length, strip):
            end = min(begin + strip, length)
            yield slice(first, first + sequences), slice(begin, end), slice(0, end if length == columns else columns)


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
