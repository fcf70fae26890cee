"""What reading a shopper costs, by the ways there are to run the encoder: `python -m tests.benchmark.encoding BUNDLE`.

Shoppers come back after every event, from 25 events on to 49; each time their query vector is asked, alone and in
batches of 32. Eager, compiled (`torch.compile`) and exported (`torch.export`, compiled ahead of time by
AOTInductor) the history is read as a whole; the incremental way reads only what is new. One thread, in turns, the whole
of `Recommender.encode` from states to vectors. Compiling wants a C++ compiler on the machine that serves.

| key | meaning |
|---|---|
| alone_ms, together_ms | per way: median per shopper, one at a time and in batches of 32 |
| difference | per way: the largest difference of any vector's element from the eager one |
| prepared_s | per way: what had to be done before the first answer |
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from recsys.bundle import read_bundle
from recsys.clock import MINUTE
from recsys.event import EventType
from recsys.recommender import Recommender
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.question import question_batch
from recsys.state import Context, History, ShopperState
from tests.benchmark.report import report

TOGETHER = 32
Encode = Callable[[Sequence[ShopperState]], np.ndarray]
_TENSORS = ("item", "type", "time", "position", "valid", "is_query", "query", "pair_query", "pair_target")


class Unpacked(nn.Module):
    """The encoder with the batch's tensors for arguments, as an exported program wants them."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tensors: dict[str, Tensor], features: dict[str, Tensor]) -> Tensor:
        """Query vectors [Q, D]."""
        found: Tensor = self.encoder(SequenceBatch(**tensors, features=features, ordered=False))
        return found


def visits(items: int, at: int, *, shoppers: int) -> list[list[ShopperState]]:
    """For every visit, the states of all shoppers; each visit knows one event more."""
    rng = np.random.default_rng(0)
    item = rng.integers(1, items, (shoppers, 50))
    time_of = at - MINUTE * np.arange(50, 0, -1)
    return [
        [
            ShopperState(
                History(item=row[:known], type=np.full(known, EventType.PURCHASE.code, np.int8), time=time_of[:known]),
                Context(at=int(time_of[known - 1]) + 1),
                shopper=f"shopper-{number}",
            )
            for number, row in enumerate(item)
        ]
        for known in range(25, 50)
    ]


def ways(recommender: Recommender, example: Sequence[ShopperState], folder: Path) -> dict[str, tuple[Encode, float]]:
    """Every way, and the seconds it took to get ready."""
    features, encoder = recommender.features, recommender.encoder
    assert isinstance(encoder, nn.Module)
    encoder.eval()

    def whole(run: Callable[[SequenceBatch], Tensor]) -> Encode:
        def encode(states: Sequence[ShopperState]) -> np.ndarray:
            with torch.inference_mode():
                return run(question_batch(list(states), features)).numpy()

        return encode

    began = time.perf_counter()
    compiled = whole(torch.compile(encoder, dynamic=True))
    for count in (1, 2, TOGETHER):
        compiled(example[:count])
    compile_s = time.perf_counter() - began
    began = time.perf_counter()
    exported = whole(_ahead_of_time(encoder, question_batch(list(example), features), folder))
    exported(example)
    export_s = time.perf_counter() - began
    incremental = recommender.remembering()
    return {
        "eager": (replace(recommender, reader=None).encode, 0.0),
        "compiled": (compiled, compile_s),
        "exported": (exported, export_s),
        "incremental": (incremental.encode, 0.0),
    }


def _ahead_of_time(encoder: nn.Module, batch: SequenceBatch, folder: Path) -> Callable[[SequenceBatch], Tensor]:
    rows, length = (torch.export.Dim(name, min=1, max=4_096) for name in ("rows", "length"))
    across = {0: rows, 1: length}
    shapes = {
        "tensors": {name: across if getattr(batch, name).dim() == 2 else None for name in _TENSORS},
        "features": dict.fromkeys(batch.features, across),
    }
    shapes["tensors"] |= {"query": {0: rows}}  # one question each
    with torch.inference_mode():
        program = torch.export.export(
            Unpacked(encoder), kwargs=_arguments(batch), args=(), dynamic_shapes=shapes, strict=False
        )
        package = torch._inductor.aoti_compile_and_package(program, package_path=str(folder / "encoder.pt2"))
    run = torch._inductor.aoti_load_package(package)
    return lambda asked: run(**_arguments(asked))


def _arguments(batch: SequenceBatch) -> dict[str, Mapping[str, Tensor]]:
    return {"tensors": {name: getattr(batch, name) for name in _TENSORS}, "features": dict(batch.features)}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--quick", action="store_true", help="2 rounds in place of 8")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recommender = read_bundle(arguments.bundle)
    asked = visits(recommender.catalogue.size, recommender.data_end, shoppers=TOGETHER)
    with tempfile.TemporaryDirectory() as folder:
        contestants = ways(recommender, asked[0], Path(folder))
        alone: dict[str, list[float]] = {name: [] for name in contestants}
        together: dict[str, list[float]] = {name: [] for name in contestants}
        apart = dict.fromkeys(contestants, 0.0)
        for _ in range(2 if arguments.quick else 8):
            for states in asked:
                known = contestants["eager"][0](states)
                for name, (encode, _) in contestants.items():
                    began = time.perf_counter()
                    found = encode(states)
                    together[name].append((time.perf_counter() - began) / len(states))
                    apart[name] = max(apart[name], float(np.abs(found - known).max()))
            for states in asked:
                for name, (encode, _) in contestants.items():
                    began = time.perf_counter()
                    encode(states[:1])
                    alone[name].append(time.perf_counter() - began)
    result = {
        name: {
            "alone_ms": round(median(alone[name]) * 1e3, 3),
            "together_ms": round(median(together[name]) * 1e3, 3),
            "difference": apart[name],
            "prepared_s": round(prepared_s, 1),
        }
        for name, (_, prepared_s) in contestants.items()
    }
    rows = [{"way": name, **one} for name, one in result.items()]
    report(f"reading a shopper, {TOGETHER} at once or alone", rows, result)


if __name__ == "__main__":
    main()
