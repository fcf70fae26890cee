"""What encoders made of softmax self-attention share: the attention itself, how it starts, and a trunk of blocks."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.model.encoder import visible
from recsys.sequence.batch import SequenceBatch


def insist_divisible(dim: int, heads: int) -> None:
    """ConfigError where `dim` cannot be shared out among `heads`."""
    if dim % heads:
        raise ConfigError(f"model.dim={dim} cannot be split into model.heads={heads}; choose a divisor of dim")


def attend(qkv: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """Softmax attention of queries, keys and values side by side [B, L, 3 D] -> [B, L, D].

    `mask` [B, 1, L, L] says who may look at whom; None: at itself and what stands before.
    """
    batch, length, width = qkv.shape
    query, key, value = (part.view(batch, length, heads, -1).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
    mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
    return mixed.transpose(1, 2).reshape(batch, length, width // 3)


def start_as_average(qkv: nn.Linear, project: nn.Linear) -> None:
    """Value and output projections start as identities: untrained attention averages what the shopper took."""
    dim = project.in_features
    with torch.no_grad():
        qkv.weight[2 * dim :] = torch.eye(dim)
        project.weight.copy_(torch.eye(dim))
        nn.init.zeros_(qkv.bias)
        nn.init.zeros_(project.bias)


class Trunk(nn.Module):
    """Blocks one after the other, masked by time; each takes hidden states [B, L, D] and the mask."""

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> Tensor:
        mask = visible(batch)
        for block in self.blocks:
            hidden = block(hidden, mask)
        return hidden
