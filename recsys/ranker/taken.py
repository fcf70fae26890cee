"""What one shopper took of many things before an instant: how often, how lately, at what interval."""

from dataclasses import dataclass

import numpy as np

from recsys.clock import DAY, HOUR
from recsys.runs import firsts, fresh, places_in


@dataclass(frozen=True, slots=True)
class Taken:
    """Earlier purchases of N things that are asked about; things bought twice in one moment were bought once.

    Attributes:
        count: number of moments in which each was taken [N] float64; 0 for never.
        elapsed_days: since the last of them, an hour at least [N]; 0 for never.
        interval_days: mean gap between them, an hour at least [N]; 0 for less than two.
        halved: the count with every moment halved for each of H half-lives that passed since [H, N].
    """

    count: np.ndarray
    elapsed_days: np.ndarray
    interval_days: np.ndarray
    halved: np.ndarray

    @classmethod
    def of(cls, key: np.ndarray, time: np.ndarray, *, asked: np.ndarray, at: int, half_lives: np.ndarray) -> "Taken":
        """Of purchases of the things `key` [E] at `time` [E], all before `at`, what is known of `asked` [N]; half-lives
        [H] in days."""
        if not len(key):
            nothing = np.zeros(len(asked))
            return cls(nothing, nothing, nothing, np.zeros((len(half_lives), len(asked))))
        order = np.lexsort((time, key))
        key, time = key[order], time[order]
        once = fresh(key, time)
        key, time = key[once], time[once]
        first = firsts(key)
        count = np.append(first[1:], len(key)) - first
        last, began = time[first + count - 1], time[first]
        age_days = (at - time) / DAY
        # of each thing a row, and one of nothing for what was never taken
        told = np.zeros((3 + len(half_lives), len(first) + 1))
        told[0, :-1] = count
        told[1, :-1] = np.maximum(at - last, HOUR) / DAY
        told[2, :-1] = np.where(count > 1, np.maximum((last - began) / np.maximum(count - 1, 1), HOUR) / DAY, 0)
        told[3:, :-1] = np.add.reduceat(0.5 ** (age_days / half_lives[:, None]), first, axis=1)
        place, here = places_in(key[first], asked)
        of_asked = told[:, np.where(here, place, len(first))]
        return cls(count=of_asked[0], elapsed_days=of_asked[1], interval_days=of_asked[2], halved=of_asked[3:])

    def columns(self) -> list[np.ndarray]:
        """As a network reads it: [N] each, 6 and one for every half-life."""
        ever, often = self.count > 0, self.count > 1
        elapsed = np.log(np.where(ever, self.elapsed_days, _LONG_DAYS))
        interval = np.log(np.where(often, self.interval_days, _LONG_DAYS))
        due = np.where(often, elapsed - interval, 0)
        return [np.log1p(self.count), elapsed, interval, due, ever, often, *np.log(self.halved + 1e-3)]


_LONG_DAYS = 400.0
"""Stands for what never happened."""
