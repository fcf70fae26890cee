"""What a moment looks back on: rows of flat histories, strictly before it and no further than every reader remembers.

All features that read a history take it as flat columns of many sequences (`recsys/sequence/histories.py`) and, for
every question, the rows [low, high) it may look at. Whole moments only: where the reach would cut one, it is left out.
Offline histories are longer than what an online store hands out; a bounded reach makes both see the same.
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


def past_of_rows(first: np.ndarray, start: np.ndarray, row: np.ndarray, *, reach: int) -> Past:
    """What is before each of `row` [N], for rows at which a moment begins.

    Args:
        first: rows at which moments begin [M].
        start: where the sequences begin, and the end of the last [S + 1].
        reach: the most rows that are looked back on.
    """
    begins = start[np.searchsorted(start, row, side="right") - 1]
    return Past(_whole(first, np.maximum(begins, row - reach), row), row)


def past_of_ends(first: np.ndarray, start: np.ndarray, *, reach: int) -> Past:
    """What is before a question that comes after everything, for every sequence [S]."""
    end = start[1:]
    return Past(_whole(first, np.maximum(start[:-1], end - reach), end), end)


def _whole(first: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The first beginning of a moment at or after `low`, at most `high`."""
    borders = np.append(first, np.iinfo(np.int64).max)
    return np.asarray(np.minimum(borders[np.searchsorted(first, low)], high))
