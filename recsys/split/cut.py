"""The cut itself: four instants for every sequence."""

from dataclasses import dataclass

import numpy as np

from recsys.sequence.histories import ALWAYS, NEVER, Histories


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Instants for every sequence, microseconds UTC, [S] int64 each.

    Attributes:
        learn_until: the encoder, and the crowd's statistics for the validation, learn from what is strictly earlier.
        validation_from: moments from here on, up to `test_from`, are asked to choose epochs and weights.
        count_until: the crowd's statistics for the test are counted from what is strictly earlier.
        test_from: moments from here on are asked in the end.
    """

    learn_until: np.ndarray
    validation_from: np.ndarray
    count_until: np.ndarray
    test_from: np.ndarray


def last_moments(histories: Histories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Instants of the last, the second last and the third last moment of each sequence in which the shopper acted on a
    known item, [S] int64 each; `ALWAYS` (the smallest int64) where there is none."""
    acted, full = histories.is_interaction(), np.diff(histories.start) > 0
    owner, time = histories.owner(), histories.events.time
    found: list[np.ndarray] = []
    below = np.full(len(histories), NEVER)
    for _ in range(3):
        counted = np.where(acted & (time < below[owner]), time, ALWAYS)
        below = np.full(len(histories), ALWAYS)
        if full.any():
            below[full] = np.maximum.reduceat(counted, histories.start[:-1][full])
        found.append(below)
    return found[0], found[1], found[2]
