"""Ranks by blocks of items against those of the whole matrix of scores."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.metric.blocks import catalogue_ranks
from recsys.metric.measures import Ragged
from recsys.metric.ranking import MISS, dense_ranks


def whole_numbers(*shape: int, seed: int) -> torch.Tensor:
    """Small ones, so that products are exact in any order and tie often."""
    return torch.from_numpy(np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float32))


def some_items(items: int, questions: int, most: int, *, seed: int) -> list[np.ndarray]:
    """Up to `most` distinct items for each question."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, min(most, items - 1) + 1, questions)
    return [rng.choice(np.arange(1, items), count, replace=False) for count in counts]


@given(
    items=st.integers(2, 300),
    questions=st.integers(1, 12),
    seed=st.integers(0, 10_000),
    block=st.integers(1, 320),
    space=st.integers(1, 2_000),
    hides=st.booleans(),
    broken=st.booleans(),
)
def test_blocks_give_the_ranks_and_the_lists_of_the_whole_matrix(
    items: int, questions: int, seed: int, block: int, space: int, hides: bool, broken: bool
) -> None:
    query, vectors = whole_numbers(questions, 3, seed=seed), whole_numbers(items, 3, seed=seed + 1)
    if broken:
        query[0] = torch.nan
        vectors[-1] = torch.inf
    target = some_items(items, questions, 5, seed=seed)
    hidden = some_items(items, questions, 40, seed=seed + 1) if hides else [np.empty(0, np.int64)] * questions
    ranks, lists = catalogue_ranks(
        *(query, vectors, Ragged.of(target)),
        exclude=Ragged.of(hidden) if hides else None,
        items_at_once=block,
        scores_at_once=space,
    )
    scores = (query @ vectors.T).numpy()
    expected = [dense_ranks(scores[q], target[q], hidden[q]) for q in range(questions)]
    assert ranks.tolist() == np.concatenate(expected).tolist()
    for q in range(questions):
        assert lists[q].tolist() == first_ten(scores[q], hidden[q])


def first_ten(score: np.ndarray, hidden: np.ndarray) -> list[int]:
    """The best ten by sorting everything; ties by index, what is no number not at all, 0 to fill."""
    score = np.where(np.isnan(score), -np.inf, score)
    ranked = [item for item in range(1, len(score)) if item not in hidden and score[item] > -np.inf]
    best = sorted(ranked, key=lambda item: (-score[item], item))[:10]
    return best + [0] * (10 - len(best))


def test_real_vectors_give_the_ranks_of_the_whole_matrix_in_blocks_of_any_size() -> None:
    generator = torch.Generator().manual_seed(0)
    query, vectors = (torch.randn(rows, 16, generator=generator) for rows in (40, 3_000))
    target = [np.unique(one) for one in some_items(3_000, 40, 9, seed=0)]
    scores = (query @ vectors.T).numpy()
    expected = np.concatenate([dense_ranks(scores[q], target[q]) for q in range(40)]).tolist()
    for block, space in ((3_000, 10**6), (1_024, 10**4), (77, 10**3), (64, 1)):
        found, _ = catalogue_ranks(query, vectors, Ragged.of(target), items_at_once=block, scores_at_once=space)
        assert found.tolist() == expected


@pytest.mark.slow
def test_a_million_items_take_the_memory_of_a_block() -> None:
    script = """
import resource, torch, numpy as np
from recsys.metric.blocks import catalogue_ranks
from recsys.metric.measures import Ragged
query, items = torch.randn(256, 16), torch.randn(1_000_001, 16)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
catalogue_ranks(query, items, Ragged.of([np.array([1 + number]) for number in range(256)]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000, "kilobytes; the scores alone would be a million"


def test_many_items_of_one_score_rank_the_target_below_all_of_them_over_block_borders() -> None:
    ranks, lists = catalogue_ranks(torch.ones(1, 2), torch.ones(501, 2), Ragged.of([np.array([7])]), items_at_once=100)
    assert ranks.tolist() == [499]
    assert lists.tolist() == [list(range(1, 11))]


def test_a_hidden_target_is_missed_and_pushes_nobody_down() -> None:
    vectors = torch.tensor([[9.0], [3.0], [2.0], [1.0]])
    target, hidden = Ragged.of([np.array([1, 3])]), Ragged.of([np.array([1])])
    ranks, lists = catalogue_ranks(torch.ones(1, 1), vectors, target, exclude=hidden)
    assert ranks.tolist() == [MISS, 1]
    assert lists[0, :3].tolist() == [2, 3, 0]


def test_no_lists_are_made_where_none_are_asked_for() -> None:
    ranks, lists = catalogue_ranks(torch.ones(2, 1), torch.ones(9, 1), Ragged.of([np.array([1]), np.array([2])]), top=0)
    assert (ranks.tolist(), lists.shape) == ([7, 7], (2, 0))
