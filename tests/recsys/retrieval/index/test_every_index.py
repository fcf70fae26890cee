"""Every index, held against a matrix product: whole, filtered, renewed, from its file."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import BundleError, ConfigError
from recsys.protocols import Index
from recsys.registry import construct, described
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import ivf, norm_ranged
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.hnsw import HnswIndex
from recsys.retrieval.index.ivf import IvfIndex
from recsys.retrieval.index.norm_ranged import NormRangedIndex
from recsys.retrieval.index.probes import exact_first, recall_of

DIM = 8
MADE: dict[str, Callable[[], Index]] = {
    "flat": FlatIndex,
    "ivf, flat": lambda: IvfIndex(codes="flat", lists=6, probes=6),
    "ivf, sq8": lambda: IvfIndex(codes="sq8", lists=6, probes=6, refine=20),
    "hnsw": lambda: HnswIndex(links=150, breadth=400, build_breadth=300),
    "norm-ranged": lambda: NormRangedIndex(lists=6, probes=6, refine=400),
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
        patched.setattr(norm_ranged, "EXACT", exact_up_to)
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
    with pytest.raises(BundleError, match=r"noise is not a (FAISS|norm-ranged) index"):
        make().load(tmp_path / "noise", drawn(3))
    faiss.write_index(faiss.IndexLSH(DIM, 16), str(tmp_path / "lsh"))
    with pytest.raises(BundleError, match=r"lsh is not a (FAISS index \(it begins with b'IxHe'\)|norm-ranged index)"):
        make().load(tmp_path / "lsh", drawn(3))


@EVERY
def test_a_query_that_tells_nothing_gets_as_many_items_as_asked_for(make: Callable[[], Index]) -> None:
    index = make()
    index.build(drawn(60))
    scores, found = index.search(np.zeros((2, DIM), np.float32), 9)
    assert [len(set(row)) for row in found.tolist()] == [9, 9]
    assert found.min() > 0
    assert scores.tolist() == [[0] * 9] * 2


@EVERY
def test_vectors_that_are_not_those_of_the_index_are_refused(make: Callable[[], Index], tmp_path: Path) -> None:
    index = make()
    index.build(drawn(30))
    index.save(tmp_path / "index.faiss")
    for vectors, words in ((drawn(29), "29 of 8"), (drawn(30)[:, :6], "30 of 6")):
        told = f"holds 30 vectors of (8|9|16), and the encoder gives {words}|its lists are of longer vectors"
        with pytest.raises(BundleError, match=told):
            make().load(tmp_path / "index.faiss", vectors)


@pytest.mark.parametrize(
    ("dim", "words"),
    [(6, "its lists are of longer vectors"), (9, "its codes span more than the vectors"), (16, "16 of 16, lifted 32")],
)
def test_codes_of_vectors_of_another_size_are_refused_though_both_fill_whole_steps(
    dim: int, words: str, tmp_path: Path
) -> None:
    vectors = np.random.default_rng(0).normal(size=(17, 16)).astype(np.float32)
    index = IvfIndex(codes="sq8", lists=2, probes=2)
    index.build(vectors[:, :8])
    index.save(tmp_path / "index.faiss")
    IvfIndex(codes="sq8").load(tmp_path / "index.faiss", vectors[:, :8] * (1 + 1e-5))
    with pytest.raises(BundleError, match=words):
        IvfIndex(codes="sq8").load(tmp_path / "index.faiss", vectors[:, :dim])


@pytest.mark.parametrize("kind", ["flat", "ivf, flat", "hnsw"])
def test_an_index_that_keeps_other_vectors_than_the_encoder_gives_is_refused(kind: str, tmp_path: Path) -> None:
    vectors = drawn(30)
    index = MADE[kind]()
    index.build(vectors)
    index.save(tmp_path / "index.faiss")
    vectors[1:] *= 1 + 1e-5  # another machine's rounding
    MADE[kind]().load(tmp_path / "index.faiss", vectors)
    vectors[17, 3] += 0.1
    with pytest.raises(BundleError, match=r"its vectors are not those of weights\.safetensors"):
        MADE[kind]().load(tmp_path / "index.faiss", vectors)


@pytest.mark.parametrize(("number", "to"), [(0, -9.0), (DIM, -1.0), (16, 9.0), (16, -9.0), (15, 1.0), (31, 1.0)])
def test_codes_that_span_more_than_the_vectors_are_refused(number: int, to: float, tmp_path: Path) -> None:
    vectors = drawn(30)
    index = IvfIndex(codes="sq8", lists=2, probes=2)
    index.build(vectors)
    index.save(tmp_path / "index.faiss")
    content = (tmp_path / "index.faiss").read_bytes()
    spans = faiss.vector_to_array(index.made.sq.trained)
    assert len(spans) == 2 * 16
    at = content.index(spans.tobytes()) + 4 * number
    (tmp_path / "index.faiss").write_bytes(content[:at] + struct.pack("<f", to) + content[at + 4 :])
    with pytest.raises(BundleError, match="its codes span more than the vectors"):
        IvfIndex(codes="sq8").load(tmp_path / "index.faiss", vectors)


def test_lists_without_the_vectors_they_were_built_of_are_refused(tmp_path: Path) -> None:
    index = IvfIndex(lists=2, probes=1)
    index.build(drawn(30))
    index.save(tmp_path / "index.faiss")
    with pytest.raises(BundleError, match="only be read with the vectors"):
        IvfIndex().load(tmp_path / "index.faiss")


@pytest.mark.parametrize("dim", [4, 5, 17])
def test_product_codes_serve_vectors_of_any_size(dim: int, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(301, dim)).astype(np.float32)
    index = IvfIndex(codes="pq", lists=6, probes=6, refine=300)
    index.build(vectors)
    later = np.concatenate([vectors, -vectors[1:3]])
    other = index.renewed(later, changed=np.array([301, 302]), gone=np.array([7]))
    index.save(tmp_path / "index.faiss")
    again = IvfIndex(codes="pq", lists=6, probes=6, refine=300)
    again.load(tmp_path / "index.faiss", vectors)
    query, mask = -vectors[1:4], np.arange(303) % 3 > 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ivf, "EXACT", 0)
        for one, held, rows in (
            (again, vectors, np.arange(1, 301)),
            (other, later, np.setdiff1d(np.arange(1, 303), 7)),
        ):
            assert one.search(query, 9)[1].tolist() == expected(held, query, 9, rows)
            found = one.search(query, 9, Allowed(mask[: len(held)]))[1].tolist()
            assert found == expected(held, query, 9, rows[mask[rows]])


def test_product_codes_for_fewer_items_than_they_learn_from_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="learns from 256 items or more, not 200; take flat or sq8"):
        IvfIndex(codes="pq").build(drawn(200))


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


@pytest.mark.parametrize("kind", ["ivf, flat", "hnsw"])
def test_a_file_of_vectors_that_were_not_lifted_is_refused_with_the_size_that_they_need(
    kind: str, tmp_path: Path
) -> None:
    vectors = drawn(300)
    bare: Any = (
        faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT)
        if kind == "hnsw"
        else faiss.index_factory(DIM, "IVF6,Flat", faiss.METRIC_INNER_PRODUCT)
    )
    bare.train(vectors[1:])
    bare.add(vectors[1:])
    faiss.write_index(bare, str(tmp_path / "index.faiss"))
    with pytest.raises(BundleError, match="holds 300 vectors of 8, and the encoder gives 300 of 8, lifted 9"):
        MADE[kind]().load(tmp_path / "index.faiss", vectors)


@pytest.mark.parametrize("kind", ["ivf, flat", "hnsw"])
@pytest.mark.parametrize("lift", [0.0, -1.0, 100.0, np.nan, np.inf])
def test_a_length_that_was_lifted_to_another_is_refused(kind: str, lift: float, tmp_path: Path) -> None:
    vectors = drawn(30)
    index: Any = MADE[kind]()
    index.build(vectors)
    index.save(tmp_path / "index.faiss")
    shortest = vectors[1 + np.argmin(np.linalg.norm(vectors[1:], axis=1))]
    content = (tmp_path / "index.faiss").read_bytes()
    at = content.index(shortest.tobytes()) + 4 * DIM
    (lacking,) = struct.unpack("<f", content[at : at + 4])
    assert lacking**2 == pytest.approx((vectors[1:] ** 2).sum(1).max() - (shortest**2).sum(), rel=1e-5)
    changed = struct.pack("<f", -lacking if lift == -1 else lift)
    (tmp_path / "index.faiss").write_bytes(content[:at] + changed + content[at + 4 :])
    with pytest.raises(BundleError, match=r"its vectors are not those of weights\.safetensors"):
        MADE[kind]().load(tmp_path / "index.faiss", vectors)


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
