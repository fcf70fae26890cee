"""What an encoder remembers of tokens it has read: enough for the next ones to look back on them.

Keys and values of a token depend on what stands strictly before it only. So long as nothing is inserted before it they
stay what they are, and a new event costs the reading of one token instead of the whole history (the "KV cache" of
language models; Pope et al., "Efficiently scaling transformer inference", MLSys 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from recsys.model.asked import Asked

_PIECES = 8
"""Into how many arrays what is kept of a shopper may be cut: a new token is put behind without copying all others."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of one shopper's P tokens: the key and value of every block [P, 2 * blocks, dim] float32, in pieces;
    and the instant and the number of the moment of each [P, 2] int64."""

    kept: tuple[np.ndarray, ...]
    when: np.ndarray

    @classmethod
    def nothing(cls, *, blocks: int, dim: int) -> "Remembered":
        """What is kept of no tokens."""
        return cls((np.empty((0, 2 * blocks, dim), np.float32),), np.empty((0, 2), np.int64))

    def __len__(self) -> int:
        return len(self.when)

    def followed_by(self, kept: np.ndarray, when: np.ndarray) -> "Remembered":
        """With what was read now behind it, copied."""
        pieces = (*self.kept, kept.copy()) if len(self) else (kept.copy(),)
        if len(pieces) > _PIECES:
            pieces = (np.concatenate(pieces),)
        return Remembered(pieces, np.concatenate([self.when, when]))


@dataclass(frozen=True, slots=True)
class Before:
    """What the new tokens of B shoppers, N laid end to end, look back on: P tokens read before, likewise.

    Attributes:
        kept: what is kept of those read before [P, 2 * blocks, dim].
        added: of the new ones [N, 2 * blocks, dim]; every block writes its own here.
        start, begin: where each shopper's tokens read before and new ones begin, and the end of the last [B + 1].
        time, position: instants and numbers of moments of those read before [P].
        new_time, new_position: of the new ones [N].
        is_query: which of these are questions [N] bool.
        asked: the same as what a trunk's last block is asked; None where it is all of them.
    """

    kept: np.ndarray
    added: np.ndarray
    start: np.ndarray
    begin: np.ndarray
    time: np.ndarray
    position: np.ndarray
    new_time: np.ndarray
    new_position: np.ndarray
    is_query: np.ndarray
    asked: Asked | None

    @classmethod
    def of(
        cls,
        parts: Sequence[Remembered],
        *,
        begin: np.ndarray,
        time: np.ndarray,
        position: np.ndarray,
        is_query: np.ndarray,
    ) -> "Before":
        """Of the B shoppers' `parts` and their new tokens: where they `begin` [B + 1], instants, numbers of their
        moments and which are questions [N]."""
        pieces = [piece for part in parts for piece in part.kept]
        kept = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
        when = np.concatenate([part.when for part in parts])
        return cls(
            kept=kept,
            added=np.empty((len(time), *kept.shape[1:]), np.float32),
            start=np.array([0, *accumulate(map(len, parts))]),
            begin=begin,
            time=np.ascontiguousarray(when[:, 0]),
            position=np.ascontiguousarray(when[:, 1]),
            new_time=time,
            new_position=position,
            is_query=is_query,
            asked=None if len(parts) == len(time) else Asked.every(np.flatnonzero(is_query)),
        )

    def those_of(self, mixed: np.ndarray, asked: Asked | None) -> Tensor:
        """Of what the new tokens took [N, D] all, or that of those asked, [1, N or Q, D]."""
        return torch.from_numpy(mixed if asked is None else mixed[self.is_query])[None]


@runtime_checkable
class Extends(Protocol):
    """A trunk that can go on from what it has read before."""

    def extend(self, hidden: Tensor, before: Before) -> Tensor:
        """Hidden states of the questions among the new tokens [1, Q, dim], from those of all [1, N, dim]; what there is
        to keep of these is left in `before.added`."""
        ...

    def nothing(self) -> Remembered:
        """What is kept of no tokens."""
        ...
