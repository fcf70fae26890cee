"""HSTU: pointwise attention that weighs without a softmax, aware of how many moments and how much time lie between.

Zhai et al., "Actions speak louder than words: trillion-parameter sequential transducers for generative
recommendations" (ICML 2024), https://arxiv.org/abs/2402.17152, as in the authors' research code
(https://github.com/meta-recsys/generative-recommenders): one bias per distance and per time bucket in each block,
shared by its heads. Other than there, distances count moments, so that they are the same in every window, and a query
token weighs events by the time between them and the question.
"""

import numpy as np
import torch
from torch import Tensor, nn

from recsys.clock import SECOND
from recsys.feature.spec import FeatureSpec
from recsys.model.asked import Asked
from recsys.model.attention import insist_divisible
from recsys.model.before import Before, Remembered
from recsys.model.dropout import Dropout
from recsys.model.encoder import SequenceEncoder
from recsys.model.looking_back import silu_attention
from recsys.model.pointwise import UNSEEN, looked_up, pointwise_attention
from recsys.protocols import ItemTower, Similarity
from recsys.registry import registered
from recsys.sequence.batch import SequenceBatch

_EPSILON = 1e-6
_BUCKETS = 72
_GROWTH = 0.301
"""Times grow by e^0.301 = 1.35 from bucket to bucket, as in the authors' code; the last begins after 60 years."""


class Apart(nn.Module):
    """How far apart tokens are, as rows of a table of biases: one for each distance in moments and time bucket, and a
    last one for those who may not look at each other.

    Args:
        longest: distances beyond count as this one.
        timed: whether times mean anything.
    """

    def __init__(self, *, longest: int, timed: bool) -> None:
        super().__init__()
        self.longest = longest
        self.buckets = _BUCKETS if timed else 1
        borders = torch.arange(1, self.buckets).mul(_GROWTH).exp().mul(SECOND).ceil().long()
        self.register_buffer("borders", borders, persistent=False)
        self.borders: Tensor

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Rows of the table for looking and looked at, [B, L, L] int32, or [1, L, L] where all sequences agree."""
        if batch.ordered:
            column = torch.arange(batch.item.shape[1], device=batch.item.device)[None]
            moments = column[:, :, None] - column[:, None, :]
            seen = moments >= 0
        else:
            moments = batch.position[:, :, None] - batch.position[:, None, :]
            seen = batch.attention_mask()[:, 0]
        row = moments.clamp(0, self.longest)
        if self.buckets > 1:
            between = batch.time[:, :, None] - batch.time[:, None, :]
            row = row * self.buckets + torch.bucketize(between, self.borders, right=True)
        return torch.where(seen, row, (self.longest + 1) * self.buckets).int()


class TransductionUnit(nn.Module):
    """U * norm(SiLU(Q K + bias) V), projected and added, [B, L, D] -> [B, L, D] or, of those asked, [B, W, D].

    Args:
        longest: the most events of a history, by which sums over events are divided.
        buckets: of time; 1 where times mean nothing.
    """

    def __init__(self, *, dim: int, heads: int, dropout: float, longest: int, buckets: int) -> None:
        super().__init__()
        self.heads, self.longest = heads, longest
        self.uqvk = nn.Linear(dim, 4 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)
        self.moments = nn.Parameter(torch.empty(longest + 1))
        self.time = nn.Parameter(torch.empty(buckets)) if buckets > 1 else None
        for weight in (self.uqvk.weight, *(bias for bias in (self.moments, self.time) if bias is not None)):
            nn.init.normal_(weight, std=0.02)
        nn.init.xavier_uniform_(self.out.weight)

    def bias(self, apart: Tensor) -> Tensor:
        """What is added to the scores of tokens that are `apart` [B, L, L], of the same shape."""
        known = self.moments if self.time is None else (self.moments[:, None] + self.time).flatten()
        bias: Tensor = looked_up(torch.cat([known, known.new_tensor([UNSEEN])]), apart)
        return bias

    def forward(self, hidden: Tensor, apart: Tensor, asked: Asked | None = None) -> Tensor:
        normed = self._normed(hidden)
        if asked is None:
            gate, *parts = nn.functional.silu(self.uqvk(normed)).chunk(4, dim=-1)
        else:
            hidden, apart = asked.rows(hidden), asked.rows(apart.expand(len(hidden), -1, -1))
            asking, given = self.uqvk.weight.chunk(2)
            gate, query = nn.functional.silu(asked.rows(normed) @ asking.T).chunk(2, dim=-1)
            parts = [query, *nn.functional.silu(normed @ given.T).chunk(2, dim=-1)]
        query, value, key = (part.view(*part.shape[:2], self.heads, -1).permute(2, 0, 1, 3) for part in parts)
        mixed = pointwise_attention(query, key, value, self.bias(apart)).permute(1, 2, 0, 3).flatten(2)
        return self._joined(hidden, gate, mixed)

    def extend(
        self, hidden: Tensor, borders: np.ndarray, before: Before, *, rows: slice, asked: Asked | None
    ) -> Tensor:
        """The same of new tokens [1, N, D] that look back on those before; `borders` are those of the buckets of time,
        and `rows` those of what is kept that are this unit's."""
        parts = nn.functional.silu(self.uqvk(self._normed(hidden)))
        dim, given = hidden.shape[2], parts.numpy()[0]
        before.added[:, rows] = given[:, 2 * dim :].reshape(-1, 2, dim)
        mixed = np.empty((len(given), dim), np.float32)
        by_time = np.zeros(1, np.float32) if self.time is None else self.time.detach().numpy()
        by_moments = self.moments.detach().numpy()
        for known, begin, end in before.shoppers():
            silu_attention(
                given, dim, known.shelf.kept, before.added, rows.start + 1, rows.start, self.heads, known.count, begin,
                end, known.shelf.time, before.time, before.is_query, asked is not None, known.shelf.position,
                before.position, by_moments, by_time, borders, mixed,
            )  # fmt: skip
        gate = parts[..., :dim]
        if asked is not None:
            hidden, gate = asked.rows(hidden), asked.rows(gate)
        return self._joined(hidden, gate, before.those_of(mixed, asked))

    def _normed(self, hidden: Tensor) -> Tensor:
        return nn.functional.layer_norm(hidden, hidden.shape[2:], eps=_EPSILON)

    def _joined(self, hidden: Tensor, gate: Tensor, mixed: Tensor) -> Tensor:
        # The norm of a sum over n is the norm of the sum with an epsilon n squared times as large.
        mixed = nn.functional.layer_norm(mixed, mixed.shape[2:], eps=_EPSILON * self.longest**2)
        out: Tensor = hidden + self.out(self.dropout(gate * mixed))
        return out


class TransductionTrunk(nn.Module):
    """Units one after the other; who is how far apart is worked out once for all."""

    def __init__(self, *, dim: int, blocks: int, heads: int, dropout: float, longest: int, timed: bool) -> None:
        super().__init__()
        self.dim, self.heads = dim, heads
        self.apart = Apart(longest=longest, timed=timed)
        self.blocks = nn.ModuleList(
            TransductionUnit(dim=dim, heads=heads, dropout=dropout, longest=longest, buckets=self.apart.buckets)
            for _ in range(blocks)
        )

    def forward(self, hidden: Tensor, batch: SequenceBatch, asked: Asked | None = None) -> Tensor:
        apart = self.apart(batch)
        for block in self.blocks[:-1]:
            hidden = block(hidden, apart)
        for block in self.blocks[-1:]:
            hidden = block(hidden, apart, asked)
        return hidden

    def extend(self, hidden: Tensor, before: Before) -> Tensor:
        """See `Extends`."""
        borders = self.apart.borders.numpy()
        for number, block in enumerate(self.blocks):
            assert isinstance(block, TransductionUnit)
            rows, last = slice(2 * number, 2 * number + 2), number == len(self.blocks) - 1
            hidden = block.extend(hidden, borders, before, rows=rows, asked=before.asked if last else None)
        return hidden

    def nothing(self) -> Remembered:
        """See `Extends`."""
        return Remembered.nothing(blocks=len(self.blocks), dim=self.dim)


@registered
class HSTU(SequenceEncoder):
    """Where the log holds an order but no times, the bias of time is off.

    Args:
        items: V, catalogue size with index 0.
        features: what the events carry.
        dim: size of hidden states.
        blocks: number of transduction units.
        heads: attention heads; must divide `dim`.
        dropout: on embeddings and before each unit's output projection.
        positions: whether each moment's place in the window is told as well, as in the authors' code.
        tower, similarity: see `SequenceEncoder`.
    """

    def __init__(
        self,
        *,
        items: int,
        features: FeatureSpec,
        dim: int = 64,
        blocks: int = 2,
        heads: int = 2,
        dropout: float = 0.2,
        positions: bool = True,
        tower: ItemTower | None = None,
        similarity: Similarity | None = None,
    ) -> None:
        insist_divisible(dim, heads)
        trunk = TransductionTrunk(
            dim=dim, blocks=blocks, heads=heads, dropout=dropout,
            longest=features.max_length, timed=not features.order_only,
        )  # fmt: skip
        super().__init__(
            trunk, items=items, features=features, dim=dim, dropout=dropout, tower=tower, similarity=similarity,
            positions=positions, blocks=blocks, heads=heads,
        )  # fmt: skip
        self._settings["positions"] = positions
