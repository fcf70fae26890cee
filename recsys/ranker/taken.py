"""What one shopper took of many things before an instant: how often, how lately, at what interval."""

import numpy as np

from recsys.clock import DAY, HOUR
from recsys.compiled import compiled

LONG_DAYS = 400.0
"""Stands for what never happened."""


@compiled
def taken(
    facts: np.ndarray,
    key: np.ndarray,
    time: np.ndarray,
    asked: np.ndarray,
    at: int,
    half_lives: np.ndarray,
    slot: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
) -> np.ndarray:
    """Write what purchases of the things `key` [E] at `time` [E] ascending, all before `at`, tell of those `asked` [N]
    as a network reads it, and return the count of each with every moment halved for the first of H `half_lives` [H]
    (microseconds) that passed since [N]. Things bought twice in one moment were bought once.

    `facts` [N, 6 + H] are log(1 + count), log of the days since the last time and log of the mean gap between two (an
    hour at least, `LONG_DAYS` where there is none), their difference, whether it was ever taken, and more than once,
    and log(0.001 + the count with every moment halved) for each half-life. `slot`, `stamp` and `tick` are those of
    `recsys/retrieval/best.py`, with room for every key.
    """
    lives = len(half_lives)
    told = np.empty((len(key) + 1, 6 + lives), np.float32)
    halved = np.zeros((len(key) + 1, lives))
    count, began, last = np.zeros(len(key), np.int64), np.zeros(len(key), np.int64), np.zeros(len(key), np.int64)
    tick[0] += 1
    found = 0
    for row in range(len(key)):
        if stamp[key[row]] != tick[0]:
            stamp[key[row]], slot[key[row]] = tick[0], found
            began[found] = time[row]
            found += 1
        place = slot[key[row]]
        if count[place] and last[place] == time[row]:
            continue
        count[place] += 1
        last[place] = time[row]
        for life in range(lives):
            halved[place, life] += 0.5 ** ((at - time[row]) / half_lives[life])
    for place in range(found + 1):
        times = count[place] if place < found else 0
        elapsed = np.log(max(at - last[place], HOUR) / DAY if times > 0 else LONG_DAYS)
        interval = np.log(LONG_DAYS)
        if times > 1:
            interval = np.log(max((last[place] - began[place]) / (times - 1), HOUR) / DAY)
        told[place, 0] = np.log1p(times)
        told[place, 1] = elapsed
        told[place, 2] = interval
        told[place, 3] = elapsed - interval if times > 1 else 0.0
        told[place, 4] = times > 0
        told[place, 5] = times > 1
        for life in range(lives):
            told[place, 6 + life] = np.log((halved[place, life] if place < found else 0.0) + 1e-3)
    of_first = np.zeros(len(asked))
    for row in range(len(asked)):
        place = slot[asked[row]] if stamp[asked[row]] == tick[0] else found
        for column in range(6 + lives):
            facts[row, column] = told[place, column]
        of_first[row] = halved[place, 0] if place < found else 0.0
    return of_first
