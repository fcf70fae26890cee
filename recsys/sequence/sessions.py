"""Sessions: what one shopper does without a long pause, on whatever channel and device."""

from dataclasses import dataclass

import numpy as np

from recsys.errors import DataError
from recsys.state import SESSION_GAP


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of E events of S shoppers, N in all.

    Attributes:
        number: session of every event, counted from 0 through all shoppers, [E] int64; ascending, so it groups events.
        began: instant at which the event's session began, [E] int64.
        first: row at which each session begins, [N] int64.
    """

    number: np.ndarray
    began: np.ndarray
    first: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def sessions(time: np.ndarray, start: np.ndarray, *, gap: int = SESSION_GAP) -> Sessions:
    """Cut every shopper's events into sessions: a new one begins after more than `gap` microseconds of silence.

    Nothing but shopper and time decides: a session goes on from the phone to the desktop, from the shop's app to its
    counter, and over midnight. `History.session_start` cuts in the same places.

    Args:
        time: instants [E] int64, microseconds, ascending within each shopper.
        start: where each shopper's events begin, and the end of the last, [S + 1]; as in `Histories`.
        gap: the longest silence within a session.

    Raises:
        DataError: the times of a shopper do not ascend.
    """
    begins = np.zeros(len(time), bool)
    begins[1:] = np.diff(time) > gap
    heads = start[:-1][np.diff(start) > 0]
    begins[heads] = True
    if ((np.diff(time) < 0) & ~np.isin(np.arange(1, len(time)), heads)).any():
        raise DataError("the events of a shopper do not ascend in time; sort them by shopper and instant first")
    first = np.flatnonzero(begins).astype(np.int64)
    number = np.cumsum(begins, dtype=np.int64) - 1
    return Sessions(number=number, began=time[first][number], first=first)
