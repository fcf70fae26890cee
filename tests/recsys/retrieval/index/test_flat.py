"""Exact search, held against a matrix product."""

from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import BundleError
from recsys.retrieval.index.flat import FlatIndex


def built(items: int, seed: int = 0) -> tuple[FlatIndex, np.ndarray]:
    vectors = np.random.default_rng(seed).normal(size=(items, 6)).astype(np.float32)
    index = FlatIndex()
    index.build(vectors)
    return index, vectors


@settings(deadline=None)
@given(items=st.integers(2, 60), count=st.integers(1, 70), seed=st.integers(0, 99))
def test_search_finds_what_the_matrix_product_finds(items: int, count: int, seed: int) -> None:
    index, vectors = built(items, seed)
    query = np.random.default_rng(seed + 1).normal(size=(3, 6)).astype(np.float32)
    scores, found = index.search(query, count)
    product = query @ vectors[1:].T
    expected = np.argsort(-product, axis=1, kind="stable")[:, :count] + 1
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(scores, np.take_along_axis(product, expected - 1, 1), rtol=1e-5, atol=1e-5)


def test_padding_is_never_found_however_well_it_fits() -> None:
    vectors = np.array([[100.0], [1.0], [-1.0]], np.float32)
    index = FlatIndex()
    index.build(vectors)
    assert index.search(np.ones((1, 1), np.float32), 5)[1].tolist() == [[1, 2]]


def test_saved_and_loaded_it_finds_the_same(tmp_path: Path) -> None:
    index, vectors = built(20)
    index.save(tmp_path / "index.faiss")
    again = FlatIndex()
    again.load(tmp_path / "index.faiss")
    for one, two in zip(index.search(vectors[:4], 7), again.search(vectors[:4], 7), strict=True):
        np.testing.assert_array_equal(one, two)


def test_searching_or_saving_before_building_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="the index is empty"):
        FlatIndex().search(np.ones((1, 2), np.float32), 1)
    with pytest.raises(BundleError, match="the index is empty"):
        FlatIndex().save(tmp_path / "index.faiss")


def test_a_file_that_is_no_index_or_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"certainly not an index")
    with pytest.raises(BundleError, match="noise is not a FAISS index"):
        FlatIndex().load(tmp_path / "noise")
    other = faiss.IndexHNSWFlat(4, 8)
    faiss.write_index(other, str(tmp_path / "hnsw"))
    with pytest.raises(BundleError, match="holds a graph of near neighbours; a flat inner-product index was expected"):
        FlatIndex().load(tmp_path / "hnsw")
