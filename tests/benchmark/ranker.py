"""What ordering 200 candidates by the learnt ranker takes: `python -m tests.benchmark.ranker BUNDLE [--quick]`.

The bundle has to have a ranker. Shoppers are made up: each bought 200 items of the catalogue at random over a year;
what the bundle's sources and encoder propose to them is cut to 200 items. One thread, one shopper at a time.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from recsys.bundle import read_bundle
from recsys.clock import DAY
from recsys.event import EventType
from recsys.runs import distinct
from recsys.shoppers import Shoppers
from recsys.slate import Candidates
from recsys.state import Context, History, ShopperState
from tests.benchmark.report import report
from tests.recsys.by_hand import candidates_of_one

CANDIDATES, BOUGHT = 200, 200


def shopper(items: int, at: int, rng: np.random.Generator) -> ShopperState:
    """Somebody who bought things on a hundred days."""
    days = np.sort(rng.choice(365, 100, replace=False)).repeat(BOUGHT // 100)
    bought = History(
        item=rng.integers(1, items, BOUGHT),
        type=np.full(BOUGHT, EventType.PURCHASE.code, np.int8),
        time=at - (366 - days) * DAY,
    )
    return ShopperState(bought, Context(at=at))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--quick", action="store_true", help="20 shoppers in place of 200")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recommender = read_bundle(arguments.bundle)
    ranker = recommender.ranker
    if ranker is None:
        sys.exit(f"{arguments.bundle} has no ranker: it did not win against the blend; give another bundle")
    rng = np.random.default_rng(0)
    took: list[float] = []
    for _ in range(20 if arguments.quick else 200):
        state = shopper(recommender.catalogue.size, recommender.data_end, rng)
        (encoder,) = recommender.retrieve([state])
        gathered = recommender.blend.gather(state, encoder)
        every = distinct(np.concatenate([found.item for found in gathered.values()]))
        item = np.sort(rng.choice(every, min(CANDIDATES, len(every)), replace=False))
        cut = {
            name: Candidates(found.item[kept], found.score[kept])
            for name, found in gathered.items()
            if (kept := np.isin(found.item, item)).any()
        }
        mixed = candidates_of_one(item, cut)
        for _ in range(3):  # the last is counted: caches as warm as a server's
            began = time.perf_counter()
            ranker.chances(Shoppers([state]), mixed)
            spent = (time.perf_counter() - began) * 1e3
        took.append(spent)
    p50, p99 = np.percentile(took, [50, 99])
    figures = {"candidates": CANDIDATES, "p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}
    report("The ranker, one shopper", [figures], figures)


if __name__ == "__main__":
    main()
