"""Clusters that can be seen with the eye."""

from itertools import pairwise

import numpy as np
import pytest

from recsys.retrieval.kmeans import clustered, nearest

HEAPS = np.array([[0, 0], [0, 2], [10, 0], [10, 2], [12, 1]], np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_two_heaps_have_their_means_for_centres(seed: int) -> None:
    centres = clustered(HEAPS, 2, rng=np.random.default_rng(seed))
    assert sorted(centres.round(4).tolist()) == [[0.0, 1.0], [pytest.approx(32 / 3, abs=1e-4), 1.0]]


def test_each_point_is_told_its_nearest_centre_and_the_squared_distance() -> None:
    member, gap = nearest(HEAPS, np.array([[0, 0], [10, 0]], np.float32))
    assert member.tolist() == [0, 0, 1, 1, 1]
    assert gap.tolist() == pytest.approx([0, 4, 0, 4, 5])


def test_there_are_no_more_clusters_than_distinct_points_and_none_of_nothing() -> None:
    rng = np.random.default_rng(0)
    assert len(clustered(np.zeros((4, 3), np.float32), 3, rng=rng)) == 1
    assert clustered(np.empty((0, 3), np.float32), 3, rng=rng).shape == (0, 3)


def test_the_same_generator_gives_the_same_clusters() -> None:
    points = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    one, two = (clustered(points, 7, rng=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_more_rounds_never_lie_further_from_the_points() -> None:
    points = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    gaps = [
        float(nearest(points, clustered(points, 7, rng=np.random.default_rng(3), rounds=n))[1].sum()) for n in range(8)
    ]
    assert all(later <= sooner + 1e-3 for sooner, later in pairwise(gaps))
    assert gaps[-1] < gaps[0]
