"""How long a release of 100,000 items takes until it answers: `python -m tests.benchmark.release_loading [--quick]`.

A recommender of every default part, its index chosen by measuring, is trained for one epoch on a made-up log of about
as many items, half of whose events are about favourites, so that there is something to rank; once (some minutes), and
kept in `outputs/benchmark/large_release`; how well it recommends does not matter here. Then it is read five times:
every file hashed, every part built and checked, one answer for practice, as a server does beside the release it is
about to replace. `--quick`: 5,000 items.
"""

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import hydra
import numpy as np
from rich.console import Console

from recsys.bundle import read_bundle
from recsys.state import Context, History, ShopperState
from tests.benchmark.report import report
from tests.benchmark.synthetic_log import SyntheticLog
from training.loop import run
from training.train import assemble

FOLDER = Path("outputs/benchmark/large_release")
SMALL = ("tracker='null'", "index=auto", "trainer.epochs=1", "evaluation_queries=200", "register=false")


def bundle_of(items: int) -> Path:
    """Trained where it is not there yet."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        recipe = assemble(hydra.compose("train", [*SMALL, f"outputs={FOLDER}-{items}"]))
    # of so many items about a seventh is ever seen
    source = SyntheticLog(rows=28 * items, shoppers=items // 2, item_count=7 * items, habit=0.5)
    return run(replace(recipe, data=source), Console())


def ready(bundle: Path) -> tuple[int, list[float]]:
    """How many items a release has, and how long it took until it had answered, five times."""
    took, items = [], 0
    for _ in range(5):
        began = time.perf_counter()
        recommender = read_bundle(bundle)
        state = ShopperState(History.empty(), Context(at=recommender.data_end))
        recommender.answer([state], counts=[10], rng=np.random.default_rng(0))
        took.append(time.perf_counter() - began)
        items = len(recommender.catalogue.items)
    return items, took


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5,000 items")
    bundle = bundle_of(5_000 if parser.parse_args().quick else 100_000)
    items, took = ready(bundle)
    mib = sum(file.stat().st_size for file in bundle.iterdir()) / 2**20
    figures = {
        "items": items,
        "mib": round(mib, 1),
        "ready_s": round(statistics.median(took), 3),
        "ready_s_longest": round(max(took), 3),
    }
    report("A release until it answers", [figures], figures)


if __name__ == "__main__":
    main()
