"""Sessions like the running one, on real sessions: as good as published kNN, and fast."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.clock import SECOND
from recsys.event import EventType
from recsys.metric.ranking import pessimistic_ranks, reciprocal_rank
from recsys.retrieval.vmis_knn import VMISKNN
from recsys.sequence.histories import Histories
from recsys.state import Context, History, ShopperState

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "diginetica"
CASES = 3_000
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="../shared/data is not here: Diginetica may not be redistributed"),
]


def views(item: np.ndarray, time: np.ndarray) -> History:
    kind = np.full(len(item), EventType.VIEW.code, np.int8)
    return History(item=item.astype(np.int32), type=kind, time=time)


@pytest.fixture(scope="module")
def source() -> VMISKNN:
    lists = pq.read_table(FOLDER / "diginetica.train_sessions.parquet")["items"].combine_chunks()
    start, item = lists.offsets.to_numpy().astype(np.int64), lists.values.to_numpy()
    size = np.diff(start)
    owner = np.repeat(np.arange(len(size)), size)
    instant = (owner * int(size.max()) + np.arange(len(item)) - start[owner]) * SECOND
    shoppers = pa.array([f"{number:06d}" for number in range(len(size))])
    made, items = VMISKNN(), int(item.max()) + 1
    made.fit(Histories(shoppers, start, views(item, instant)), items=items, until=10**18, category=np.zeros(items))
    return made


def test_it_reaches_what_is_published_of_its_kind_and_answers_within_a_few_milliseconds(source: VMISKNN) -> None:
    rows = pq.read_table(FOLDER / "diginetica.test.parquet").take(np.random.default_rng(0).permutation(60_858)[:CASES])
    ranks, taken_s = [], []
    for prefix, target in zip(rows["prefix"].to_pylist(), rows["target"].to_pylist(), strict=True):
        instant = 10**15 + np.arange(len(prefix)) * SECOND
        state = ShopperState(views(np.array(prefix), instant), Context(at=int(instant[-1]) + SECOND))
        begin = time.thread_time()
        found = source.candidates(state, 100)
        taken_s.append(time.thread_time() - begin)
        ranks.append(pessimistic_ranks(found.item, found.score, np.array([target])))
    assert np.mean([rank[0] < 20 for rank in ranks]) > 0.505
    assert np.mean([reciprocal_rank(rank, at=20) for rank in ranks]) > 0.173
    assert np.quantile(taken_s, 0.99) < 0.005
