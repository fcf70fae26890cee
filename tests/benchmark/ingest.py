"""How fast events are ingested, and within how much memory.

    python -m tests.benchmark.ingest [--rows 50_000_000] [--quick] [--folder FOLDER]

Complete Journey (the demo's retailer) and a made-up year of events (`tests/benchmark/synthetic_log.py`), each in a
fresh process. `peak_gib` is the largest resident memory that the operating system saw of that process (ru_maxrss);
beside it, what was sampled every tenth of a second. Rows per second are from the source's first chunk to the committed
log, the drawing of made-up rows included; what that alone takes is measured before (`drawn_per_s`). Then a further
day's part is added (`day_s`), the same parts are offered once more (`again_s`), and the log is turned into training
batches (`sequences`); `peak_gib` is the largest of all these processes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys.clock import parse_instant
from recsys.data.chunk import chunks_of
from recsys.data.complete_journey import CompleteJourney
from recsys.log.reader import EventLog
from recsys.log.summary import LogSummary
from recsys.log.writer import write_log
from recsys.protocols import Source
from tests.benchmark.report import report
from tests.benchmark.synthetic_log import SyntheticLog

_GIB = 1 << 30
_DRAWN_PARTS = 8


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000_000, help="rows of the synthetic log")
    parser.add_argument("--quick", action="store_true", help="two million rows")
    parser.add_argument("--folder", type=Path, default=None, help="where there is room; the system's temporary folder")
    parser.add_argument("--measure", choices=list(_CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows = 2_000_000 if arguments.quick else arguments.rows
    if arguments.measure:
        print(json.dumps(_CASES[arguments.measure](rows, arguments.folder)))
        return
    figures = {case: _in_process_of_its_own(case, rows, arguments.folder) for case in _CASES}
    table = [{"log": case, **{name: figure[name] for name in _SHOWN}} for case, figure in figures.items()]
    synthetic = figures["synthetic"]
    result = {
        **synthetic,
        "peak_gib": max(figure["peak_gib"] for figure in figures.values()),
        "unaccounted_rows": sum(figure["unaccounted_rows"] for figure in figures.values()),
        "complete_journey": figures["complete_journey"],
    }
    report("ingest", table, result)


_SHOWN = (
    "rows",
    "rows_per_s",
    "drawn_per_s",
    "peak_gib",
    "sampled_gib",
    "gib_on_disk",
    "day_s",
    "again_s",
    "unaccounted_rows",
)


def _in_process_of_its_own(case: str, rows: int, folder: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="attune-ingest-", dir=folder) as place:
        command = [sys.executable, "-m", "tests.benchmark.ingest", "--measure", case, "--rows", str(rows)]
        process = subprocess.Popen([*command, "--folder", place], stdout=subprocess.PIPE, text=True)
        samples: list[float] = [0.0]
        sampler = threading.Thread(target=_sample, args=(process, samples))
        sampler.start()
        printed = process.communicate()[0]
        sampler.join()
        if process.returncode:
            sys.exit(f"measuring {case} ended with status {process.returncode}")
    return {**json.loads(printed.splitlines()[-1]), "sampled_gib": max(samples)}


def _sample(process: "subprocess.Popen[str]", samples: list[float]) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    while process.poll() is None:
        try:
            resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        samples.append(resident * page / _GIB)
        time.sleep(0.1)


def _synthetic(rows: int, folder: Path) -> dict[str, Any]:
    source = SyntheticLog(rows=rows)
    sample = replace(source, rows=min(rows, source.part_rows * _DRAWN_PARTS))
    figures = _ingested(source, sample, folder / "log")
    longer = replace(source, further_days=1)
    figures["day_s"] = _seconds(lambda: write_log(longer, folder / "log"))
    figures["again_s"] = _seconds(lambda: write_log(longer, folder / "log"))
    figures["unaccounted_rows"] += _unaccounted(EventLog(folder / "log").summary)
    figures["sequences"] = _sequences(folder / "log")
    return {**figures, "peak_gib": max(_peak_gib(), figures["sequences"]["peak_gib"])}


def _sequences(log: Path) -> dict[str, Any]:
    """What `tests/benchmark/sequences.py` measures on the log, in a further process."""
    command = [sys.executable, "-m", "tests.benchmark.sequences", str(log)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(printed, file=sys.stderr)
    figures: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return figures


def _complete_journey(_: int, folder: Path) -> dict[str, Any]:
    source = CompleteJourney(cutoff=parse_instant("2017-12-05"))
    figures = _ingested(source, source, folder / "log")
    again_s = _seconds(lambda: write_log(source, folder / "log"))
    return {**figures, "day_s": None, "again_s": again_s, "peak_gib": _peak_gib()}


_CASES: Mapping[str, Callable[[int, Path], dict[str, Any]]] = {
    "complete_journey": _complete_journey,
    "synthetic": _synthetic,
}


def _ingested(source: Source, sample: Source, folder: Path) -> dict[str, Any]:
    """Draw `sample`, ingest `source`."""
    drawn: list[int] = []
    drawing_s = _seconds(lambda: drawn.append(sum(chunk.rows_in for chunk in chunks_of(sample))))
    began = time.perf_counter()
    summary = write_log(source, folder)
    took_s = time.perf_counter() - began
    return {
        "rows": summary.rows_in,
        "events": summary.events,
        "rows_per_s": summary.rows_in / took_s,
        "drawn_per_s": drawn[0] / drawing_s,
        "ingest_s": took_s,
        "ingest_peak_gib": _peak_gib(),
        "gib_on_disk": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / _GIB,
        "unaccounted_rows": _unaccounted(summary),
    }


def _unaccounted(summary: LogSummary) -> int:
    went = summary.events + summary.duplicates + summary.quarantined + summary.excluded + summary.erased
    return abs(summary.rows_in + summary.unfolded - went)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _GIB


if __name__ == "__main__":
    main()
