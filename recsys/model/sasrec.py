"""SASRec: self-attention over a shopper's events, masked by time.

Kang & McAuley, "Self-attentive sequential recommendation" (ICDM 2018), with pre-norm blocks and masking by
time instead of position. A query token carries the question's own time.
"""

import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec
from recsys.model.embedder import EventEmbedder
from recsys.registry import registered
from recsys.sequence.batch import SequenceBatch


class Block(nn.Module):
    """Pre-norm attention and feed-forward, [B, L, D] -> [B, L, D]."""

    def __init__(self, *, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.forward_norm = nn.LayerNorm(dim)
        out = nn.Linear(4 * dim, dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), out)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            self.qkv.weight[2 * dim :] = torch.eye(dim)
            self.project.weight.copy_(torch.eye(dim))
            out.weight.mul_(0.1)
            nn.init.zeros_(self.qkv.bias)
            nn.init.zeros_(self.project.bias)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, dim = hidden.shape
        qkv = self.qkv(self.attention_norm(hidden)).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
        mixed = mixed.transpose(1, 2).reshape(batch, length, dim)
        hidden = hidden + self.dropout(self.project(mixed))
        out: Tensor = hidden + self.dropout(self.feed_forward(self.forward_norm(hidden)))
        return out


@registered
class SASRec(nn.Module):
    """Queries from histories; items are ranked by inner product plus a popularity term of their own.

    Vectors have one component more than `dim`: the item's popularity (its log share at first, then learnt), met by a
    constant one in the query, so that a plain inner-product index gives the whole score. Value and output
    projections start as identities: the untrained model already averages what the shopper took, which on logs full of
    repeats is worth about half of the first epochs.

    Args:
        items: V, catalogue size with index 0.
        features: what the events carry.
        dim: size of hidden states.
        blocks: number of attention blocks.
        heads: attention heads; must divide `dim`.
        dropout: on embeddings and block outputs.
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
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ConfigError(f"model.dim={dim} cannot be split into model.heads={heads}; choose a divisor of dim")
        self._settings = {"dim": dim, "blocks": blocks, "heads": heads, "dropout": dropout}
        self.vector_size = dim + 1
        self.embedder = EventEmbedder(items=items, dim=dim, features=features)
        self.blocks = nn.ModuleList(Block(dim=dim, heads=heads, dropout=dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.popularity = nn.Parameter(torch.zeros(items))

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Query vectors [Q, D]."""
        hidden = self.dropout(self.embedder(batch))
        mask = None if batch.ordered else batch.attention_mask()
        for block in self.blocks:
            hidden = block(hidden, mask)
        query = self.norm(hidden.flatten(0, 1)[batch.query])
        return torch.cat([query, torch.ones_like(query[:, :1])], dim=-1)

    def item_vectors(self, item: Tensor | None = None) -> Tensor:
        """Vectors of `item` [N] -> [N, D], or of the catalogue [V, D]."""
        if item is None:
            return torch.cat([self.embedder.item.weight, self.popularity[:, None]], dim=-1)
        return torch.cat([self.embedder.item(item), self.popularity[item][:, None]], dim=-1)

    def prime(self, popularity: Tensor) -> None:
        """Start from the log share of each item [V], smoothed by half an interaction."""
        share = (popularity + 0.5) / (popularity.sum() + 0.5 * len(popularity))
        with torch.no_grad():
            self.popularity.copy_(torch.log(share * len(popularity)))

    def settings(self) -> dict[str, float]:
        """Constructor arguments, for the bundle."""
        return dict(self._settings)
