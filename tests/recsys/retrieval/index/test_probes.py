"""What measuring an index tells."""

import numpy as np

from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.probes import asked_alone, exact_first, recall_of


def test_queries_asked_alone_find_what_they_find_together_and_each_is_timed() -> None:
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(51, 4)).astype(np.float32), rng.normal(size=(6, 4)).astype(np.float32)
    index = FlatIndex()
    index.build(vectors)
    found, took_ms = asked_alone(index, queries, 10)
    assert found.tolist() == index.search(queries, 10)[1].tolist()
    assert recall_of(found, exact_first(vectors, queries, 10)) == 1
    assert took_ms.shape == (6,)
    assert (took_ms > 0).all()

    few = Allowed(np.isin(np.arange(51), [7, 9]))
    found, _ = asked_alone(index, queries, 10, few)
    assert np.sort(found, axis=1).tolist() == [[7, 9]] * 6
