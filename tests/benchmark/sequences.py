"""From a written log to training batches: what each step takes, and how much memory at most.

    python -m tests.benchmark.sequences LOG

LOG is a log folder; `python -m tests.benchmark.ingest` runs this on the log it has written. A fresh process surveys the
log, gathers the histories, writes the training stream with the default features, cuts windows and reads batches for ten
seconds. Peak memory is the process's own maximum, pages of mapped files included. A whole training needs more: its
statistics of the crowd hold the log's interactions in memory.
"""

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from recsys.catalogue import Catalogue
from recsys.event import INTERACTIONS
from recsys.feature.spec import FeatureSpec
from recsys.log.reader import EventLog
from recsys.sequence.coding import Coding
from recsys.sequence.gather import gather
from recsys.sequence.histories import NEVER
from recsys.sequence.loader import Loader
from recsys.sequence.stored import stored_stream
from recsys.sequence.survey import Survey
from recsys.target.next_moment import NextMoment
from tests.benchmark.report import report

_SECONDS = 10.0
Result = TypeVar("Result")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="a log folder")
    log = EventLog(parser.parse_args().log)
    cache = log.cache_folder / "benchmark"
    shutil.rmtree(cache, ignore_errors=True)
    try:
        _measure(log, cache)
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def _measure(log: EventLog, cache: Path) -> None:
    rows: list[dict[str, object]] = []

    def timed(step: str, work: Callable[[], Result]) -> Result:
        began = time.perf_counter()
        result = work()
        rows.append({"step": step, "seconds": time.perf_counter() - began, "peak GiB so far": peak_gib()})
        return result

    survey = timed("survey", lambda: Survey.of(log, until=None))
    catalogue = Catalogue.of_table(log.items(), survey.items.to_pylist())
    coding = Coding(catalogue, survey.channels, survey.devices)
    histories = timed("histories", lambda: gather(log, survey, coding, cache / "histories-1", lookback=1_000))
    types = tuple(kind for kind in survey.types if kind in INTERACTIONS)
    features = FeatureSpec(known_types=types, token=("gap", "hour", "weekday"))
    until = np.broadcast_to(np.int64(NEVER), len(histories))
    folder = cache / "stream-1"
    stream, asked_from = timed(
        "token stream", lambda: stored_stream(histories, features, NextMoment(), until=until, folder=folder)
    )
    loader = timed(
        "windows", lambda: Loader.over(stream, features, batch_tokens=3_200, context=50, asked_from=asked_from)
    )
    batches = timed("order of an epoch", lambda: loader.batches(seed=0, epoch=0))
    tokens, began = 0, time.perf_counter()
    for chosen in batches:
        tokens += len(loader.load(chosen).pair_target)
        if time.perf_counter() - began > _SECONDS:
            break
    rate = tokens / (time.perf_counter() - began)
    rows.append({"step": f"batches ({rate:,.0f} tokens/s)", "seconds": _SECONDS, "peak GiB so far": peak_gib()})
    building = sum(float(str(row["seconds"])) for row in rows[:3])
    report(
        f"{survey.events:,} events of {len(histories):,} shoppers to training batches",
        rows,
        {
            "events": survey.events,
            "tokens": len(stream.item),
            "events_per_s": survey.events / building,
            "loader_tokens_per_s": rate,
            "peak_gib": peak_gib(),
        },
    )


def peak_gib() -> float:
    """The most memory that this program ever held; the maximum that getrusage knows may be that of who started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


if __name__ == "__main__":
    main()
