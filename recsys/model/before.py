"""What an encoder remembers of tokens it has read: enough for the next ones to look back on them.

Keys and values of a token depend on what stands strictly before it only. So long as nothing is inserted before it they
stay what they are, and a new event costs the reading of one token instead of the whole history (the "KV cache" of
language models; Pope et al., "Efficiently scaling transformer inference", MLSys 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from recsys.sequence.batch import SequenceBatch


@dataclass(frozen=True, slots=True)
class Before:
    """Tokens read before, of B sequences side by side; P is the most that one of them has, padding on the right.

    Attributes:
        kept: keys and values of every block, key and value in turn, [2 * blocks, B, H, P, E].
        time: instants [B, P] int64.
        position: numbers of the tokens' moments [B, P] int64.
        valid: False at padding [B, P].
    """

    kept: Tensor
    time: Tensor
    position: Tensor
    valid: Tensor

    @classmethod
    def of(cls, parts: "Sequence[Remembered]") -> "Before":
        """Several shoppers side by side."""
        if len(parts) == 1:
            [one] = parts
            return cls(one.kept[:, None], one.time[None], one.position[None], one.time[None] > _NEVER)
        longest = max(len(part) for part in parts)
        layers, heads, _, size = parts[0].kept.shape
        kept = parts[0].kept.new_zeros(layers, len(parts), heads, longest, size)
        time = torch.full((len(parts), longest), _NEVER)
        position = torch.zeros(len(parts), longest, dtype=torch.int64)
        for row, part in enumerate(parts):
            count = len(part)
            kept[:, row, :, :count] = part.kept
            time[row, :count] = part.time
            position[row, :count] = part.position
        return cls(kept, time, position, time > _NEVER)

    def mask(self, batch: SequenceBatch) -> Tensor:
        """Who of the new tokens [B, L] may look at whom of those before and of the new ones, [B, 1, L, P + L] bool."""
        earlier = (self.time[:, None, :] < batch.time[:, :, None]) & self.valid[:, None, :]
        return torch.cat([earlier[:, None], batch.attention_mask()], dim=3)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of one shopper's P tokens: keys and values [2 * blocks, H, P, E], `time` and `position` [P]."""

    kept: Tensor
    time: Tensor
    position: Tensor

    def __len__(self) -> int:
        return len(self.time)

    def followed_by(self, kept: Tensor, time: Tensor, position: Tensor) -> "Remembered":
        """With what was read now behind it."""
        return Remembered(
            torch.cat([self.kept, kept], 2), torch.cat([self.time, time]), torch.cat([self.position, position])
        )


_NEVER = torch.iinfo(torch.int64).min
"""The instant of padding."""


@runtime_checkable
class Extends(Protocol):
    """A trunk that can go on from what it has read before."""

    def extend(self, hidden: Tensor, batch: SequenceBatch, before: Before) -> tuple[Tensor, Tensor]:
        """Hidden states of the new tokens [B, L, dim], and what there is to keep of them [2 * blocks, B, H, L, E]."""
        ...

    def nothing(self) -> Tensor:
        """What is kept of no tokens, [2 * blocks, H, 0, E]."""
        ...
