"""Attention over what is remembered: by hand, and as the formulas have it, compiled or not."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.looking_back import bucket, silu_attention, softmax_attention

SILU, SOFTMAX = (getattr(loop, "py_func", loop) for loop in (silu_attention, softmax_attention))
HEADS, SIZE = 2, 5
DIM = HEADS * SIZE
BORDERS = np.array([2, 4], np.int64)


@dataclass(frozen=True)
class Case:
    """Tokens of a few shoppers, their instants ascending for each."""

    query: np.ndarray
    kept: np.ndarray
    added: np.ndarray
    start: np.ndarray
    begin: np.ndarray
    time: np.ndarray
    new_time: np.ndarray
    is_query: np.ndarray

    def shoppers(self) -> Iterator[tuple[np.ndarray, int, int, int, np.ndarray, int]]:
        """Of each what is kept, with rows behind it that are nobody's business, how much that is, and so on."""
        for first, last, begin, end in zip(self.start, self.start[1:], self.begin, self.begin[1:], strict=False):
            yield self.kept[first:], int(last - first), int(begin), int(end), self.time[first:], int(first)

    def seen(self, token: int) -> list[tuple[np.ndarray, int, int]]:
        """What a new token looks at: key and value, and how far apart in rows of the shopper and in time."""
        shopper = int(np.searchsorted(self.begin, token, side="right")) - 1
        before = range(int(self.start[shopper]), int(self.start[shopper + 1]))
        new = range(int(self.begin[shopper]), int(self.begin[shopper + 1]))
        place, when = len(before) + token - new.start, int(self.new_time[token])
        found = [(self.kept[row], place - number, when - int(self.time[row])) for number, row in enumerate(before)]
        for row in new:
            if row == token:
                found.append((self.added[row], 0, 1))
            elif not self.is_query[row]:
                found.append((self.added[row], token - row, when - int(self.new_time[row])))
        return [(pair, rows, between if rows else 0) for pair, rows, between in found if between > 0]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shoppers = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), min_size=1, max_size=3))
    counts, new = zip(*shoppers, strict=True)
    times = [sorted(draw(st.lists(st.integers(0, 6), min_size=c + n, max_size=c + n))) for c, n in shoppers]
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    start, begin = np.cumsum([0, *counts]), np.cumsum([0, *new])
    is_query = np.zeros(begin[-1], bool)
    is_query[begin[1:] - 1] = True

    def normal(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape).astype(np.float32)

    return Case(
        normal(int(begin[-1]), 3 + DIM), normal(int(start[-1]), 4, DIM), normal(int(begin[-1]), 4, DIM), start, begin,
        np.array([at for one, c in zip(times, counts, strict=True) for at in one[:c]], np.int64),
        np.array([at for one, c in zip(times, counts, strict=True) for at in one[c:]], np.int64), is_query,
    )  # fmt: skip


def heads(vector: np.ndarray) -> np.ndarray:
    return vector.astype(np.float64).reshape(HEADS, SIZE)


@pytest.mark.parametrize("loop", [softmax_attention, SOFTMAX], ids=["compiled", "plain"])
@given(case=cases(), only_queries=st.booleans())
@settings(max_examples=30)
def test_softmax_attention_is_that_of_the_formula(loop: object, case: Case, only_queries: bool) -> None:
    out = np.full((len(case.query), DIM), 7, np.float32)
    for kept, count, begin, end, time, _ in case.shoppers():
        loop(  # type: ignore[operator]
            case.query, 3, kept, case.added, 2, 1, HEADS, count, begin, end, time, case.new_time,
            case.is_query, only_queries, out,
        )  # fmt: skip
    for token in range(len(out)):
        if only_queries and not case.is_query[token]:
            assert (out[token] == 7).all()
            continue
        pairs = np.array([pair for pair, _, _ in case.seen(token)])
        for head, query in enumerate(heads(case.query[token, 3:])):
            score = np.array([heads(pair[2])[head] @ query for pair in pairs]) / math.sqrt(SIZE)
            share = np.exp(score) / np.exp(score).sum()
            taken = sum(part * heads(pair[1])[head] for part, pair in zip(share, pairs, strict=True))
            np.testing.assert_allclose(heads(out[token])[head], taken, atol=1e-5)


@pytest.mark.parametrize("loop", [silu_attention, SILU], ids=["compiled", "plain"])
@given(case=cases(), only_queries=st.booleans())
@settings(max_examples=30)
def test_silu_attention_is_that_of_the_formula(loop: object, case: Case, only_queries: bool) -> None:
    """Every token is a moment of its own; distances from the third on share a bias."""
    by_moments, by_time = np.array([0.1, 0.2, 0.4], np.float32), np.array([0.0, -0.5, 1.0], np.float32)
    position = np.concatenate([np.arange(count) for count in np.diff(case.start)]).astype(np.int64)
    behind = zip(np.diff(case.start), np.diff(case.begin), strict=True)
    new_position = np.concatenate([np.arange(count, count + new) for count, new in behind]).astype(np.int64)
    out = np.full((len(case.query), DIM), 7, np.float32)
    for kept, count, begin, end, time, first in case.shoppers():
        loop(  # type: ignore[operator]
            case.query, 3, kept, case.added, 0, 3, HEADS, count, begin, end, time, case.new_time, case.is_query,
            only_queries, position[first:], new_position, by_moments, by_time, BORDERS, out,
        )  # fmt: skip
    for token in range(len(out)):
        if only_queries and not case.is_query[token]:
            continue
        for head, query in enumerate(heads(case.query[token, 3:])):
            taken = np.zeros(SIZE)
            for pair, rows, between in case.seen(token):
                bias = by_moments[min(rows, 2)] + by_time[(between >= BORDERS).sum()]
                score = heads(pair[0])[head] @ query + bias
                taken += score / (1 + math.exp(-score)) * heads(pair[3])[head]
            np.testing.assert_allclose(heads(out[token])[head], taken, atol=1e-4)


def test_a_single_event_before_has_the_share_that_the_scores_give_it() -> None:
    """The question scores 0 with itself and ln 3 with the event: a quarter and three quarters."""
    kept, added = np.zeros((1, 2, 1), np.float32), np.zeros((1, 2, 1), np.float32)
    kept[0], added[0] = [[math.log(3)], [4.0]], [[0.0], [8.0]]
    out = np.empty((1, 1), np.float32)
    one = np.ones(1, np.int64)
    softmax_attention(np.ones((1, 1), np.float32), 0, kept, added, 0, 1, 1, 1, 0, 1, one, 2 * one, one == 1, False, out)
    assert out[0, 0] == pytest.approx(0.75 * 4 + 0.25 * 8)


def test_a_border_opens_its_bucket() -> None:
    assert [bucket(between, BORDERS) for between in (0, 1, 2, 3, 4, 99)] == [0, 0, 1, 1, 2, 2]
