"""What encoders made of softmax self-attention share: the attention itself, how it starts, and a trunk of blocks."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.model.asked import Asked
from recsys.model.before import Before
from recsys.model.encoder import visible
from recsys.sequence.batch import SequenceBatch


def insist_divisible(dim: int, heads: int) -> None:
    """ConfigError where `dim` cannot be shared out among `heads`."""
    if dim % heads:
        raise ConfigError(f"model.dim={dim} cannot be split into model.heads={heads}; choose a divisor of dim")


class Pairs:
    """Keys and values that a block attends to beside its own, [B, H, P, E] each; it leaves there what it adds."""

    def __init__(self, key: Tensor, value: Tensor) -> None:
        self._before = key, value
        self.added: list[Tensor] = []

    def joined(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Those before and the block's own [B, H, L, E], [B, H, P + L, E] each."""
        self.added = [key, value]
        return torch.cat([self._before[0], key], 2), torch.cat([self._before[1], value], 2)


def attend(
    normed: Tensor,
    qkv: nn.Linear,
    *,
    heads: int,
    mask: Tensor | None,
    asked: Asked | None,
    pairs: Pairs | None = None,
) -> Tensor:
    """Softmax attention among `normed` [B, L, D], with projections `qkv` -> [B, L, D], or of those asked [B, W, D].

    `mask` [B, 1, L or W, L] says who may look at whom; None: at itself and what stands before. With `pairs`, P tokens
    read before stand in front: the mask is [B, 1, L, P + L].
    """
    dim = normed.shape[2]
    if asked is None:
        parts = qkv(normed).chunk(3, dim=-1)
    else:
        query = nn.functional.linear(asked.rows(normed), qkv.weight[:dim], qkv.bias[:dim])
        parts = (query, *nn.functional.linear(normed, qkv.weight[dim:], qkv.bias[dim:]).chunk(2, dim=-1))
    query, key, value = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in parts)
    if pairs is not None:
        key, value = pairs.joined(key, value)
    mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
    return mixed.transpose(1, 2).flatten(2)


def start_as_average(qkv: nn.Linear, project: nn.Linear) -> None:
    """Value and output projections start as identities: untrained attention averages what the shopper took."""
    dim = project.in_features
    with torch.no_grad():
        qkv.weight[2 * dim :] = torch.eye(dim)
        project.weight.copy_(torch.eye(dim))
        nn.init.zeros_(qkv.bias)
        nn.init.zeros_(project.bias)


class Trunk(nn.Module):
    """Blocks one after the other, masked by time; each takes hidden states [B, L, D], the mask, who is asked, and what
    it looks back on beside."""

    def __init__(self, blocks: Iterable[nn.Module], *, dim: int, heads: int) -> None:
        super().__init__()
        self.dim, self.heads = dim, heads
        self.blocks = nn.ModuleList(blocks)

    def forward(self, hidden: Tensor, batch: SequenceBatch, asked: Asked | None = None) -> Tensor:
        mask, length = visible(batch), hidden.shape[1]
        for block in self.blocks[:-1]:
            hidden = block(hidden, mask, None)
        if asked is not None:
            mask = asked.mask(mask, length)
        for block in self.blocks[-1:]:
            hidden = block(hidden, mask, asked)
        return hidden

    def extend(self, hidden: Tensor, batch: SequenceBatch, before: Before) -> tuple[Tensor, Tensor]:
        """See `Extends`."""
        mask, added = before.mask(batch), []
        for number, block in enumerate(self.blocks):
            pairs = Pairs(before.kept[2 * number], before.kept[2 * number + 1])
            hidden = block(hidden, mask, None, pairs)
            added += pairs.added
        return hidden, torch.stack(added)

    def nothing(self) -> Tensor:
        """See `Extends`."""
        return torch.empty(2 * len(self.blocks), self.heads, 0, self.dim // self.heads)
