"""A table of keys that never grows beyond a limit: when it would, it keeps a sample that is the same in every run."""

from collections.abc import Callable, Mapping

import numpy as np

MOST_KEYS = 1 << 22


def sampling_rank(hashed: np.ndarray) -> np.ndarray:
    """How long each of `hashed` [N] uint64 stays in a thinning sample: half of all have rank 0, a quarter 1, ..."""
    lowest = hashed & (~hashed + np.uint64(1))
    rank = np.zeros(len(hashed), np.int8)
    found = lowest > 0
    rank[found] = np.log2(lowest[found].astype(np.float64)).astype(np.int8)
    rank[~found] = 63
    return rank


class KeyTable:
    """Columns of values by 64-bit key, sorted by key.

    At level k it holds the keys whose owner has a sampling rank of at least k; the level rises by one whenever more
    than `most` keys would be held. Which keys remain depends on the keys alone, not on their order: the final level is
    the lowest at which all keys ever seen fit. (Adaptive sampling; Flajolet, "On adaptive sampling", 1990.)

    Args:
        columns: name and initial value of each; all are int64.
        rank_of: the sampling rank of the owners of keys [N].
        most: the limit.
    """

    def __init__(
        self,
        columns: Mapping[str, int],
        rank_of: Callable[[np.ndarray], np.ndarray] = sampling_rank,
        *,
        most: int = MOST_KEYS,
    ) -> None:
        self.key = np.zeros(0, np.uint64)
        self.level = 0
        self.column = {name: np.zeros(0, np.int64) for name in columns}
        self._initial = dict(columns)
        self._rank_of = rank_of
        self._most = most

    def __len__(self) -> int:
        return len(self.key)

    def sampled(self, keys: np.ndarray) -> np.ndarray:
        """Which of `keys` [N] the table holds, or would hold, at its level: bool."""
        return np.asarray(self._rank_of(keys) >= self.level) if self.level else np.ones(len(keys), bool)

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """Row of each of `keys` [N], ascending, distinct and sampled; unseen ones are taken up."""
        place = np.searchsorted(self.key, keys)
        unseen = np.ones(len(keys), bool)
        inside = place < len(self.key)
        unseen[inside] = self.key[place[inside]] != keys[inside]
        if unseen.any():
            self.key = np.insert(self.key, place[unseen], keys[unseen])
            for name, values in self.column.items():
                self.column[name] = np.insert(values, place[unseen], self._initial[name])
        return np.asarray(place + np.cumsum(unseen) - unseen)

    def thin(self) -> None:
        """Raise the level until the limit is kept; to be called when no row numbers are in use."""
        while len(self.key) > self._most:
            self.level += 1
            keep = self._rank_of(self.key) >= self.level
            self.key = self.key[keep]
            self.column = {name: values[keep] for name, values in self.column.items()}
