"""Which tokens are asked: the last block of a trunk need not say anything of the others."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.sequence.batch import SequenceBatch


@dataclass(frozen=True, slots=True)
class Asked:
    """The queries of a batch, side by side for each of its B sequences; W is the most that one of them has.

    Attributes:
        column: columns of each sequence's queries [B, W]; 0 where it has fewer.
        place: where each query lies among them, row * W + column, [Q].
    """

    column: Tensor
    place: Tensor

    @classmethod
    def of(cls, batch: SequenceBatch) -> "Asked | None":
        """None where most tokens are queries, which saves nothing, and in a compiled graph, which wants fixed steps."""
        rows, length = batch.item.shape
        if torch.compiler.is_compiling() or 2 * len(batch.query) > rows * length:
            return None
        row = batch.query // length
        count = torch.bincount(row, minlength=rows)
        width = int(count.max())
        if 2 * width > length:
            return None
        slot = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        place = row * width + slot
        column = row.new_zeros(rows * width).index_put((place,), batch.query % length)
        return cls(column.view(rows, width), place)

    @classmethod
    def every(cls, column: np.ndarray) -> "Asked":
        """Those in the columns [Q] of a single sequence."""
        return cls(torch.from_numpy(column)[None], torch.arange(len(column)))

    def rows(self, tokens: Tensor) -> Tensor:
        """The queries' rows of [B, L, D], [B, W, D]."""
        return tokens.gather(1, self.column[..., None].expand(-1, -1, tokens.shape[2]))

    def mask(self, mask: Tensor | None, length: int) -> Tensor:
        """The queries' rows of an attention mask [B, 1, L, L] (None: causal), [B, 1, W, L]."""
        if mask is None:
            return (torch.arange(length, device=self.column.device) <= self.column[..., None])[:, None]
        return self.rows(mask[:, 0])[:, None]
