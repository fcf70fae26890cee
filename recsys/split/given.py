"""The split that came with the files: training sessions before the cut-off, test sessions after it. Literature mode."""

import numpy as np

from recsys.errors import ConfigError
from recsys.sequence.histories import ALWAYS, NEVER, Histories
from recsys.split.cut import Cut, last_moments


class Given:
    """Of every shopper with events at or after the cut-off the last event is the target and those before it the prefix;
    nothing of them is learnt from or counted, for one prefix holds the target of another. A share of the training
    sessions, the last ones, is kept for validation: of these, too, the last event is asked.

    Args:
        validation_share: of the shoppers who lie before the cut-off.
    """

    words = "the split of the prepared files (literature mode: the last event of each test session)"
    needs_times = False
    needs_prepared = True

    def __init__(self, *, validation_share: float = 0.1) -> None:
        if not 0 < validation_share < 1:
            raise ConfigError(f"split.validation_share is {validation_share}; give a share between 0 and 1")
        self.validation_share = validation_share

    def vocabulary_until(self, cutoff: int) -> int | None:
        """Only what the training sessions hold is known."""
        return cutoff

    def cut(self, histories: Histories, *, cutoff: int) -> Cut:
        """Whole sequences are for learning, validation or test."""
        last, second, _ = last_moments(histories)
        asked = np.where(second > ALWAYS, last, NEVER)
        ends = np.full(len(histories), ALWAYS)
        full = np.diff(histories.start) > 0
        ends[full] = histories.events.time[histories.start[1:][full] - 1]
        tested, trained = ends >= cutoff, np.sort(ends[ends < cutoff])
        border = trained[int(len(trained) * (1 - self.validation_share))] if len(trained) else NEVER
        validated = ~tested & (ends >= border)
        return Cut(
            learn_until=np.where(tested | validated, ALWAYS, NEVER),
            validation_from=np.where(validated, asked, np.where(tested, asked, NEVER)),
            count_until=np.where(tested, ALWAYS, NEVER),
            test_from=np.where(tested, asked, NEVER),
        )
