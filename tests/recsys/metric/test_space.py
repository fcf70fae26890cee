"""How vectors lie, on a few points whose spread is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.metric.space import Space, mean_cosine

CROSS = np.array([[2.0, 1.0], [-2.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
"""Around (0, 1): 2 to either side along the first axis, 1 along the second."""


def test_the_axes_of_a_cross_are_its_arms_the_longer_one_first() -> None:
    space = Space.of(CROSS)
    assert space.centre.tolist() == [0, 1]
    np.testing.assert_allclose(space.axes, [[1, 0], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(space.variance, [8 / 3, 2 / 3])
    np.testing.assert_allclose(space.shares, [0.8, 0.2])
    assert space.dimensions == pytest.approx(1 / (0.64 + 0.04))


def test_coordinates_are_told_along_the_first_axes_of_other_vectors_too() -> None:
    space = Space.of(CROSS)
    np.testing.assert_allclose(space.coordinates(CROSS), [[2, 0], [-2, 0], [0, 1], [0, -1]], atol=1e-12)
    np.testing.assert_allclose(space.coordinates(np.array([[5.0, 4.0]]), 1), [[5]])


def test_what_lies_on_a_line_has_one_dimension_and_what_lies_at_one_point_no_variance() -> None:
    assert Space.of(np.outer(np.arange(4.0), [3, 4])).dimensions == pytest.approx(1)
    assert Space.of(np.ones((3, 2))).shares.tolist() == [0, 0]


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 9))
def test_all_axes_together_keep_every_distance(count: int, dim: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    space = Space.of(vectors)
    along = space.coordinates(vectors, dim)
    np.testing.assert_allclose(np.linalg.norm(along - along[0], axis=1), np.linalg.norm(vectors - vectors[0], axis=1))
    np.testing.assert_allclose(along.var(0, ddof=1), space.variance, atol=1e-9)
    assert 1 - 1e-9 <= space.dimensions <= dim + 1e-9


def test_the_mean_cosine_of_a_right_angle_and_an_opposite_pair_is_worked_out_by_hand() -> None:
    assert mean_cosine(np.array([[3.0, 0.0], [0.0, 0.1], [-1.0, 0.0], [0.0, 0.0]])) == pytest.approx(-1 / 3)
    assert mean_cosine(np.array([[1.0, 1.0], [2.0, 2.0]])) == pytest.approx(1)
    assert math.isnan(mean_cosine(np.array([[1.0, 1.0], [0.0, 0.0]])))


@given(st.integers(2, 30), st.integers(0, 9))
def test_the_mean_cosine_is_that_of_all_pairs(count: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(1, 1, (count, 3))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[~np.eye(count, dtype=bool)]
    assert mean_cosine(vectors) == pytest.approx(pairs.mean())
