"""Finding the nearest of a million: recall, latency, memory, filters, and searches while items change.

    python -m tests.benchmark.retrieval [--quick] [--made-up] [--others] [--alone]

K=100, one thread, one query at a time. The vectors are those of a really trained model (`trained_million`: trained
once, some ten minutes, and kept); `--made-up` takes a published generator instead: 20,000 cluster centres drawn from
N(0, 1/D) per component, items and queries a centre plus N(0, 0.5/D), seed 0. Exact search by FAISS is the truth. An
index is built with half of the queries, which decide how much of it is read for a recall of .985, and judged on the
others. usearch (HNSW, 32 links; in `.venv-peers`, see `make peers`) is asked the same, its breadth raised until it
has .98 too. Filters are random masks of the share given. Updates: 10,000 a second for ten seconds, in batches of 100,
each of one of 20,000 items, while one thread searches; then everything is folded into a new index. `--quick` takes
the first 100,000 items and fewer queries.
"""

import argparse
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import faiss
import numpy as np
import torch

from recsys.protocols import Index
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.hnsw import HnswIndex
from recsys.retrieval.index.ivf import IvfIndex
from recsys.retrieval.index.norm_ranged import NormRangedIndex
from recsys.retrieval.index.probes import exact_first, recall_of
from recsys.retrieval.live import LiveIndex
from tests.benchmark.report import report
from tests.benchmark.trained_million import vectors_and_queries

K, DIM, ITEMS, CENTRES = 100, 64, 1_000_000, 20_000
SHARES = (0.5, 0.05, 0.005, 0.0001)
RATE, SECONDS, DISTINCT, BATCH = 10_000, 10, 20_000, 100
PEERS = Path(".venv-peers/bin/python")
USEARCH = Path(__file__).parent / "peers" / "usearch_side.py"

Search = Callable[[np.ndarray], np.ndarray]


def made_up(items: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Items [V, D], row 0 padding, and queries [Q, D] in clusters."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, DIM**-0.5, (CENTRES, DIM))
    drawn = (
        centres[rng.integers(CENTRES, size=n)] + rng.normal(0, (0.5 / DIM) ** 0.5, (n, DIM))
        for n in (items + 1, queries)
    )
    vectors, asked = (values.astype(np.float32) for values in drawn)
    return vectors, asked


def timed(search: Search, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is found for each query [Q, K], asked one by one, and how long each took in ms [Q]."""
    search(queries[:1])
    found, took = [], []
    for query in queries:
        began = time.perf_counter()
        found.append(search(query[None])[0])
        took.append((time.perf_counter() - began) * 1e3)
    width = max(map(len, found))
    return np.stack([np.pad(row, (0, width - len(row))) for row in found]), np.array(took)


def line(name: str, recall: float, took: np.ndarray, **more: float | str) -> dict[str, object]:
    """For the table."""
    p50, p99 = np.percentile(took, [50, 99])
    return {"index": name, "recall@100": f"{recall:.4f}", "p50 ms": f"{p50:.3f}", "p99 ms": f"{p99:.3f}", **more}


def whole(
    name: str, index: Index, vectors: np.ndarray, tuned: np.ndarray, judged: np.ndarray, exact: np.ndarray
) -> dict[str, object]:
    """One index over everything."""
    began = time.perf_counter()
    index.build(vectors, tuned)
    build_s = time.perf_counter() - began
    found, took = timed(lambda query: index.search(query, K)[1], judged)
    held = (index.nbytes() + vectors.nbytes) / len(vectors)
    return line(name, recall_of(found, exact), took, **{"bytes/item": f"{held:.0f}", "built in s": f"{build_s:.1f}"})


def filtered(index: Index, vectors: np.ndarray, judged: np.ndarray, share: float) -> dict[str, object]:
    """The index where a random share of the items is allowed."""
    mask = np.random.default_rng(1).random(len(vectors)) < share
    mask[0] = False
    allowed, rows = Allowed(mask), np.flatnonzero(mask)
    exact = rows[exact_first(np.concatenate([vectors[:1], vectors[rows]]), judged, K) - 1]
    began = time.perf_counter()
    index.search(judged[:1], K, allowed)
    first_ms = (time.perf_counter() - began) * 1e3
    found, took = timed(lambda query: index.search(query, K, allowed)[1], judged)
    return line(f"{share:.2%} allowed", recall_of(found, exact), took, **{"first search ms": f"{first_ms:.1f}"})


def updated(index: Index, vectors: np.ndarray, judged: np.ndarray) -> dict[str, float]:
    """Searches while items change at `RATE`, and what folding the changes in takes."""
    live = LiveIndex(index, vectors)
    rng = np.random.default_rng(2)
    changing = rng.choice(np.arange(1, len(vectors)), min(DISTINCT, len(vectors) // 2), replace=False)
    stop, took, behind = threading.Event(), [], [0.0]

    def search() -> None:
        place = 0
        while not stop.is_set():
            began = time.perf_counter()
            live.search(judged[place % len(judged)][None], K)
            took.append((time.perf_counter() - began) * 1e3)
            place += 1
            time.sleep(0.001)

    searcher = threading.Thread(target=search)
    searcher.start()
    began = time.perf_counter()
    for number in range(RATE * SECONDS // BATCH):
        due = began + number * BATCH / RATE
        behind.append(time.perf_counter() - due)
        time.sleep(max(0.0, -behind[-1]))
        items = rng.choice(changing, BATCH, replace=False)
        live.put(items, vectors[items] + rng.normal(0, 0.01, (BATCH, vectors.shape[1])).astype(np.float32))
    wrote_s = time.perf_counter() - began
    during = np.array(took)
    folded = time.perf_counter()
    live.compact()
    compaction_s = time.perf_counter() - folded
    stop.set()
    searcher.join()
    after = np.array(took[len(during) :])
    return {
        "upserts_per_s": RATE * SECONDS / wrote_s,
        "search_p50_ms": float(np.percentile(during, 50)),
        "search_p99_ms": float(np.percentile(during, 99)),
        "compaction_s": compaction_s,
        "search_p99_ms_while_compacting": float(np.percentile(after, 99)) if len(after) else 0.0,
        "pending_after": float(live.pending),
    }


def usearch(vectors: np.ndarray, judged: np.ndarray, exact: np.ndarray) -> dict[str, object] | None:
    """The peer's row; None where its environment is missing."""
    if not PEERS.is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, values in (("items", vectors[1:]), ("queries", judged), ("exact", exact)):
            np.save(Path(folder) / f"{name}.npy", values)
        done = subprocess.run([str(PEERS), str(USEARCH), folder], capture_output=True, text=True)
    if done.returncode:
        print(f"usearch cannot be measured: {(done.stderr.strip() or 'it ended early').splitlines()[-1]}")
        return None
    told: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
    more = {"bytes/item": f"{told['bytes'] / len(vectors):.0f}", "built in s": f"{told['build_s']:.1f}"}
    name = f"usearch, HNSW, breadth {told['breadth']:.0f}"
    took = np.array(told["took_ms"])
    return line(name, told["recall"], took, **more)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 items, fewer queries")
    parser.add_argument("--made-up", action="store_true", help="vectors of a generator, not of a model")
    parser.add_argument("--alone", action="store_true", help="without usearch, whose graph takes long to build")
    parser.add_argument("--others", action="store_true", help="inverted lists and HNSW too, which takes minutes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    vectors, queries = made_up(ITEMS, 2_000) if arguments.made_up else vectors_and_queries()
    if arguments.quick:
        vectors, queries = vectors[:100_001], queries[:300]
    vectors = np.ascontiguousarray(vectors)
    tuned, judged = queries[::2][:500], np.ascontiguousarray(queries[1::2][:1_000])
    exact = exact_first(vectors, judged, K)
    main_index = NormRangedIndex()
    kinds: Sequence[tuple[str, Index]] = [
        ("norm-ranged", main_index),
        ("flat", FlatIndex()),
        *([("ivf, sq8", IvfIndex()), ("hnsw", HnswIndex())] if arguments.others else []),
    ]
    rows = [whole(name, index, vectors, tuned, judged, exact) for name, index in kinds]
    report(
        f"{len(vectors) - 1:,} x {vectors.shape[1]}, K={K}, {'made up' if arguments.made_up else 'trained'}", rows, {}
    )
    told = main_index.settings()
    narrowed = [filtered(main_index, vectors, judged[:300], share) for share in SHARES]
    report(
        f"norm-ranged ({told['head']:,} in the head, {told['probes']} of {told['lists']} lists read), filtered",
        narrowed,
        {},
    )
    changed = updated(main_index, vectors, judged)
    report("norm-ranged, while items change", [{name: round(value, 3) for name, value in changed.items()}], {})
    if not (arguments.quick or arguments.alone) and (peer := usearch(vectors, judged, exact)):
        report("the peer, asked the same", [peer], {})
    main_row = rows[0]
    result = {
        "items": len(vectors) - 1,
        "recall": float(str(main_row["recall@100"])),
        "p50_ms": float(str(main_row["p50 ms"])),
        "p99_ms": float(str(main_row["p99 ms"])),
        "filtered_recall": min(float(str(row["recall@100"])) for row in narrowed),
        "filtered_p99_ms": max(float(str(row["p99 ms"])) for row in narrowed),
        **changed,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
