"""The loader: windows of the token stream, bucketed by length, in an order that the seed and the epoch decide."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recsys.errors import TrainingError
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.histories import Histories
from recsys.sequence.stream import TokenStream, collate, training_stream


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows [begin, end) of stream rows, [W] each; rows from `target_from` on are targets, every row once."""

    begin: np.ndarray
    end: np.ndarray
    target_from: np.ndarray

    @classmethod
    def over(cls, stream: TokenStream, *, length: int, context: int, since: int | None = None) -> "Windows":
        """Cut each sequence into windows of at most `length` events (query tokens come on top, so that a window has as
        many moments as a question has), before query tokens or moments; each window after the first repeats about
        `context` tokens of what came before as history, fewer where a long moment needs the room. Moments before
        instant `since` are history only.
        """
        events = np.concatenate([[0], np.cumsum(~stream.is_query)])
        fresh = np.diff(stream.moment, prepend=-1) != 0
        border = np.append(np.flatnonzero(fresh | stream.is_query), len(stream.moment))
        rows: list[tuple[int, int, int]] = []
        for first, last in zip(stream.start[:-1].tolist(), stream.start[1:].tolist(), strict=True):
            target = first
            if since is not None:
                target = max(first, first + int(np.searchsorted(stream.time[first:last], since)))
            while target < last:
                after = int(border[np.searchsorted(border, target, side="right")])
                room = int(np.searchsorted(events, events[after] - length))
                begin = int(border[np.searchsorted(border, max(first, target - context, room))])
                full = int(np.searchsorted(events, events[begin] + length, side="right")) - 1
                end = last if full >= last else _border_at_or_before(border, full)
                rows.append((begin, end, target))
                target = end
        columns = np.array(rows, np.int64).reshape(-1, 3)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2])


def _border_at_or_before(border: np.ndarray, row: int) -> int:
    return int(border[np.searchsorted(border, row, side="right") - 1])


@dataclass(frozen=True, slots=True)
class Loader:
    """Batches of about `batch_tokens` tokens (padding counted), in a reproducible order."""

    stream: TokenStream
    windows: Windows
    batch_tokens: int
    ordered: bool

    @classmethod
    def of(
        cls, histories: Histories, spec: FeatureSpec, *, batch_tokens: int, context: int, since: int | None = None
    ) -> "Loader":
        """The loader over all moments from instant `since` on (all if None).

        Raises TrainingError where there is nothing to learn from.
        """
        stream = training_stream(histories, spec)
        ordered = spec.query is QueryKind.LAST
        windows = Windows.over(stream, length=spec.max_length + ordered, context=context, since=since)
        if not len(windows.begin):
            raise TrainingError("no event before the cut-off to learn from; check data.cutoff and the log's dates")
        return cls(stream, windows, batch_tokens, ordered)

    def batches(self, *, seed: int, epoch: int) -> list[np.ndarray]:
        """Window numbers of each batch of an epoch, in training order."""
        rng = np.random.default_rng((seed, epoch))
        length = self.windows.end - self.windows.begin
        order = rng.permutation(len(length))
        order = order[np.argsort(length[order], kind="stable")]
        batches, begin = [], 0
        while begin < len(order):
            size = _batch_size(length[order[begin : begin + self.batch_tokens + 1]], self.batch_tokens)
            batches.append(order[begin : begin + size])
            begin += size
        return [batches[number] for number in rng.permutation(len(batches))]

    def load(self, chosen: np.ndarray) -> SequenceBatch:
        """The batch of these windows."""
        windows = self.windows
        return collate(
            self.stream,
            windows.begin[chosen],
            windows.end[chosen],
            target_from=windows.target_from[chosen],
            ordered=self.ordered,
        )

    def epoch(self, *, seed: int, epoch: int) -> Iterator[SequenceBatch]:
        """All batches of one epoch."""
        return (self.load(chosen) for chosen in self.batches(seed=seed, epoch=epoch))


def _batch_size(ascending: np.ndarray, batch_tokens: int) -> int:
    """How many of the next windows fit: the longest, which comes last, sets the width of all."""
    over = np.flatnonzero(ascending * np.arange(1, len(ascending) + 1) > batch_tokens)
    return max(1, int(over[0]) if len(over) else len(ascending))
