"""The next moment: all items of the next basket."""

import numpy as np

from recsys.sequence.histories import Histories


class NextMoment:
    """A question's targets are the events that share the question's instant."""

    words = "all items of the next moment"

    def ends(self, histories: Histories, first: np.ndarray) -> np.ndarray:
        """Row after the last target of the moments that begin at rows `first` [M], ascending; [M]."""
        begins = histories.moments()
        return np.append(begins[1:], len(histories.events))[np.searchsorted(begins, first)]
