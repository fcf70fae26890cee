"""What an encoder remembers of tokens it has read: enough for the next ones to look back on them.

Keys and values of a token depend on what stands strictly before it only. So long as nothing is inserted before it they
stay what they are, and a new event costs the reading of one token instead of the whole history (the "KV cache" of
language models; Pope et al., "Efficiently scaling transformer inference", MLSys 2023).
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from recsys.model.asked import Asked

_ROOM = 8
"""A new shelf has room for an eighth more than is put there."""


class Shelf:
    """Arrays with room for what is kept of one shopper's tokens: the key and value of every block [C, 2 * blocks, dim]
    float32, the instant and the number of the moment of each [C] int64. The first `used` are taken."""

    __slots__ = ("kept", "position", "time", "used")
    _claiming = threading.Lock()

    def __init__(self, room: int, shape: tuple[int, ...]) -> None:
        self.kept = np.empty((room, *shape), np.float32)
        self.time, self.position = np.empty(room, np.int64), np.empty(room, np.int64)
        self.used = 0

    def claim(self, begin: int, end: int) -> bool:
        """Take the rows from `begin` to `end` for oneself, if there is room and nobody else has taken any of them."""
        with Shelf._claiming:
            if self.used != begin or end > len(self.time):
                return False
            self.used = end
            return True

    def write(self, begin: int, kept: np.ndarray, time: np.ndarray, position: np.ndarray) -> None:
        """Write rows from `begin` on."""
        rows = slice(begin, begin + len(time))
        self.kept[rows], self.time[rows], self.position[rows] = kept, time, position


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of one shopper's P tokens: the first rows of a shelf, which never change. Behind them the shelf has
    room for what comes next, so that a new token is put there without copying all others."""

    shelf: Shelf
    count: int

    @classmethod
    def nothing(cls, *, blocks: int, dim: int) -> "Remembered":
        """What is kept of no tokens."""
        return cls(Shelf(0, (2 * blocks, dim)), 0)

    def __len__(self) -> int:
        return self.count

    def followed_by(self, kept: np.ndarray, time: np.ndarray, position: np.ndarray) -> "Remembered":
        """With what was read now behind it, copied."""
        shelf, count, total = self.shelf, self.count, self.count + len(time)
        if not shelf.claim(count, total):
            shelf = Shelf(total + total // _ROOM, kept.shape[1:])
            shelf.claim(0, total)
            shelf.write(0, self.shelf.kept[:count], self.shelf.time[:count], self.shelf.position[:count])
        shelf.write(count, kept, time, position)
        return Remembered(shelf, total)


@dataclass(frozen=True, slots=True)
class Before:
    """What the new tokens of B shoppers, N laid end to end, look back on.

    Attributes:
        parts: what is kept of each shopper's tokens read before [B].
        begin: where each shopper's new tokens begin, and the end of the last [B + 1].
        time, position: instants and numbers of moments of the new tokens [N] int64.
        is_query: which of these are questions [N] bool.
        added: what is to be kept of them [N, 2 * blocks, dim] float32; every block writes its own here.
        asked: the questions as what a trunk's last block is asked; None where these are all.
    """

    parts: Sequence[Remembered]
    begin: Sequence[int]
    time: np.ndarray
    position: np.ndarray
    is_query: np.ndarray
    added: np.ndarray
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
        """See the attributes; every shopper has one question."""
        return cls(
            parts=parts,
            begin=begin.tolist(),
            time=time,
            position=position,
            is_query=is_query,
            added=np.empty((len(time), *parts[0].shelf.kept.shape[1:]), np.float32),
            asked=None if len(parts) == len(time) else Asked.every(np.flatnonzero(is_query)),
        )

    def shoppers(self) -> Iterator[tuple[Remembered, int, int]]:
        """Of each shopper what is kept, and where the new tokens begin and end."""
        return zip(self.parts, self.begin[:-1], self.begin[1:], strict=True)

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
