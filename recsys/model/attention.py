"""What encoders made of softmax self-attention share: the attention itself, how it starts, and a trunk of blocks."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.model.asked import Asked
from recsys.model.before import Before, Remembered
from recsys.model.encoder import visible
from recsys.model.looking_back import softmax_attention
from recsys.sequence.batch import SequenceBatch


def insist_divisible(dim: int, heads: int) -> None:
    """ConfigError where `dim` cannot be shared out among `heads`."""
    if dim % heads:
        raise ConfigError(f"model.dim={dim} cannot be split into model.heads={heads}; choose a divisor of dim")


class Pairs:
    """What one block's attention looks back on where tokens are read on; it leaves there what is to be kept."""

    def __init__(self, before: Before, block: int) -> None:
        self.before = before
        self.rows = slice(2 * block, 2 * block + 2)

    def softmax(self, parts: Tensor, *, heads: int, asked: Asked | None) -> Tensor:
        """Softmax attention by queries, keys and values of the new tokens side by side, [1, N, 3 * D] -> [1, N, D], or
        of those asked, which are the questions, [1, Q, D]."""
        given, before = parts.numpy()[0], self.before
        dim, key = before.added.shape[2], self.rows.start
        before.added[:, self.rows] = given[:, dim:].reshape(-1, 2, dim)
        mixed = np.empty((len(given), dim), np.float32)
        for known, begin, end in before.shoppers():
            softmax_attention(
                given, 0, known.shelf.kept, before.added, key, key + 1, heads, known.count, begin, end,
                known.shelf.time, before.time, before.is_query, asked is not None, mixed,
            )  # fmt: skip
        return before.those_of(mixed, asked)


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

    `mask` [B, 1, L or W, L] says who may look at whom; None: at itself and what stands before. `pairs` tell it where
    tokens are read on, one sequence [1, N, D] of all shoppers' new ones.
    """
    if pairs is not None:
        return pairs.softmax(qkv(normed), heads=heads, asked=asked)
    dim = normed.shape[2]
    if asked is None:
        parts = qkv(normed).chunk(3, dim=-1)
    else:
        query = nn.functional.linear(asked.rows(normed), qkv.weight[:dim], qkv.bias[:dim])
        parts = (query, *nn.functional.linear(normed, qkv.weight[dim:], qkv.bias[dim:]).chunk(2, dim=-1))
    query, key, value = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in parts)
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

    def extend(self, hidden: Tensor, before: Before) -> Tensor:
        """See `Extends`."""
        for number, block in enumerate(self.blocks):
            last = number == len(self.blocks) - 1
            hidden = block(hidden, None, before.asked if last else None, Pairs(before, number))
        return hidden

    def nothing(self) -> Remembered:
        """See `Extends`."""
        return Remembered.nothing(blocks=len(self.blocks), dim=self.dim)
