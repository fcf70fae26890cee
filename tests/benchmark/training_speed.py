"""Training speed beside RecTools' SASRec, in turns within one run.

    make peers
    python -m tests.benchmark.training_speed --data FOLDER [--quick]

ML-1M, d=64, L=200, 2 blocks, sampled softmax with 256 negatives, 2 threads. A token is an interaction that the model
reads and predicts from; padding does not count, on either side. FOLDER holds `ml-1m.txt.gz`: lines of `user item` in
order of time (the file of the SASRec repository). Both sides stay in memory; each round gives each of them a few
seconds, the other one idle, and the ratio is taken round by round.
"""

import argparse
import gzip
import itertools
import json
import statistics
import subprocess
import sys
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
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.histories import Histories
from recsys.sequence.loader import Loader
from recsys.state import History
from tests.benchmark.report import report

PEER_PYTHON = Path(".venv-peers/bin/python")
PEER = Path(__file__).parent / "peers" / "rectools_sasrec.py"
DIM, LENGTH, BLOCKS, NEGATIVES = 64, 200, 2, 256
BATCH_TOKENS = 32 * LENGTH


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


class Attune:
    """Our side: the default encoder, loss and loader."""

    def __init__(self, data: Path) -> None:
        histories, items = read_movielens(data)
        features = FeatureSpec(
            max_length=LENGTH,
            query=QueryKind.LAST,
            calendar=False,
            known_types=(EventType.VIEW,),
            type_alias=EventType.VIEW,
        )
        torch.manual_seed(0)
        self._encoder = SASRec(items=items, features=features, dim=DIM, blocks=BLOCKS, heads=2, dropout=0.2)
        self._loss = SampledSoftmax(negatives=NEGATIVES)
        self._sampler = UniformSampler(items - 1)
        self._optimizer = torch.optim.Adam(self._encoder.parameters(), lr=1e-3, fused=True)
        self._generator = torch.Generator().manual_seed(0)
        loader = Loader.of(histories, features, batch_tokens=BATCH_TOKENS, context=0)
        self._batches: Iterator[SequenceBatch] = itertools.chain.from_iterable(
            loader.epoch(seed=0, epoch=epoch) for epoch in itertools.count()
        )

    def run(self, seconds: float) -> float:
        """Tokens per second over about `seconds`, loading included."""
        tokens, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            batch = next(self._batches)
            negatives = self._sampler.draw(NEGATIVES, self._generator)
            value = self._loss(self._encoder(batch), batch, self._encoder.item_vectors, negatives)
            self._optimizer.zero_grad(set_to_none=True)
            value.backward()
            self._optimizer.step()
            tokens += len(batch.pair_target)
        return tokens / (time.perf_counter() - began)


class Peer:
    """RecTools in its own environment; steps when told to."""

    def __init__(self, data: Path) -> None:
        self._process = subprocess.Popen(
            [str(PEER_PYTHON), str(PEER), str(data), "--loss", "sampled", "--resident"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, steps: int) -> float:
        """Tokens per second over `steps` batches."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"run {steps}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                answer = json.loads(line)
                if "tokens_per_s" in answer:
                    return float(answer["tokens_per_s"])
        raise RuntimeError(f"the peer ended with status {self._process.wait()} before it answered")

    def close(self) -> None:
        """End the peer."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ml-1m"), help="folder of ml-1m.txt.gz")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    arguments = parser.parse_args()
    file = arguments.data / "ml-1m.txt.gz"
    if not file.is_file():
        sys.exit(f"{file} is missing; name the folder that holds it with --data")
    if not PEER_PYTHON.is_file():
        sys.exit(f"{PEER_PYTHON} is missing; build the peers' environment with: make peers")
    torch.set_num_threads(2)
    rounds, seconds, steps = (3, 3.0, 1) if arguments.quick else (7, 10.0, 3)
    ours, peer = Attune(file), Peer(file)
    try:
        ours.run(seconds / 2)
        peer.run(1)
        pairs = [(ours.run(seconds), peer.run(steps)) for _ in range(rounds)]
    finally:
        peer.close()
    own = statistics.median(mine for mine, _ in pairs)
    theirs = statistics.median(other for _, other in pairs)
    ratio = statistics.median(mine / other for mine, other in pairs)
    rows = [
        {"trainer": "Attune SASRec", "tokens/s": round(own), "times RecTools": ratio},
        {"trainer": "RecTools 0.19 SASRec", "tokens/s": round(theirs), "times RecTools": 1.0},
    ]
    result = {"sampled_vs_rectools": ratio, "full_vs_rectools": None, "tokens_per_s": own, "rounds": rounds}
    report("ML-1M, d=64, L=200, sampled softmax with 256 negatives", rows, result)


if __name__ == "__main__":
    main()
