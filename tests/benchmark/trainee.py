"""A model in training, for the benchmarks: the default encoder, loss and optimiser over a loader."""

import gzip
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from recsys.event import EventType
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.sasrec import SASRec
from recsys.protocols import Loss
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.histories import Histories
from recsys.sequence.loader import Loader
from recsys.state import History

DIM, LENGTH, BLOCKS, NEGATIVES = 64, 200, 2, 256
BATCH_TOKENS = 32 * LENGTH
ORDER_ONLY = FeatureSpec(
    max_length=LENGTH,
    query=QueryKind.LAST,
    known_types=(EventType.VIEW,),
    type_alias=EventType.VIEW,
)


def read_movielens(path: Path) -> tuple[Histories, int]:
    """Histories of the file and V; the n-th interaction of a user happens at second n."""
    with gzip.open(path, "rt") as lines:
        pairs = np.loadtxt(lines, dtype=np.int64)
    user, item = pairs[:, 0], pairs[:, 1]
    start = np.append(np.flatnonzero(np.diff(user, prepend=-1)), len(user))
    second = np.arange(len(user)) - np.repeat(start[:-1], np.diff(start)) + 1
    count = len(item)
    events = History(
        item=item,
        type=np.full(count, EventType.VIEW.code, np.int8),
        time=second * 1_000_000,
    )
    return Histories(pa.array(user[start[:-1]].astype(str)), start, events), int(item.max()) + 1


class Trainee:
    """d=64, 2 blocks, by default sampled softmax with 256 negatives; goes on from run to run."""

    def __init__(self, loader: Loader, *, items: int, features: FeatureSpec, loss: Loss | None = None) -> None:
        torch.manual_seed(0)
        self._encoder = SASRec(items=items, features=features, dim=DIM, blocks=BLOCKS, heads=2, dropout=0.2)
        self._loss = loss or SampledSoftmax(negatives=NEGATIVES)
        self._sampler = UniformSampler(popularity=torch.ones(items))
        self._optimizer = torch.optim.Adam(self._encoder.parameters(), lr=1e-3, fused=True)
        self._generator = torch.Generator().manual_seed(0)
        self._batches = endless(loader)

    def run(self, seconds: float) -> float:
        """Tokens (targets) per second over about `seconds`, loading included."""
        tokens, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            batch = next(self._batches)
            negatives = self._sampler.draw(self._loss.negatives, target=batch.pair_target, generator=self._generator)
            value = self._loss(self._encoder(batch), batch, self._encoder.item_vectors, negatives)
            self._optimizer.zero_grad(set_to_none=True)
            value.backward()
            self._optimizer.step()
            tokens += len(batch.pair_target)
        return tokens / (time.perf_counter() - began)


def endless(loader: Loader) -> Iterator[SequenceBatch]:
    """Epoch after epoch."""
    return itertools.chain.from_iterable(loader.epoch(seed=0, epoch=epoch) for epoch in itertools.count())
