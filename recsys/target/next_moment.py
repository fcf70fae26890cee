"""The next moment: all items of the next basket."""

import numpy as np

from recsys.sequence.histories import Histories


class NextMoment:
    """A question's targets are the events that share the question's instant."""

    words = "all items of the next moment"
    span = 0

    def ends(self, histories: Histories, first: np.ndarray) -> np.ndarray:
        """Row after the last target of the moments that rows `first` [M], ascending, lie in; [M]."""
        begins = histories.moments()
        return np.append(begins[1:], len(histories.events))[np.searchsorted(begins, first, side="right") - 1]
