"""Encoding shoppers who were encoded before: only what is new of them is read."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.model.before import Before, Extends, Remembered
from recsys.model.encoder import SequenceEncoder
from recsys.model.quick import quick
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.question import latest_rows, most_shown, question_stream
from recsys.sequence.stream import TokenStream
from recsys.state import Context, History, ShopperState

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
    """A shopper as last encoded.

    Attributes:
        said: what they had done, the columns that the encoder reads.
        known: how many things these are.
        shown: how many of them may be shown.
        row: rows of those that were.
        tokens: what is kept of these.
    """

    said: tuple[bytes, ...]
    known: int
    shown: int
    row: np.ndarray
    tokens: Remembered

    @property
    def weight(self) -> int:
        """What it takes of memory, in tokens: a visitor of one event was measured at 10 KiB, one of fifty at 62."""
        return _AROUND + len(self.tokens)


@dataclass(frozen=True, slots=True)
class _Visit:
    """A shopper who is to be encoded: what they did, how many of it may be shown, the rows that are, and what is kept
    of the first of these."""

    acts: History
    shown: int
    row: np.ndarray
    tokens: Remembered

    @property
    def new(self) -> np.ndarray:
        """The rows that are to be read."""
        return self.row[len(self.tokens) :]


class Reader:
    """Query vectors of shoppers; of those it met before it reads only what is new. One per release and replica.

    Where an event comes late and finds its place before others, where a link or an erasure changes what is known, or
    where the window moves on, the shopper is read anew: what is kept is used for exactly the same beginning only.

    Args:
        encoder: one whose trunk `Extends`; others read every history as a whole. It is read with its weights as they
            are now.
        features: what tokens carry.
        most_tokens: how many are kept; those of who has not been asked about for longest go first. Every shopper counts
            as nine more, which is what the objects around a few tokens take.
    """

    def __init__(self, encoder: SequenceEncoder, features: FeatureSpec, *, most_tokens: int = 100_000) -> None:
        if not self.can_read(encoder, features):
            raise ConfigError(
                f"{type(encoder).__name__} with features.query={features.query} reads a history as a whole; it keeps "
                "nothing to go on from"
            )
        self._encoder = quick(encoder)
        self._features = features
        self._most_tokens = most_tokens
        self._known: OrderedDict[str, _Entry] = OrderedDict()
        self._tokens = 0
        self._lock = threading.Lock()
        self._columns = ("item", "type", "time", *sorted(features.columns))
        self._room = most_shown(features)
        self._nothing: Remembered = encoder.trunk.nothing()  # type: ignore[operator]
        self.read, self.reused = 0, 0
        self.encode([ShopperState(History.empty(), Context(at=0))])  # loops are compiled before anybody waits for them

    @staticmethod
    def can_read(encoder: object, features: FeatureSpec) -> bool:
        """Whether such an encoder can go on from what it read."""
        trunk = getattr(encoder, "trunk", None)
        return isinstance(trunk, Extends) and features.query is QueryKind.TOKEN

    def encode(self, states: Sequence[ShopperState]) -> np.ndarray:
        """Query vectors [B, D] float32 of shoppers [B]; a state that does not say whose it is is not remembered."""
        visits = [self._visit(state) for state in states]
        new, parts = [visit.new for visit in visits], [visit.tokens for visit in visits]
        stream = question_stream(states, self._features, shown=new)
        position = _position(stream, parts)
        before = Before.of(parts, begin=stream.start, time=stream.time, position=position, is_query=stream.is_query)
        with torch.inference_mode():
            query = self._encoder.extend(_end_to_end(stream, position), before)
        for number, (state, visit) in enumerate(zip(states, visits, strict=True)):
            begin, count = int(stream.start[number]), len(new[number])
            self.read, self.reused = self.read + count, self.reused + len(visit.tokens)
            if state.shopper is not None and count:
                rows = slice(begin, begin + count)
                tokens = visit.tokens.followed_by(before.added[rows], stream.time[rows], position[rows])
                said = self._said(visit.acts, len(visit.acts))
                self._keep(state.shopper, _Entry(said, len(visit.acts), visit.shown, visit.row, tokens))
        return query.numpy()

    def forget(self, whose: Callable[[str], bool]) -> None:
        """Keep nothing of the shoppers for whose name this holds; who is answered meanwhile does not wait."""
        with self._lock:
            known = list(self._known)
        gone = [shopper for shopper in known if whose(shopper)]
        with self._lock:
            for shopper in gone:
                self._drop(shopper)

    def _visit(self, state: ShopperState) -> _Visit:
        """A shopper with what is known of exactly the same beginning of what is to be shown."""
        acts = state.history.acts()
        with self._lock:
            entry = self._known.get(state.shopper) if state.shopper is not None else None
        if entry is not None and len(acts) >= entry.known and self._said(acts, entry.known) == entry.said:
            visit = self._going_on(acts, entry)
            if visit is not None:
                self._asked_about(str(state.shopper))
                return visit
        shown = self._features.shown(acts).nonzero()[0]
        return _Visit(acts, len(shown), self._latest(acts, shown), self._nothing)

    def _asked_about(self, shopper: str) -> None:
        with self._lock:
            if shopper in self._known:
                self._known.move_to_end(shopper)

    def _going_on(self, acts: History, entry: _Entry) -> _Visit | None:
        """Where the first acts are those of the entry; None if what was shown of these is no longer the beginning."""
        new = slice(entry.known, None)
        added = entry.known + self._features.is_shown(acts.type[new], acts.item[new], acts.query[new]).nonzero()[0]
        if not len(added):
            return _Visit(acts, entry.shown, entry.row, entry.tokens)
        if len(entry.row) == entry.shown and entry.shown + len(added) <= self._room:
            return _Visit(acts, entry.shown + len(added), np.concatenate([entry.row, added]), entry.tokens)
        shown = self._features.shown(acts).nonzero()[0]
        row = self._latest(acts, shown)
        count = len(entry.row)
        if len(row) < count or not np.array_equal(row[:count], entry.row):
            return None
        return _Visit(acts, len(shown), row, entry.tokens)

    def _latest(self, acts: History, shown: np.ndarray) -> np.ndarray:
        return latest_rows(acts.time, shown, self._room)

    def _said(self, acts: History, count: int) -> tuple[bytes, ...]:
        """What the encoder reads of the first `count` acts."""
        return tuple([getattr(acts, name)[:count].tobytes() for name in self._columns])

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


def _position(stream: TokenStream, parts: Sequence[Remembered]) -> np.ndarray:
    """Numbers of the new tokens' moments, counted on from those before [N] int64; a token of the same instant as the
    last of those belongs to its moment."""
    begin = stream.start[:-1]
    next_one = []
    for part, first in zip(parts, stream.time[begin].tolist(), strict=True):
        last = part.count - 1
        next_one.append(part.shelf.position[last] + (part.shelf.time[last] != first) if part.count else 0)
    offset = np.array(next_one) - stream.moment[begin]
    return np.asarray(stream.moment + np.repeat(offset, np.diff(stream.start)))


def _end_to_end(stream: TokenStream, position: np.ndarray) -> SequenceBatch:
    """The new tokens of all shoppers as one sequence [1, N], as encoders embed them."""

    def numbers(column: np.ndarray) -> Tensor:
        return torch.from_numpy(column.astype(np.int64)[None])

    nothing = torch.empty(0, dtype=torch.int64)
    return SequenceBatch(
        item=numbers(stream.item),
        type=numbers(stream.type),
        time=torch.from_numpy(stream.time[None]),
        position=torch.from_numpy(position[None]),
        features={name: numbers(values) for name, values in stream.features.items()},
        valid=torch.ones(1, len(position), dtype=torch.bool),
        is_query=torch.from_numpy(stream.is_query[None]),
        query=torch.from_numpy(stream.start[1:] - 1),
        pair_query=nothing,
        pair_target=nothing,
        ordered=False,
    )
