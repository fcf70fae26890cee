"""Windows: what of each sequence is read at once; every event is a target once, with its history before it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recsys.segments import bisect_segments
from recsys.sequence.stream import TokenStream

_PIECE_TOKENS = 4_000_000


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows [begin, end) of stream rows, [W] each; rows from `target_from` on are targets, every row once."""

    begin: np.ndarray
    end: np.ndarray
    target_from: np.ndarray

    @classmethod
    def over(cls, stream: TokenStream, *, length: int, context: int, asked_from: np.ndarray | None = None) -> "Windows":
        """Cut each sequence into windows, before query tokens or moments. A window goes on while less than `length`
        events lie before a cut (query tokens come on top), so that it has as many moments as a question has; its last
        moment may reach over. Each window after the first repeats about `context` tokens of what came before as
        history. Moments before instant `asked_from` [S] of their sequence are history only.

        Where a cut lies depends on nothing but what is before it: how much history a question is shown must not tell
        how large the basket is that it asks for.
        """
        pieces = [
            _windows(stream, first, last, length, context, None if asked_from is None else asked_from[first:last])
            for first, last in _pieces(stream.start)
        ]
        columns = np.concatenate(pieces) if pieces else np.empty((0, 3), np.int64)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2])

    def __len__(self) -> int:
        return len(self.begin)


def _pieces(start: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of sequences that hold some millions of tokens each."""
    borders = np.searchsorted(start, np.arange(0, start[-1], _PIECE_TOKENS))
    borders = np.unique(np.append(borders, len(start) - 1))
    return [(int(first), int(last)) for first, last in pairwise(borders)]


def _windows(
    stream: TokenStream, first: int, last: int, length: int, context: int, asked_from: np.ndarray | None
) -> np.ndarray:
    """The windows of sequences [first, last), [W, 3]."""
    start = stream.start[first : last + 1]
    rows = slice(int(start[0]), int(start[-1]))
    events = np.concatenate([[0], np.cumsum(~stream.is_query[rows])])
    local = start - start[0]
    target = local[:-1]
    if asked_from is not None and (asked_from > np.iinfo(np.int64).min).any():
        target = bisect_segments(stream.time[rows], local[:-1], local[1:], asked_from)
    asked = target < local[1:]
    whole = asked & (events[local[1:]] - events[local[:-1]] <= length)
    short = np.stack([local[:-1][whole], local[1:][whole], target[whole]], axis=1)
    long = _Cutter(stream, rows, events, length, context).cut(local, target, np.flatnonzero(asked & ~whole))
    found = np.concatenate([short, long])
    ordered: np.ndarray = found[np.argsort(found[:, 2], kind="stable")] + start[0]
    return ordered


class _Cutter:
    """Cuts the sequences that do not fit into one window, one after the other."""

    def __init__(self, stream: TokenStream, rows: slice, events: np.ndarray, length: int, context: int) -> None:
        moment, is_query = stream.moment[rows], stream.is_query[rows]
        self._border = np.append(np.flatnonzero((np.diff(moment, prepend=-1) != 0) | is_query), len(moment))
        self._events = events
        self._length = length
        self._context = context

    def cut(self, start: np.ndarray, target_from: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        border, events = self._border, self._events
        rows: list[tuple[int, int, int]] = []
        for number in chosen.tolist():
            first, last, target = int(start[number]), int(start[number + 1]), int(target_from[number])
            begin, from_the_beginning = first, events[target] - events[first] < self._length
            while target < last:
                if not from_the_beginning:
                    room = int(np.searchsorted(events, events[target] - self._length, side="right"))
                    begin = int(border[np.searchsorted(border, max(first, target - self._context, room))])
                full = int(np.searchsorted(events, events[begin] + self._length))
                end = last if full >= last else int(border[np.searchsorted(border, full)])
                rows.append((begin, end, target))
                target, from_the_beginning = end, False
        return np.array(rows, np.int64).reshape(-1, 3)
