"""Indexes on a GPU, as far as they go without one: the remedy, the form on the CPU, and who answers what."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.bundle import read_bundle, write_bundle
from recsys.errors import BundleError, ConfigError
from recsys.protocols import Index
from recsys.registry import construct, described
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import cagra, file, gpu
from recsys.retrieval.index.cagra import CagraIndex, as_cagra, as_hnsw
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.gpu import Copy, OnGpu
from recsys.retrieval.index.gpu_flat import GpuFlatIndex
from recsys.retrieval.index.gpu_ivf import GpuIvfIndex
from recsys.retrieval.index.hnsw import HnswIndex
from recsys.retrieval.index.ivf import IvfIndex
from recsys.retrieval.index.lifted import flat, lifted, longest
from tests.recsys.retrieval.index.test_every_index import DIM, drawn, expected

MADE: dict[str, tuple[Callable[..., OnGpu[Any]], Callable[[], Index]]] = {
    "flat": (GpuFlatIndex, FlatIndex),
    "ivf": (lambda **more: GpuIvfIndex(lists=6, probes=6, refine=20, **more), lambda: IvfIndex(lists=6, probes=6)),
    "cagra": (lambda **more: CagraIndex(links=16, breadth=400, **more), lambda: HnswIndex(links=16)),
}
"""On a GPU, and what its form on the CPU is."""
EVERY = pytest.mark.parametrize("kind", MADE)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without one, wherever this runs."""
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)


class BesideFlat(GpuFlatIndex):
    """A copy that is on no GPU: FAISS's own exact index, which holds `share` of the items."""

    share = 1.0

    def copied(self) -> Copy:
        held = self.cpu.items[: max(1, int(self.share * len(self.cpu.items)))]
        index = faiss.IndexFlatIP(DIM)
        index.add(faiss.downcast_index(self.cpu.made).reconstruct_n(0, len(held)))
        return Copy(index, held)


def beside_a_gpu(vectors: np.ndarray, path: Path) -> BesideFlat:
    """As it is read where FAISS sees a GPU."""
    flat, index = FlatIndex(), BesideFlat()
    flat.build(vectors)
    flat.save(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gpu, "gpus", lambda: 1)
        index.load(path, vectors)
    return index


@pytest.mark.usefixtures("no_gpu")
@EVERY
def test_building_without_a_gpu_is_refused_with_what_to_install_and_what_to_take_instead(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"pip install 'attune-recsys\[gpu-index\]' && pip uninstall -y faiss-cpu"):
        MADE[kind][0]().build(drawn(300))
    with pytest.raises(ConfigError, match="index=auto"):
        MADE[kind][0]().build(drawn(300))


def test_a_gpu_that_there_is_not_is_refused_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(gpu, "gpus", lambda: 2)
    gpu.insist_gpu(1)
    with pytest.raises(ConfigError, match=r"index\.device is 2, and FAISS .* sees 2 GPUs"):
        gpu.insist_gpu(2)


def test_a_driver_that_is_not_there_means_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise RuntimeError("CUDA error 35")

    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", fails)
    assert gpu.gpus() == 0


@pytest.mark.usefixtures("no_gpu")
@EVERY
def test_what_is_stored_is_the_form_on_the_cpu_and_serves_without_a_gpu(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make, plainly = MADE[kind]
    vectors, query = drawn(300), drawn(3, 7)[1:]
    plain = plainly()
    plain.build(vectors)
    plain.save(tmp_path / "index.faiss")
    told = described(make())
    index = construct(told["class"], told["settings"])
    with caplog.at_level(logging.WARNING):
        index.load(tmp_path / "index.faiss", vectors)
    assert "searched on the CPU" in caplog.text
    assert index.search(query, 9)[1].tolist() == expected(vectors, query, 9, np.arange(1, 301))
    mask = np.arange(301) % 3 == 1
    found = index.search(query, 9, Allowed(mask))[1].tolist()
    assert found == expected(vectors, query, 9, np.flatnonzero(mask))
    index.save(tmp_path / "again.faiss")
    assert (tmp_path / "again.faiss").read_bytes() == (tmp_path / "index.faiss").read_bytes()
    later = np.concatenate([vectors, drawn(2, 3)[1:]])
    other = index.renewed(later, changed=np.array([301, 302]), gone=np.array([7]))
    assert other.search(query, 9)[1].tolist() == expected(later, query, 9, np.setdiff1d(np.arange(1, 303), 7))
    assert (len(index), len(other), type(other)) == (300, 301, type(index))
    assert other.settings() == index.settings()


@pytest.mark.usefixtures("no_gpu")
@EVERY
def test_where_serving_insists_on_a_gpu_loading_without_one_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gpu-index"):
        MADE[kind][0](gpu_to_serve=True).load(tmp_path / "index.faiss", drawn(3))


@pytest.mark.usefixtures("no_gpu")
def test_a_bundle_made_beside_a_gpu_answers_without_one(tiny_bundle: Path, tmp_path: Path) -> None:
    recommender = read_bundle(tiny_bundle)
    vectors = recommender.encoder.item_vectors().detach().numpy()
    index = GpuFlatIndex()
    index.load(tiny_bundle / "index.faiss", vectors)
    write_bundle(replace(recommender, index=index), tmp_path / "made", metrics={})
    assert read_bundle(tmp_path / "made").recommend(["item-003"]).items == recommender.recommend(["item-003"]).items
    index.gpu_to_serve = True
    write_bundle(replace(recommender, index=index), tmp_path / "insists", metrics={})
    with pytest.raises(BundleError, match="gpu-index"):
        read_bundle(tmp_path / "insists")


@settings(deadline=None, max_examples=60)
@given(
    items=st.integers(1, 300),
    count=st.integers(1, 40),
    share=st.sampled_from([None, 0.0, 0.03, 0.45, 0.6, 0.9, 1.0]),
    held=st.sampled_from([1.0, 0.5]),
    seed=st.integers(0, 9),
)
def test_whoever_answers_the_best_of_what_is_allowed_come_back(
    tmp_path_factory: pytest.TempPathFactory, items: int, count: int, share: float | None, held: float, seed: int
) -> None:
    vectors, query = drawn(items, seed), drawn(2, seed + 100)[1:]
    mask = np.random.default_rng(seed).random(items + 1) < (1.0 if share is None else share)
    mask[0] = False
    index = beside_a_gpu(vectors, tmp_path_factory.mktemp("index") / "index.faiss")
    allowed, rows = (None if share is None else Allowed(mask)), np.flatnonzero(mask)
    scores, found = index.search(query, count, allowed)
    assert found.tolist() == expected(vectors, query, min(count, len(rows)), rows)
    np.testing.assert_allclose(scores, np.einsum("bkd,bd->bk", vectors[found], query), rtol=1e-4, atol=1e-4)
    index.share = held
    index.follow(index, vectors)
    assert index.search(query, items, allowed)[1].tolist() == expected(vectors, query, len(rows), rows)


class Asked:
    """FAISS's side of a search: counts how often it is asked, and fails where two ask at once."""

    d = DIM

    def __init__(self) -> None:
        self.times, self._busy = 0, threading.Event()

    def search(self, query: np.ndarray, count: int, params: Any) -> tuple[np.ndarray, np.ndarray]:
        assert not self._busy.is_set()
        self._busy.set()
        self.times += 1
        threading.Event().wait(0.002)
        self._busy.clear()
        return np.zeros((len(query), count)), np.full((len(query), count), -1)


def test_a_gpu_is_asked_by_one_at_a_time_and_only_for_what_it_can_do(tmp_path: Path) -> None:
    asked = Asked()
    copy = Copy(asked, np.arange(5))
    threads = [threading.Thread(target=copy.search, args=(np.ones((1, DIM)), 3)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked.times == 8
    index = beside_a_gpu(drawn(3_000), tmp_path / "index.faiss")
    index._copy = copy
    for count, allowed in ((2_500, None), (5, Allowed(np.arange(3_001) % 3 == 1))):
        assert (index.search(np.ones((1, DIM), np.float32), count, allowed)[1] > 0).all()
    assert asked.times == 8


def test_a_copy_of_lifted_items_is_asked_with_queries_that_are_as_long() -> None:
    vectors, query = drawn(300), drawn(3, 7)[1:]
    lists, graph = IvfIndex(codes="flat", lists=6, probes=6), HnswIndex(links=16, breadth=400)
    lists.build(vectors)
    graph.build(vectors)
    of_lists = Copy(lists.made, np.arange(lists.size), params=lambda count: file.reading(6))
    of_graph = Copy(graph.made, graph.items, params=lambda count: file.walking(400))
    for copy in (of_lists, of_graph):
        assert copy.search(query, 9).tolist() == expected(vectors, query, 9, np.arange(1, 301))


def test_a_graph_in_cagra_s_form_becomes_a_plain_one_and_back_and_finds_the_same(tmp_path: Path) -> None:
    vectors, query = drawn(400), drawn(3, 7)[1:]
    made: Any = faiss.IndexHNSWCagra(DIM + 1, 16, faiss.METRIC_INNER_PRODUCT)
    made.add(lifted(vectors[1:], DIM + 1, length=longest(vectors[1:])))
    asked = flat(query, DIM + 1)
    found = made.search(asked, 10, params=faiss.SearchParametersHNSW(efSearch=400))[1] + 1
    plain = as_hnsw(made)
    index = HnswIndex(links=16, breadth=400)
    index.take(plain, vectors, np.arange(1, 401))
    index.save(tmp_path / "index.faiss")
    again = HnswIndex(links=16, breadth=400)
    again.load(tmp_path / "index.faiss", vectors)
    assert again.search(query, 10)[1].tolist() == index.search(query, 10)[1].tolist() == found.tolist()
    back = as_cagra(plain)
    del plain, index
    assert back.search(asked, 10, params=faiss.SearchParametersHNSW(efSearch=400))[1].tolist() == (found - 1).tolist()


def test_settings_that_no_gpu_takes_are_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="take flat or sq8, or index=ivf"):
        GpuIvfIndex(codes="pq")
    with pytest.raises(ConfigError, match=r"candidates is 40; give at least 64"):
        CagraIndex(candidates=40)
    monkeypatch.setattr(cagra, "insist_gpu", lambda device: None)
    with pytest.raises(ConfigError, match="there are 100 items; take index=gpu_flat"):
        CagraIndex().build(drawn(100))
