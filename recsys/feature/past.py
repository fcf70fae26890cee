"""What a moment looks back on: rows of flat histories, strictly before it and no further than every reader remembers.

All features that read a history take it as flat columns of many sequences (`recsys/sequence/histories.py`) and, for
every question, the rows [low, high) it may look at. Whole moments only: where the lookback would cut one, it is left
out. Offline histories are longer than what an online store hands out; a bounded lookback makes both see the same.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Past:
    """Rows that each of N questions may look at: [low, high), all of one sequence, all strictly earlier; [N] int64."""

    low: np.ndarray
    high: np.ndarray

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, chosen: slice | np.ndarray) -> "Past":
        return Past(self.low[chosen], self.high[chosen])

    def among(self, kept: np.ndarray) -> "Past":
        """The same rows counted among the `kept` [E] bool ones only."""
        place = np.concatenate([[0], np.cumsum(kept)])
        return Past(place[self.low], place[self.high])


def moment_rows(time: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Rows at which a moment (same sequence, same instant) begins [M]; `time` [E], `start` [S + 1]."""
    fresh = np.ones(len(time), bool)
    fresh[1:] = time[1:] != time[:-1]
    fresh[start[:-1][np.diff(start) > 0]] = True
    return np.flatnonzero(fresh)


def past_before(row: np.ndarray, begin: np.ndarray, first: np.ndarray, *, lookback: int) -> Past:
    """What is before each of `row` [N]: a row at which a moment begins, or the end of a sequence.

    Args:
        begin: where the sequence of each row begins [N].
        first: rows at which moments begin [M], see `moment_rows`.
        lookback: the most rows that are looked back on.
    """
    borders = np.append(first, np.iinfo(np.int64).max)
    whole = borders[np.searchsorted(first, np.maximum(begin, row - lookback))]
    return Past(np.asarray(np.minimum(whole, row)), row)
