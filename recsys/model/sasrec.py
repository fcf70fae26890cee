"""SASRec: self-attention over a shopper's events, masked by time.

Kang & McAuley, "Self-attentive sequential recommendation" (ICDM 2018), with pre-norm blocks and masking by
time instead of position. A query token carries the question's own time.
"""

import torch
from torch import Tensor, nn

from recsys.feature.spec import FeatureSpec
from recsys.model.asked import Asked
from recsys.model.attention import Pairs, Trunk, attend, insist_divisible, start_as_average
from recsys.model.dropout import Dropout
from recsys.model.encoder import SequenceEncoder
from recsys.protocols import ItemTower, Similarity
from recsys.registry import registered


class Block(nn.Module):
    """Pre-norm attention and feed-forward, [B, L, D] -> [B, L, D] or, of those asked, [B, W, D]."""

    def __init__(self, *, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.forward_norm = nn.LayerNorm(dim)
        out = nn.Linear(4 * dim, dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), out)
        self.dropout = Dropout(dropout)
        start_as_average(self.qkv, self.project)
        with torch.no_grad():
            out.weight.mul_(0.1)

    def forward(
        self, hidden: Tensor, mask: Tensor | None, asked: Asked | None = None, pairs: Pairs | None = None
    ) -> Tensor:
        normed = self.attention_norm(hidden)
        mixed = attend(normed, self.qkv, heads=self.heads, mask=mask, asked=asked, pairs=pairs)
        hidden = hidden if asked is None else asked.rows(hidden)
        hidden = hidden + self.dropout(self.project(mixed))
        out: Tensor = hidden + self.dropout(self.feed_forward(self.forward_norm(hidden)))
        return out


@registered
class SASRec(SequenceEncoder):
    """Value and output projections start as identities: the untrained model already averages what the shopper took,
    which on logs full of repeats is worth about half of the first epochs.

    Args:
        items: V, catalogue size with index 0.
        features: what the events carry.
        dim: size of hidden states.
        blocks: number of attention blocks.
        heads: attention heads; must divide `dim`.
        dropout: on embeddings and block outputs.
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
        tower: ItemTower | None = None,
        similarity: Similarity | None = None,
    ) -> None:
        insist_divisible(dim, heads)
        made = (Block(dim=dim, heads=heads, dropout=dropout) for _ in range(blocks))
        trunk = Trunk(made, dim=dim, heads=heads)
        super().__init__(
            trunk, items=items, features=features, dim=dim, dropout=dropout, tower=tower, similarity=similarity,
            blocks=blocks, heads=heads,
        )  # fmt: skip
