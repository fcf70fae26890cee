"""The global temporal split: one cut-off for everybody, as in a shop."""

import numpy as np

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.sequence.histories import Histories
from recsys.split.cut import Cut


class Temporal:
    """Learn before the validation window, validate in it, test from the cut-off on.

    Meng et al., "Exploring data splitting strategies for the evaluation of recommendation models" (RecSys 2020), show
    how the other ways leak the future.

    Args:
        validation_days: length of the window before the cut-off on which epochs and weights are chosen.
    """

    words = "asked from the cut-off on, everybody's history cut at the same instant"
    needs_times = True
    needs_prepared = False

    def __init__(self, *, validation_days: int = 28) -> None:
        if validation_days < 1:
            raise ConfigError(f"validation_days is {validation_days}; keep at least 1 day before the cut-off")
        self.validation_days = validation_days

    def vocabulary_until(self, cutoff: int) -> int | None:
        """Only what occurred before the cut-off is known."""
        return cutoff

    def cut(self, histories: Histories, *, cutoff: int) -> Cut:
        """The same instants for every sequence."""
        since = np.broadcast_to(np.int64(cutoff - self.validation_days * DAY), len(histories))
        until = np.broadcast_to(np.int64(cutoff), len(histories))
        return Cut(learn_until=since, validation_from=since, count_until=until, test_from=until)
