"""The next item: of several events at one instant the one that is stored first (by event id)."""

import numpy as np

from recsys.sequence.histories import Histories


class NextItem:
    """A question's target is a single event."""

    words = "the next item"
    span = 0

    def ends(self, histories: Histories, first: np.ndarray) -> np.ndarray:
        """Row after the only target of the moments that begin at rows `first` [M]; [M]."""
        return first + 1
