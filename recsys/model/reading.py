"""Encoding shoppers who were encoded before: only what is new of them is read."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.model.before import Before, Extends, Remembered
from recsys.model.encoder import SequenceEncoder
from recsys.sequence.batch import SequenceBatch, TokenTensors, collate
from recsys.sequence.question import question_stream, shown_rows
from recsys.state import HISTORY_COLUMNS, History, ShopperState

_AROUND = 9
"""Of how many tokens at two blocks of 64 an entry takes the memory before it holds any."""


class Reads(Protocol):
    """Who makes query vectors of shoppers."""

    def encode(self, states: Sequence[ShopperState]) -> np.ndarray:
        """Query vectors [B, D] float32 of shoppers [B], each at its own instant."""
        ...

    def forget(self, whose: Callable[[str], bool]) -> None:
        """Keep nothing of shoppers whose names, as in `ShopperState.shopper`, are theirs."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """A shopper as last encoded: what they had done, the rows of it that were shown, and what is kept of those."""

    acts: History
    row: np.ndarray
    tokens: Remembered

    @property
    def weight(self) -> int:
        """What it takes of memory, in tokens: a visitor of one event was measured at 10 KiB, one of fifty at 62."""
        return _AROUND + len(self.tokens)

    def holds(self, acts: History, row: np.ndarray) -> bool:
        """Whether what was shown is the beginning of what is to be shown now, with the same before it."""
        count, known = len(self.row), len(self.acts)
        if len(acts) < known or len(row) < count or not np.array_equal(row[:count], self.row):
            return False
        return all(_begins_with(getattr(acts, name), getattr(self.acts, name), known) for name in HISTORY_COLUMNS)


class Reader:
    """Query vectors of shoppers; of those it met before it reads only what is new. One per release and replica.

    Where an event comes late and finds its place before others, where a link or an erasure changes what is known, or
    where the window moves on, the shopper is read anew: what is kept is used for exactly the same beginning only.

    Args:
        encoder: one whose trunk `Extends`; others read every history as a whole.
        features: what tokens carry.
        most_tokens: how many are kept; those of who has not been asked about for longest go first. Every shopper counts
            as nine more, which is what the objects around a few tokens take.
    """

    def __init__(self, encoder: SequenceEncoder, features: FeatureSpec, *, most_tokens: int = 100_000) -> None:
        self._encoder = encoder
        self._features = features
        self._most_tokens = most_tokens
        self._known: OrderedDict[str, _Entry] = OrderedDict()
        self._tokens = 0
        self._lock = threading.Lock()
        self.read, self.reused = 0, 0

    @staticmethod
    def can_read(encoder: object, features: FeatureSpec) -> bool:
        """Whether such an encoder can go on from what it read."""
        trunk = getattr(encoder, "trunk", None)
        return isinstance(trunk, Extends) and features.query is QueryKind.TOKEN

    def encode(self, states: Sequence[ShopperState]) -> np.ndarray:
        """Query vectors [B, D] float32 of shoppers [B]; a state that does not say whose it is is not remembered."""
        acts = [state.history.acts() for state in states]
        shown = [shown_rows(known, self._features) for known in acts]
        parts = [self._remembered(*one) for one in zip(states, acts, shown, strict=True)]
        new = [row[len(part) :] for row, part in zip(shown, parts, strict=True)]
        batch = _with_positions(self._batch(states, new), parts)
        with torch.inference_mode():
            query, added = self._encoder.extend(batch, Before.of(parts))
        for number, state in enumerate(states):
            count = len(new[number])
            self.read, self.reused = self.read + count, self.reused + len(parts[number])
            if state.shopper is not None and count:
                part = parts[number].followed_by(
                    added[:, number, :, :count], batch.time[number, :count], batch.position[number, :count]
                )
                self._keep(state.shopper, _Entry(acts[number], shown[number], part))
        return query.numpy()

    def forget(self, whose: Callable[[str], bool]) -> None:
        """Keep nothing of the shoppers for whose name this holds; who is answered meanwhile does not wait."""
        with self._lock:
            known = list(self._known)
        gone = [shopper for shopper in known if whose(shopper)]
        with self._lock:
            for shopper in gone:
                self._drop(shopper)

    def _remembered(self, state: ShopperState, acts: History, row: np.ndarray) -> Remembered:
        with self._lock:
            entry = self._known.get(state.shopper) if state.shopper is not None else None
            if entry is not None and entry.holds(acts, row):
                self._known.move_to_end(str(state.shopper))
                return entry.tokens
        nothing = torch.empty(0, dtype=torch.int64)
        trunk = self._encoder.trunk
        assert isinstance(trunk, Extends)
        return Remembered(trunk.nothing(), nothing, nothing)

    def _batch(self, states: Sequence[ShopperState], new: Sequence[np.ndarray]) -> SequenceBatch:
        stream = question_stream(states, self._features, shown=new)
        return collate(TokenTensors.of(stream), stream.start[:-1], stream.start[1:], target_from=None, ordered=False)

    def _keep(self, shopper: str, entry: _Entry) -> None:
        with self._lock:
            self._drop(shopper)
            self._known[shopper] = entry
            self._tokens += entry.weight
            while self._tokens > self._most_tokens:
                self._drop(next(iter(self._known)))

    def _drop(self, shopper: str) -> None:
        entry = self._known.pop(shopper, None)
        self._tokens -= entry.weight if entry is not None else 0


def _begins_with(column: np.ndarray, known: np.ndarray, count: int) -> bool:
    """Whether the first `count` of a column are those that are known; what is unknown is the same as what is."""
    if not count or (column.strides[0] == 0 and known.strides[0] == 0):
        return True
    return column[:count].tobytes() == known.tobytes()


def _with_positions(batch: SequenceBatch, parts: Sequence[Remembered]) -> SequenceBatch:
    """Moments counted on from those before; a token of the same instant as the last of those belongs to its moment."""
    if not any(map(len, parts)):
        return batch
    last = torch.tensor([int(part.position[-1]) if len(part) else -1 for part in parts])
    when = torch.tensor([int(part.time[-1]) if len(part) else 0 for part in parts])
    goes_on = (last >= 0) & (batch.time[:, 0] == when)
    offset = last + 1 - goes_on.long()
    position: Tensor = torch.where(batch.valid, batch.position + offset[:, None], 0)
    return replace(batch, position=position)
