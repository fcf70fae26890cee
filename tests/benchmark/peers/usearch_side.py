"""usearch on the same vectors: `python usearch_side.py FOLDER` with items.npy, queries.npy and exact.npy in it."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from usearch.index import Index

ENOUGH, LINKS = 0.98, 32

folder = Path(sys.argv[1])
items, queries, exact = (np.load(folder / f"{name}.npy") for name in ("items", "queries", "exact"))
count = exact.shape[1]
index = Index(ndim=items.shape[1], metric="ip", dtype="f32", connectivity=LINKS, expansion_add=128, expansion_search=64)
began = time.perf_counter()
index.add(np.arange(1, len(items) + 1), items)  # by all cores
build_s = time.perf_counter() - began
breadth, recall, took = count, 0.0, []
while recall < ENOUGH and breadth < 5_000:
    index.expansion_search = breadth
    took, hits = [], []
    for query, best in zip(queries, exact, strict=True):
        began = time.perf_counter()
        found = index.search(query, count, threads=1).keys
        took.append((time.perf_counter() - began) * 1e3)
        hits.append(len(np.intersect1d(found, best)) / count)
    recall = float(np.mean(hits))
    breadth = breadth if recall >= ENOUGH else breadth * 3 // 2
told = {"recall": recall, "took_ms": took, "breadth": breadth, "build_s": build_s, "bytes": index.memory_usage}
print(json.dumps(told))
