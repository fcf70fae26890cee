"""A catalogue of a million items trained on two cores: speed and memory of the whole loop.

    python -m tests.benchmark.catalogue_scale [--quick]

SASRec, d=64, L=50, 2 blocks, sampled softmax with 256 negatives, optimizer=rowwise_adam with tower.sparse=true, 2
threads, through `SingleTrainer` as a run goes: clipping, a one-cycle schedule, checkpoints, the best weights kept.
Sequences are made up: items by a Zipf law over the catalogue, lengths geometric. A token is an interaction that is
predicted from those before it; padding does not count. Speed is the best epoch's, with checkpoints (which the wall time
holds) left out; peak memory is the process's own maximum (VmHWM), checkpoints and everything else included.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from recsys.event import EventType
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.sasrec import SASRec
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.histories import Histories
from recsys.sequence.loader import Loader
from recsys.state import History
from recsys.tower.id import Id
from tests.benchmark.report import report
from tests.benchmark.sequences import peak_gib
from training.checkpoint import Checkpoints
from training.optimizer.rowwise_adam import RowwiseAdam
from training.schedule.one_cycle import OneCycle
from training.trainer.single import SingleTrainer

ITEMS, DIM, LENGTH, NEGATIVES, MEAN_LENGTH = 1_000_000, 64, 50, 256, 20
FEATURES = FeatureSpec(
    max_length=LENGTH,
    query=QueryKind.LAST,
    known_types=(EventType.VIEW,),
    type_alias=EventType.VIEW,
)


@dataclass
class Timed:
    """A watch that keeps the figures of every epoch and when it ended."""

    rates: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def validate(self) -> float:
        return 0.0

    def said(self, line: str) -> None:
        print(line)

    def epoch_began(self, *, epoch: int, epochs: int, steps: int, taken: int) -> None:
        print(f"epoch {epoch + 1}/{epochs}, {steps} steps ...")

    def stepped(self, *, loss: float, tokens_per_s: float, waiting: float) -> None:
        pass

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, waiting: float, quality: float) -> None:
        self.rates.append(tokens_per_s)
        self.waiting.append(waiting)
        self.losses.append(loss)

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        pass


def sequences(tokens: int, seed: int = 0) -> Histories:
    """Made-up histories of about `tokens` events; the n-th event of a shopper happens at second n."""
    rng = np.random.default_rng(seed)
    length = np.clip(rng.geometric(1 / MEAN_LENGTH, tokens // MEAN_LENGTH), 2, 4 * LENGTH)
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    count = int(start[-1])
    item = ((ITEMS - 1) ** rng.random(count)).astype(np.int64)  # share of rank r falls as 1 / r
    spread = rng.permutation(ITEMS - 1)  # ranks lie anywhere in the table
    second = np.arange(count) - np.repeat(start[:-1], length) + 1
    events = History(
        item=spread[item - 1] + 1,
        type=np.full(count, EventType.VIEW.code, np.int8),
        time=second * 1_000_000,
    )
    return Histories(pa.array(np.arange(len(length)).astype(str)), start, events)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sequences")
    quick = parser.parse_args().quick
    torch.set_num_threads(2)
    torch.manual_seed(0)
    trainer = SingleTrainer(epochs=2 if quick else 4, batch_tokens=6_400, context_tokens=10, device="cpu")
    histories = sequences(100_000 if quick else 1_500_000)
    loader = Loader.of(histories, FEATURES, batch_tokens=trainer.batch_tokens, context=trainer.context_tokens)
    encoder = SASRec(items=ITEMS, features=FEATURES, dim=DIM, blocks=2, heads=2, dropout=0.2, tower=Id(sparse=True))
    watch, began = Timed(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(
            encoder,
            loader,
            loss=SampledSoftmax(negatives=NEGATIVES),
            sampler=UniformSampler(popularity=torch.ones(ITEMS)),
            optimizer=RowwiseAdam(learning_rate=2e-3),
            schedule=OneCycle(),
            seed=0,
            watch=watch,
            checkpoints=Checkpoints(Path(folder) / "checkpoints", recipe="catalogue_scale"),
        )
    wall_s = time.perf_counter() - began
    read = int((loader.windows.end - loader.windows.begin).sum())
    predicted = (len(loader.tokens.item) - len(histories)) / read  # all but the first of each sequence, once
    rows = [
        {"epoch": str(number), "tokens/s": round(rate * predicted), "waiting for data": f"{waited:.1%}", "loss": loss}
        for number, (rate, waited, loss) in enumerate(zip(watch.rates, watch.waiting, watch.losses, strict=True), 1)
    ]
    report(
        f"{ITEMS:,} items, d={DIM}; {wall_s:.0f} s with checkpoints, {peak_gib():.2f} GiB at most",
        rows,
        {"items": ITEMS, "tokens_per_s": max(watch.rates) * predicted, "peak_gib": peak_gib(), "wall_s": wall_s},
    )


if __name__ == "__main__":
    main()
