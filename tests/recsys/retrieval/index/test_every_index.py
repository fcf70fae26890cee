"""Every index, held against a matrix product: whole, filtered, renewed, from its file."""

from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import BundleError, ConfigError
from recsys.protocols import Index
from recsys.registry import construct, described
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import ivf
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.hnsw import HnswIndex
from recsys.retrieval.index.ivf import IvfIndex
from recsys.retrieval.index.probes import exact_first, recall_of

DIM = 8
MADE: dict[str, Callable[[], Index]] = {
    "flat": FlatIndex,
    "ivf, flat": lambda: IvfIndex(codes="flat", lists=6, probes=6),
    "ivf, sq8": lambda: IvfIndex(codes="sq8", lists=6, probes=6, refine=20),
    "hnsw": lambda: HnswIndex(links=16, breadth=400),
}
"""Each with so much effort that it is exact on a few hundred items."""
EVERY = pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())


def drawn(items: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(items + 1, DIM)).astype(np.float32)
    vectors[0] = 100  # padding fits best, and is never found
    return vectors


def expected(vectors: np.ndarray, query: np.ndarray, count: int, rows: np.ndarray) -> list[list[int]]:
    return [rows[np.argsort(-(vectors[rows] @ one), kind="stable")][:count].tolist() for one in query]


@EVERY
@settings(deadline=None, max_examples=25)
@given(items=st.integers(1, 300), count=st.integers(1, 40), seed=st.integers(0, 9))
def test_search_finds_what_the_matrix_product_finds(
    make: Callable[[], Index], items: int, count: int, seed: int
) -> None:
    vectors, query = drawn(items, seed), drawn(3, seed + 100)[1:]
    index = make()
    index.build(vectors)
    scores, found = index.search(query, count)
    assert len(index) == items
    assert found.tolist() == expected(vectors, query, count, np.arange(1, items + 1))
    np.testing.assert_allclose(scores, np.einsum("bkd,bd->bk", vectors[found], query), rtol=1e-4, atol=1e-4)


@EVERY
@settings(deadline=None, max_examples=40)
@given(
    items=st.integers(1, 300),
    count=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.003, 0.03, 0.3, 0.9, 1.0]),
    exact_up_to=st.sampled_from([0, 10, 10_000]),
    seed=st.integers(0, 9),
)
def test_where_enough_items_are_allowed_as_many_as_asked_for_come_back_and_they_are_the_best(
    make: Callable[[], Index], items: int, count: int, share: float, exact_up_to: int, seed: int
) -> None:
    vectors, query = drawn(items, seed), drawn(2, seed + 100)[1:]
    mask = np.random.default_rng(seed).random(items + 1) < share
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ivf, "EXACT", exact_up_to)
        index = make()
        index.build(vectors)
        mask[0] = False
        allowed = Allowed(mask)
        for _ in range(2):  # what was worked out the first time is remembered
            _, found = index.search(query, count, allowed)
            rows = np.flatnonzero(mask[1:]) + 1
            assert found.tolist() == expected(vectors, query, min(count, len(rows)), rows)


def test_what_is_allowed_far_from_the_query_is_found_where_the_near_lists_hold_none() -> None:
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(2, 500, DIM)).astype(np.float32) * 0.01
    near[:, 0] += 1
    far[:, 0] -= 1
    vectors = np.concatenate([np.zeros((1, DIM), np.float32), near, far])
    index = IvfIndex(codes="flat", lists=20, probes=1)
    index.build(vectors)
    query = np.eye(1, DIM, dtype=np.float32)
    mask = np.arange(1001) > 500
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ivf, "EXACT", 0)
        _, found = index.search(query, 50, Allowed(mask))
    assert found.shape == (1, 50)
    assert (found > 500).all()


def test_fewer_lists_than_hold_enough_are_read_on_until_there_is_enough() -> None:
    vectors = drawn(300)
    index = IvfIndex(codes="sq8", lists=30, probes=1)
    index.build(vectors)
    _, found = index.search(vectors[1:3], 250)
    assert (found > 0).all()
    assert len(set(found[0].tolist())) == 250


@EVERY
def test_a_renewed_index_holds_what_changed_and_not_what_is_gone_and_the_old_one_stays(
    make: Callable[[], Index],
) -> None:
    vectors = drawn(100)
    index = make()
    index.build(vectors)
    query = drawn(4, 7)[1:]
    before = index.search(query, 20)[1].tolist()
    later = np.concatenate([vectors, drawn(30, 3)[1:]])
    changed = np.array([5, 6, *range(101, 131)])
    gone = np.array([7, 8, 9, 130])
    later[[5, 6]] = drawn(2, 4)[1:]
    other = index.renewed(later, changed=changed, gone=gone)
    rows = np.setdiff1d(np.arange(1, 131), gone)
    assert other.search(query, 20)[1].tolist() == expected(later, query, 20, rows)
    assert len(other) == len(rows)
    mask = np.ones(131, bool)
    mask[::2] = False
    _, found = other.search(query, 20, Allowed(mask))
    assert found.tolist() == expected(later, query, 20, np.setdiff1d(np.arange(1, 131, 2), gone))
    assert index.search(query, 20)[1].tolist() == before


@EVERY
def test_saved_described_and_loaded_it_finds_the_same(make: Callable[[], Index], tmp_path: Path) -> None:
    vectors, query = drawn(200), drawn(3, 7)[1:]
    index = make()
    index.build(vectors)
    index.save(tmp_path / "index.faiss")
    plain = described(index)
    again = construct(plain["class"], plain["settings"])
    again.load(tmp_path / "index.faiss", vectors)
    mask = np.arange(201) % 3 == 1
    for allowed in (None, Allowed(mask)):
        for one, two in zip(index.search(query, 9, allowed), again.search(query, 9, allowed), strict=True):
            np.testing.assert_array_equal(one, two)


@EVERY
def test_searching_or_saving_before_building_is_refused(make: Callable[[], Index], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="the index is empty"):
        make().search(np.ones((1, DIM), np.float32), 1)
    with pytest.raises(BundleError, match="the index is empty"):
        make().save(tmp_path / "index.faiss")


@EVERY
def test_a_file_that_is_no_index_or_another_kind_is_refused(make: Callable[[], Index], tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"certainly not an index")
    with pytest.raises(BundleError, match="noise is not a FAISS index"):
        make().load(tmp_path / "noise", drawn(3))
    faiss.write_index(faiss.IndexLSH(DIM, 16), str(tmp_path / "lsh"))
    with pytest.raises(BundleError, match="holds a IndexLSH, not"):
        make().load(tmp_path / "lsh", drawn(3))


def test_vectors_that_are_not_those_of_the_index_are_refused(tmp_path: Path) -> None:
    index = IvfIndex(lists=2, probes=1)
    index.build(drawn(30))
    index.save(tmp_path / "index.faiss")
    for vectors in (None, drawn(29)):
        with pytest.raises(BundleError, match="holds 30 vectors lifted to 16, and the encoder gives"):
            IvfIndex().load(tmp_path / "index.faiss", vectors)


@pytest.mark.parametrize("codes", ["sq8", "flat", "pq"])
def test_as_many_lists_are_read_as_give_the_recall_asked_for(codes: str) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    vectors = (centres[rng.integers(40, size=4_001)] + 0.4 * rng.normal(size=(4_001, 16))).astype(np.float32)
    queries = (centres[rng.integers(40, size=60)] + 0.4 * rng.normal(size=(60, 16))).astype(np.float32)
    index = IvfIndex(codes=codes, recall=0.95)
    index.build(vectors, queries)
    exact = np.argsort(-(queries @ vectors[1:].T), axis=1)[:, :100] + 1
    _, found = index.search(queries, 100)
    recall = np.mean([len(set(a) & set(b)) / 100 for a, b in zip(found.tolist(), exact.tolist(), strict=True)])
    assert recall >= 0.95
    assert codes == "pq" or (index.probes or 0) < index.settings()["lists"] / 2


@pytest.mark.parametrize("make", [lambda: IvfIndex(lists=40, probes=12), lambda: HnswIndex(breadth=200)])
def test_where_popularity_makes_some_items_much_longer_little_has_to_be_read(make: Callable[[], Index]) -> None:
    rng = np.random.default_rng(0)
    likes, popularity = rng.normal(size=(4_001, 8)) / 3, rng.exponential(size=(4_001, 1)) - 1
    vectors = np.concatenate([likes, popularity], axis=1).astype(np.float32)
    queries = np.concatenate([2 * rng.normal(size=(60, 8)), np.ones((60, 1))], axis=1).astype(np.float32)
    index = make()
    index.build(vectors)
    assert recall_of(index.search(queries, 100)[1], exact_first(vectors, queries)) >= 0.9


def test_files_from_before_items_were_lifted_are_read(tmp_path: Path) -> None:
    vectors, query = drawn(300), drawn(3, 1)[1:]
    lists = faiss.index_factory(DIM, "IVF6,Flat", faiss.METRIC_INNER_PRODUCT)
    graph = faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT)
    for name, old in (("lists", lists), ("graph", graph)):
        old.train(vectors[1:])
        old.add_with_ids(vectors[1:], np.arange(1, 301)) if name == "lists" else old.add(vectors[1:])
        faiss.write_index(old, str(tmp_path / name))
    for name, index in (("lists", IvfIndex(codes="flat", probes=6)), ("graph", HnswIndex(breadth=400))):
        index.load(tmp_path / name, vectors)
        assert index.search(query, 9)[1].tolist() == expected(vectors, query, 9, np.arange(1, 301))
        moved = vectors.copy()
        moved[5] = 9 * query[0]
        renewed = index.renewed(moved, changed=np.array([5]), gone=np.array([], np.int64))
        assert renewed.search(query, 9)[1].tolist() == expected(moved, query, 9, np.arange(1, 301))


def test_codes_that_four_dimensions_share_take_vectors_of_any_size(tmp_path: Path) -> None:
    vectors, query = (np.random.default_rng(seed).normal(size=(601, 9)).astype(np.float32) for seed in (0, 1))
    vectors[0], rows = 0, np.arange(1, 601)
    index = IvfIndex(codes="pq", lists=6, probes=6, refine=60)
    index.build(vectors)
    assert index.search(query[:5], 7)[1].tolist() == expected(vectors, query[:5], 7, rows)

    index.save(tmp_path / "index.faiss")
    again = IvfIndex(codes="pq", lists=6, probes=6, refine=60)
    again.load(tmp_path / "index.faiss", vectors)
    half = Allowed(np.arange(601) % 2 == 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ivf, "EXACT", 0)
        assert again.search(query[:5], 7, half)[1].tolist() == expected(vectors, query[:5], 7, rows[::2])

    moved = vectors.copy()
    moved[3] = 9 * query[0]
    renewed = again.renewed(moved, changed=np.array([3]), gone=np.array([4]))
    assert renewed.search(query[:5], 7)[1].tolist() == expected(moved, query[:5], 7, rows[rows != 4])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: IvfIndex(codes="sq4"), "sq4.*flat, sq8, pq"),
        (lambda: IvfIndex(recall=1.5), "recall 1.5"),
        (lambda: IvfIndex(lists=-3), "lists -3"),
        (lambda: HnswIndex(links=1), "links 1"),
    ],
)
def test_settings_that_make_no_index_are_refused_by_value(make: Callable[[], Index], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
