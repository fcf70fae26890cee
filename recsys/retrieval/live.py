"""An index whose items come, change and go while it is searched.

Three layers, as log-structured stores have them (O'Neil et al., "The log-structured merge-tree", Acta Informatica
1996): a main index that is never altered, a delta of what came or changed since, compared exactly, and marks on what of
the main index no longer holds. `compact` folds the delta into a new main index beside the running one and swaps the two
between two searches.

What holds, whatever runs at the same time: a search that begins after `put` or `drop` has returned sees what it did; no
search fails or returns an item twice; an item that stays is found before, during and after a compaction.
"""

import threading
from dataclasses import dataclass

import numpy as np

from recsys.protocols import Index
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.delta import Delta, joined
from recsys.retrieval.index.exact import NOWHERE

_SPARE = 16


@dataclass(frozen=True, slots=True)
class _Main:
    """An index and the vectors [V, D] that it is of; `held` [V] says which items it returns."""

    index: Index
    vectors: np.ndarray
    held: np.ndarray


class LiveIndex:
    """A main index, a delta and marks.

    Args:
        index: built of `vectors`.
        vectors: of every catalogue index [V, D]; row 0 is padding.
    """

    def __init__(self, index: Index, vectors: np.ndarray) -> None:
        held = np.ones(len(vectors), bool)
        held[0] = False
        self._main = _Main(index, vectors, held)
        self._stale = np.zeros(len(vectors), bool)
        self._marked = 0
        self._deltas = [Delta(vectors.shape[1])]
        self._left: list[np.ndarray] = []
        self._lock = threading.Lock()
        self._compacting = threading.Lock()

    def __len__(self) -> int:
        """How many items can be found."""
        with self._lock:
            main = int(np.count_nonzero(self._main.held & ~self._stale))
            return main + sum(len(delta.items) for delta in self._deltas)

    @property
    def pending(self) -> int:
        """How many items wait in the delta, or as marks: what a compaction would fold in."""
        return sum(map(len, self._deltas)) + int(np.count_nonzero(self._stale))

    def put(self, items: np.ndarray, vectors: np.ndarray) -> None:
        """Each of `items` [N] lies at that of `vectors` [N, D] from now on, whether it was there before or not."""
        items = np.asarray(items, np.int64)
        with self._lock:
            self._deltas[-1].put(items, np.asarray(vectors, np.float32))
            self._mark(items, self._deltas[:-1])

    def drop(self, items: np.ndarray) -> None:
        """None of `items` [N] is found any more."""
        items = np.asarray(items, np.int64)
        with self._lock:
            self._mark(items, self._deltas)
            if len(self._deltas) > 1:
                self._left.append(items)

    def search(self, query: np.ndarray, count: int, allowed: Allowed | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores [B, K] and items [B, K], best first; K is `count` or, if they are fewer, all that there are.

        Rows with fewer than K items are filled with index 0 at -inf.
        """
        query = np.ascontiguousarray(query, np.float32)
        asked = self._asked(count)
        while True:
            main = self._main
            scores, items = main.index.search(query, asked, allowed)
            with self._lock:
                if main is not self._main:  # swapped meanwhile: the delta now lies in the new one
                    continue
                old = self._stale[items]
                enough = int((~old & (items > NOWHERE)).sum(1).min(initial=count)) >= count
                if enough or items.shape[1] < asked or not old.any():
                    scores[old], items[old] = -np.inf, NOWHERE
                    above = np.partition(scores, -count, axis=1)[:, -count] if scores.shape[1] >= count else None
                    waiting = [delta.search(query, count, allowed, above=above) for delta in self._deltas]
                    break
            asked = 4 * asked + _SPARE
        return joined([(scores, items), *waiting], count)

    def _asked(self, count: int) -> int:
        """For how many to ask the main index, so that with those that are marked enough are left, most of the time."""
        marked = self._marked
        return count if not marked else count + 2 * count * marked // max(1, len(self._main.held)) + _SPARE

    def compact(self) -> None:
        """Fold what is pending into a new main index; returns when it is in place. One at a time."""
        with self._compacting:
            with self._lock:
                main, stale, frozen = self._main, self._stale.copy(), self._deltas[-1]
                changed, vectors = frozen.items, frozen.vectors
                self._deltas.append(Delta(main.vectors.shape[1]))
                self._left = []
            try:
                renewed = _merged(main, stale, changed, vectors)
            except BaseException:
                with self._lock:
                    self._take_back(frozen)
                raise
            with self._lock:
                self._main, self._stale, self._marked = renewed, np.zeros(len(renewed.vectors), bool), 0
                self._deltas = [self._deltas[-1]]
                for items in (self._deltas[0].items, *self._left):
                    self._mark(items, [])
                self._left = []

    def _mark(self, items: np.ndarray, deltas: list[Delta]) -> None:
        here = items[items < len(self._stale)]
        self._marked += int(np.count_nonzero(~self._stale[here]))
        self._stale[here] = True
        for delta in deltas:
            delta.drop(items)

    def _take_back(self, frozen: Delta) -> None:
        """After a compaction that failed: one delta again, what came meanwhile on top."""
        later = self._deltas[-1]
        if len(later):
            frozen.put(later.items, later.vectors)
        self._deltas = [frozen]


def _merged(main: _Main, stale: np.ndarray, changed: np.ndarray, moved: np.ndarray) -> _Main:
    """The main index with the items `changed` [N] at `moved` [N, D], and without the others that are `stale` [V]."""
    size = max(len(main.vectors), int(changed.max(initial=0)) + 1)
    vectors = np.zeros((size, main.vectors.shape[1]), np.float32)
    vectors[: len(main.vectors)] = main.vectors
    vectors[changed] = moved
    held = np.zeros(size, bool)
    held[: len(main.held)] = main.held & ~stale
    held[changed] = True
    gone = np.flatnonzero(main.held & ~held[: len(main.held)])
    return _Main(main.index.renewed(vectors, changed=changed, gone=gone), vectors, held)
