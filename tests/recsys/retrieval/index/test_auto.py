"""The index that is chosen by measuring."""

from pathlib import Path

import numpy as np
import pytest

from recsys.errors import BundleError, ConfigError
from recsys.registry import construct, described
from recsys.retrieval.index import auto
from recsys.retrieval.index.auto import AutoIndex
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.live import LiveIndex


@pytest.fixture(scope="module")
def clustered() -> tuple[np.ndarray, np.ndarray]:
    """Vectors [V, D] in clusters, and queries [Q, D] like them."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 16))
    vectors, queries = (
        (centres[rng.integers(60, size=count)] + 0.3 * rng.normal(size=(count, 16))).astype(np.float32)
        for count in (6_001, 80)
    )
    return vectors, queries


def test_few_items_are_searched_exactly(clustered: tuple[np.ndarray, np.ndarray]) -> None:
    index = AutoIndex()
    index.build(*clustered)
    (row,) = index.measured
    assert row.index == "FlatIndex()"
    assert row.chosen
    assert row.recall == 1.0


def test_of_many_the_fastest_kind_with_the_recall_asked_for_is_taken_and_the_others_told(
    clustered: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "_SMALL", 1_000)
    index = AutoIndex(recall=0.95)
    index.build(*clustered)
    (chosen,) = (row for row in index.measured if row.chosen)
    good = [row for row in index.measured if row.recall >= 0.95]
    assert chosen.p50_ms == min(row.p50_ms for row in good)
    tried = ["FlatIndex", "IvfIndex", "IvfIndex", "NormRangedIndex", "HnswIndex"]
    assert [row.index.partition("(")[0] for row in index.measured] == tried
    vectors, queries = clustered
    exact = np.argsort(-(queries @ vectors[1:].T), axis=1)[:, :100] + 1
    _, found = index.search(queries, 100)
    hits = [len(set(a) & set(b)) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    assert np.mean(hits) >= 95


def test_memory_bounds_the_choice_and_what_nothing_fits_is_refused_by_value(
    clustered: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "_SMALL", 1_000)
    free = AutoIndex(recall=0.9)
    free.build(*clustered)
    bound = sorted(row.mib for row in free.measured)[0]
    index = AutoIndex(recall=0.9, memory_mib=bound + 0.01)
    index.build(*clustered)
    (chosen,) = (row for row in index.measured if row.chosen)
    assert chosen.mib == bound
    with pytest.raises(ConfigError, match=r"memory_mib is 0\.1; the smallest index takes"):
        AutoIndex(memory_mib=0.1).build(*clustered)


def test_what_was_chosen_and_measured_is_stored_and_comes_back(
    clustered: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(auto, "_SMALL", 1_000)
    vectors, queries = clustered
    index = AutoIndex(recall=0.9)
    index.build(vectors, queries)
    index.save(tmp_path / "index.faiss")
    plain = described(index)
    again = construct(plain["class"], plain["settings"])
    again.load(tmp_path / "index.faiss", vectors)
    assert again.measured == index.measured
    for one, two in zip(index.search(queries, 20), again.search(queries, 20), strict=True):
        np.testing.assert_array_equal(one, two)
    live = LiveIndex(again, vectors)
    live.put(np.array([7_000]), queries[:1] * 9)
    live.compact()
    assert live.search(queries[:1], 3)[1][0, 0] == 7_000


def test_nothing_is_chosen_before_it_is_built_and_a_recall_that_is_no_share_is_refused() -> None:
    with pytest.raises(BundleError, match="the index is empty"):
        AutoIndex().search(np.ones((1, 4), np.float32), 1)
    with pytest.raises(ConfigError, match="recall is 0"):
        AutoIndex(recall=0)


def test_memory_is_what_the_vectors_and_their_ids_take(clustered: tuple[np.ndarray, np.ndarray]) -> None:
    index = FlatIndex()
    index.build(clustered[0])
    assert index.nbytes() == 6_000 * (16 * 4 + 8)
