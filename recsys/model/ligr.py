"""LiGR: transformer blocks whose every contribution passes a learned gate; with sampled softmax this is eSASRec.

Borisyuk et al., "From features to transformers: redefining ranking for scalable impact" (2025),
https://arxiv.org/abs/2502.03417; Tikhonovich et al., "eSASRec: enhancing transformer-based recommendations in a modular
fashion" (RecSys 2025), https://arxiv.org/abs/2508.06450. As in the latter, blocks are pre-norm, gates read the
states before the norm, and the feed-forward part is a SwiGLU without biases. Other than there, attention weights are
not dropped (fused kernels cannot), and states are normed once more before they are compared with items.
"""

from torch import Tensor, nn

from recsys.feature.spec import FeatureSpec
from recsys.model.asked import Asked
from recsys.model.attention import Pairs, Trunk, attend, insist_divisible, start_as_average
from recsys.model.dropout import Dropout
from recsys.model.encoder import SequenceEncoder
from recsys.protocols import ItemTower, Similarity
from recsys.registry import registered


class GatedBlock(nn.Module):
    """x + sigmoid(gate(x)) * part(norm(x)) for attention, then for the feed-forward part, [B, L, D] -> [B, L, D] or, of
    those asked, [B, W, D]."""

    def __init__(self, *, dim: int, heads: int, dropout: float, expansion: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.attention_gate = nn.Linear(dim, dim)
        self.forward_norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, 2 * expansion * dim, bias=False)
        self.narrow = nn.Linear(expansion * dim, dim, bias=False)
        self.forward_gate = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)
        start_as_average(self.qkv, self.project)

    def forward(
        self, hidden: Tensor, mask: Tensor | None, asked: Asked | None = None, pairs: Pairs | None = None
    ) -> Tensor:
        normed = self.attention_norm(hidden)
        mixed = attend(normed, self.qkv, heads=self.heads, mask=mask, asked=asked, pairs=pairs)
        hidden = hidden if asked is None else asked.rows(hidden)
        hidden = hidden + self.attention_gate(hidden).sigmoid() * self.dropout(self.project(mixed))
        swish, value = self.widen(self.forward_norm(hidden)).chunk(2, dim=-1)
        made = self.narrow(self.dropout(nn.functional.silu(swish) * value))
        out: Tensor = hidden + self.forward_gate(hidden).sigmoid() * self.dropout(made)
        return out


@registered
class LiGR(SequenceEncoder):
    """Value and output projections start as identities, as in `SASRec`.

    Args:
        items: V, catalogue size with index 0.
        features: what the events carry.
        dim: size of hidden states.
        blocks: number of gated blocks.
        heads: attention heads; must divide `dim`.
        dropout: on embeddings, block outputs and within the feed-forward part.
        expansion: how many times wider than `dim` the feed-forward part is.
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
        expansion: int = 4,
        tower: ItemTower | None = None,
        similarity: Similarity | None = None,
    ) -> None:
        insist_divisible(dim, heads)
        made = (GatedBlock(dim=dim, heads=heads, dropout=dropout, expansion=expansion) for _ in range(blocks))
        trunk = Trunk(made, dim=dim, heads=heads)
        super().__init__(
            trunk, items=items, features=features, dim=dim, dropout=dropout, tower=tower, similarity=similarity,
            blocks=blocks, heads=heads, expansion=expansion,
        )  # fmt: skip
