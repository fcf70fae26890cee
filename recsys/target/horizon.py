"""Everything within a horizon: what will this shopper take in the coming days."""

import numpy as np

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.segments import bisect_segments
from recsys.sequence.histories import Histories


class Horizon:
    """A question's targets are the shopper's events from its instant on for `days`, the end left out.

    Args:
        days: length of the horizon.
        most: at most this many events count, the earliest; bounds the pairs that a batch of training can have.
    """

    def __init__(self, *, days: float = 7.0, most: int = 100) -> None:
        if not days > 0 or most < 1:
            raise ConfigError(f"target.days is {days} and target.most {most}; both must be positive")
        self.days = days
        self.most = most
        self.span = int(days * DAY)
        self.words = f"all items within {days:g} days"

    def ends(self, histories: Histories, first: np.ndarray) -> np.ndarray:
        """Row after the last target of the moments that begin at rows `first` [M]; [M]."""
        time, span = histories.events.time, self.span
        sequence_end = histories.start[np.searchsorted(histories.start, first, side="right")]
        ends: np.ndarray = np.minimum(bisect_segments(time, first, sequence_end, time[first] + span), first + self.most)
        return ends
