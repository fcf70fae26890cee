"""What one shopper took of many things before an instant: how often, how lately, at what interval."""

from dataclasses import dataclass

import numpy as np

from recsys.clock import DAY, HOUR


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
        order = np.lexsort((time, key))
        key, time = key[order], time[order]
        fresh = (np.diff(key, prepend=-1) != 0) | (np.diff(time, prepend=-1) != 0)
        key, time = key[fresh], time[fresh]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        if not len(first):
            nothing = np.zeros(len(asked))
            return cls(nothing, nothing, nothing, np.zeros((len(half_lives), len(asked))))
        count = np.diff(np.append(first, len(key)))
        last, began = time[first + count - 1], time[first]
        age_days = (at - time) / DAY
        halved = [np.add.reduceat(0.5 ** (age_days / days), first) for days in half_lives]
        distinct = key[first]
        place = np.minimum(np.searchsorted(distinct, asked), len(distinct) - 1)
        here = distinct[place] == asked
        interval = np.maximum((last - began) / np.maximum(count - 1, 1), HOUR) / DAY
        return cls(
            count=np.where(here, count[place], 0).astype(np.float64),
            elapsed_days=np.where(here, np.maximum(at - last[place], HOUR) / DAY, 0),
            interval_days=np.where(here & (count[place] > 1), interval[place], 0),
            halved=np.where(here, np.stack(halved)[:, place], 0),
        )

    def columns(self) -> list[np.ndarray]:
        """As a network reads it: [N] each, 6 and one for every half-life."""
        ever, often = self.count > 0, self.count > 1
        elapsed = np.log(np.where(ever, self.elapsed_days, _LONG_DAYS))
        interval = np.log(np.where(often, self.interval_days, _LONG_DAYS))
        due = np.where(often, elapsed - interval, 0)
        halved = [np.log(row + 1e-3) for row in self.halved]
        return [np.log1p(self.count), elapsed, interval, due, ever.astype(float), often.astype(float), *halved]


_LONG_DAYS = 400.0
"""Stands for what never happened."""
