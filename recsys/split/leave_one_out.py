"""Leave-one-out: each shopper's last moment is the test, the one before it the validation. Literature mode."""

import numpy as np

from recsys.sequence.histories import ALWAYS, NEVER, Histories
from recsys.split.cut import Cut, last_moments


class LeaveOneOut:
    """For comparison with papers only: it leaks the future, because other shoppers' later events are learnt from, and
    everything that ever occurs is in the vocabulary. Shoppers with fewer than three moments are learnt from only.
    """

    words = "leave-one-out (literature mode: the last moment of each shopper; it leaks the future)"
    needs_times = False
    needs_prepared = False

    def vocabulary_until(self, cutoff: int) -> int | None:
        """All of the log."""
        return None

    def cut(self, histories: Histories, *, cutoff: int) -> Cut:
        """Instants of each sequence's last two moments; NEVER where it has fewer than three or is not the latest of its
        shopper."""
        last, second, third = last_moments(histories)
        number = histories.shopper_number()
        latest = np.append(number[1:] != number[:-1], True) if len(number) else np.zeros(0, bool)
        tested = latest & (third > ALWAYS)
        second, last = np.where(tested, second, NEVER), np.where(tested, last, NEVER)
        return Cut(learn_until=second, validation_from=second, count_until=last, test_from=last)
