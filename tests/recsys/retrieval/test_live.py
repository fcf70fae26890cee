"""An index that changes while it is searched, held against a dictionary of vectors."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recsys.protocols import Index
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.hnsw import HnswIndex
from recsys.retrieval.index.ivf import IvfIndex
from recsys.retrieval.live import LiveIndex

DIM, FIRST, MOST = 6, 40, 70
MADE: list[Callable[[], Index]] = [
    FlatIndex,
    lambda: IvfIndex(codes="flat", lists=4, probes=4),
    lambda: IvfIndex(codes="sq8", lists=4, probes=4, refine=20),
    lambda: HnswIndex(links=40, breadth=200, build_breadth=200),
]


def drawn(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def live(make: Callable[[], Index] = FlatIndex, items: int = FIRST) -> tuple[LiveIndex, np.ndarray]:
    vectors = drawn(items + 1, 0)
    index = make()
    index.build(vectors)
    return LiveIndex(index, vectors), vectors


class Changing(RuleBasedStateMachine):
    """Whatever is done in whatever order, a search finds what a dictionary of vectors says."""

    @initialize(make=st.sampled_from(MADE))
    def begin(self, make: Callable[[], Index]) -> None:
        self.index, vectors = live(make)
        self.known = dict(enumerate(vectors)) | {0: None}
        del self.known[0]

    @rule(items=st.lists(st.integers(1, MOST), min_size=1, max_size=8), seed=st.integers(0, 99))
    def put(self, items: list[int], seed: int) -> None:
        vectors = drawn(len(items), 1_000 + seed)
        self.index.put(np.array(items), vectors)
        self.known.update(zip(items, vectors, strict=True))

    @rule(items=st.lists(st.integers(1, MOST), min_size=1, max_size=12))
    def drop(self, items: list[int]) -> None:
        self.index.drop(np.array(items))
        for item in items:
            self.known.pop(item, None)

    @rule()
    def compact(self) -> None:
        self.index.compact()

    @rule(count=st.integers(1, MOST + 5), seed=st.integers(0, 9), share=st.sampled_from([0.1, 0.5, 1.0]))
    def search_what_is_allowed(self, count: int, seed: int, share: float) -> None:
        mask = np.random.default_rng(seed).random(MOST + 1 - seed) < share
        mask[0] = False
        allowed = [item for item in self.known if item < len(mask) and mask[item]]
        self._insist(count, seed, allowed, Allowed(mask))

    @invariant()
    def search_everything(self) -> None:
        assert len(self.index) == len(self.known)
        self._insist(7, 1, [*self.known], None)

    def _insist(self, count: int, seed: int, items: list[int], allowed: Allowed | None) -> None:
        query = drawn(2, 500 + seed)
        _, found = self.index.search(query, count, allowed)
        for one, row in zip(query, found, strict=True):
            best = sorted(items, key=lambda item: (-float(self.known[item] @ one), item))[:count]
            assert row[row > 0].tolist() == best


Changing.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=12)
test_changing = Changing.TestCase


def test_of_two_that_tie_at_the_cut_the_lower_item_is_found() -> None:
    index, _ = live()
    index.put(np.array([4, 3]), np.ones((2, DIM), np.float32))
    query = np.ones((1, DIM), np.float32)
    ahead = index.search(query, FIRST)[1][0].tolist().index(3)
    assert index.search(query, ahead + 2)[1][0, ahead:].tolist() == [3, 4]
    assert index.search(query, ahead + 1)[1][0, -1] == 3


def test_an_item_put_twice_at_once_lies_where_it_was_put_last() -> None:
    index, _ = live()
    index.put(np.array([50, 50]), np.array([[9.0] * DIM, [-9.0] * DIM]))
    query = np.ones((1, DIM), np.float32)
    assert 50 not in index.search(query, 20)[1]
    assert 50 in index.search(-query, 1)[1]


def test_what_comes_and_goes_during_a_compaction_is_there_and_gone_after_it() -> None:
    index, vectors = live()
    index.put(np.array([41, 42, 43]), np.full((3, DIM), 5.0))
    began, may_go_on = threading.Event(), threading.Event()

    class Slow(FlatIndex):
        def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> FlatIndex:
            began.set()
            may_go_on.wait(10)
            return super().renewed(vectors, changed=changed, gone=gone)

    slow = Slow()
    slow.build(vectors)
    index = LiveIndex(slow, vectors)
    index.put(np.array([41, 42, 43]), np.full((3, DIM), 5.0))
    worker = threading.Thread(target=index.compact)
    worker.start()
    assert began.wait(10)
    query = np.ones((1, DIM), np.float32)
    index.drop(np.array([41, 1]))
    index.put(np.array([42, 44]), np.array([[-5.0] * DIM, [6.0] * DIM]))
    during = index.search(query, 60)[1][0].tolist()
    may_go_on.set()
    worker.join(10)
    after = index.search(query, 60)[1][0].tolist()
    assert after == during
    assert after[:2] == [44, 43]
    assert after[-1] == 42
    assert not {41, 1} & set(after)
    assert len(index) == len(after) == 42
    index.compact()
    assert index.search(query, 60)[1][0].tolist() == after
    assert index.pending == 0


def test_a_compaction_that_fails_loses_nothing() -> None:
    class Broken(FlatIndex):
        def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> FlatIndex:
            raise MemoryError

    vectors = drawn(FIRST + 1, 0)
    broken = Broken()
    broken.build(vectors)
    index = LiveIndex(broken, vectors)
    index.put(np.array([41]), np.full((1, DIM), 5.0))
    index.drop(np.array([3]))
    with pytest.raises(MemoryError):
        index.compact()
    found = index.search(np.ones((1, DIM), np.float32), 60)[1][0].tolist()
    assert found[0] == 41
    assert 3 not in found
    assert len(found) == 40


@pytest.mark.parametrize("make", MADE)
def test_searches_beside_changes_and_compactions_never_fail_and_never_miss_what_stays(
    make: Callable[[], Index], tmp_path: Path
) -> None:
    index, vectors = live(make, items=400)
    steady = np.arange(1, 51)
    index.put(steady, vectors[steady] * 3)  # the best fifty for their own queries stay, wherever they lie
    stop, faults = threading.Event(), []

    def change() -> None:
        rng = np.random.default_rng(1)
        while not stop.is_set():
            some = rng.integers(51, 500, size=20)
            index.put(some, drawn(20, int(rng.integers(1_000))) * 0.1)
            index.put(steady, vectors[steady] * 3)
            index.drop(rng.integers(200, 500, size=10))

    def fold() -> None:
        while not stop.is_set():
            index.compact()

    def search(own: int) -> None:
        rng = np.random.default_rng(own)
        while not stop.is_set():
            item = int(rng.integers(1, 51))
            gone = np.array([item + own])
            index.put(gone, vectors[[item]] * 9)
            index.drop(gone)
            _, found = index.search(vectors[[item]], 30)
            row = found[0].tolist()
            if item not in row or item + own in row or len(set(row)) < 30:
                faults.append((item, row))

    workers = [threading.Thread(target=work) for work in (change, fold)]
    workers += [threading.Thread(target=search, args=(own,)) for own in (600, 700)]
    for worker in workers:
        worker.start()
    time.sleep(1.5)
    stop.set()
    for worker in workers:
        worker.join(10)
    assert not faults
