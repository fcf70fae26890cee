"""Does memory grow: `python -m tests.benchmark.soak [--quick] [--bundle FOLDER] [--store sqlite|redis] [minutes=20]`.

A service of two replicas lives through a shop's day in small: sessions of known shoppers, new visitors all the time who
never come back, events in batches, changes of items, operators who look at the metrics, at a constant rate. Meanwhile
the resident memory of every process of the service is read each second. The first quarter is warm-up, in which caches
fill; then a straight line is put through the rest by least squares.

| key | meaning |
|---|---|
| minutes | how long the load went on, warm-up included |
| rss_growth | of all processes together from the end of the warm-up to the end, by the line, in per cent |
| replicas_growth | the same of the replicas alone |
| last_vs_first | of all, mean of the last tenth after the warm-up against that of the first, in per cent |
"""

import argparse
import contextlib
import itertools
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from serving import processes
from tests.benchmark.load import Load, Request, load_process
from tests.benchmark.release_loading import bundle_of
from tests.benchmark.report import report
from tests.benchmark.serving import store_overrides, tell_histories, workload_of
from tests.benchmark.workload import SLATE, Workload
from tests.serving.live import LiveServer

REPLICAS = 2
PER_S = 60.0
SHOPPERS = 4_000
WARM_UP = 0.25
_STRETCH_S = 30.0
_EVERY_S = 1.0
_MIB = 2**20
_PAGE = 4096
_ROLES = {
    "ray::ServeRepl": "replicas",
    "ray::ServeContr": "controller",
    "ray::HAProxyMan": "proxy",
    "ray::ProxyActor": "proxy",
    "haproxy": "proxy",
    "gcs_server": "Ray itself",
    "raylet": "Ray itself",
    "ray::": "Ray's helpers",
    "server": "server",
}
"""By how the names of processes begin, of which the kernel keeps fifteen letters; all others are Ray's helpers too."""


class Scale:
    """Reads the resident memory of a family of processes every second, in a thread of its own."""

    def __init__(self, pid: int) -> None:
        self.at_s: list[float] = []
        self.mib: dict[str, list[float]] = defaultdict(list)
        self._pid = pid
        self._stop = threading.Event()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """From the beginning of the block to its end."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def after(self, warm_up_s: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Seconds, and MiB by role, `all` among them, since the end of the warm-up."""
        at = np.array(self.at_s)
        late = at >= warm_up_s
        mib = {role: np.array(values)[late] for role, values in self.mib.items()}
        return at[late], {**mib, "all": np.sum(list(mib.values()), axis=0)}

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(_EVERY_S):
            now = dict.fromkeys(_ROLES.values(), 0.0)
            for one in processes.descendants(self._pid):
                now[role_of(one.name)] += resident_mib(one.pid)
            now["server"] += resident_mib(self._pid)
            self.at_s.append(time.monotonic() - began)
            for role, mib in now.items():
                self.mib[role].append(mib)


def role_of(name: str) -> str:
    """What a process of this name does."""
    return next((role for begin, role in _ROLES.items() if name.startswith(begin)), "Ray's helpers")


def resident_mib(pid: int) -> float:
    """What a process holds in memory; nothing if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / _MIB
    except OSError:
        return 0.0


def growth(at_s: np.ndarray, mib: np.ndarray) -> dict[str, float]:
    """In per cent: along the line of least squares, and the last tenth against the first."""
    slope, start = np.polyfit(at_s - at_s[0], mib, 1)
    tenth = max(1, len(mib) // 10)
    first, last = mib[:tenth].mean(), mib[-tenth:].mean()
    return {
        "mib": float(mib.mean()),
        "line": float(slope * (at_s[-1] - at_s[0]) / start * 100),
        "last_vs_first": float((last / first - 1) * 100),
    }


def traffic(workload: Workload, stretch: int, count: int) -> list[Request]:
    """Some stretch of a day; no two are alike."""
    known = replace(workload, seed=stretch).sessions(count // 2)
    passing = [
        request
        for number in range(count // 4)
        for who in [{"anonymous_id": f"passing-{stretch}-{number}"}]
        for request in (
            Request("/v1/events", {"type": "view", "item_id": workload.items[number % 1_000], **who}),
            Request("/v1/recommendations", {"shopper": who, "count": SLATE}),
        )
    ]
    mixed = [request for pair in itertools.zip_longest(known, passing) for request in pair if request is not None]
    batch = [{"type": "view", "anonymous_id": f"batch-{stretch}", "item_id": item} for item in workload.items[:100]]
    change = {"op": "patch", "item_id": workload.items[stretch % 100], "item": {"price": 1.0 + stretch % 7}}
    mixed += [Request("/v1/events", {"events": batch}), Request("/v1/items:bulk", change)]
    mixed += [Request("/v1/admin/metrics"), Request("/v1/admin/status")]
    return mixed


def soaked(load: Load, workload: Workload, minutes: float) -> dict[int, int]:
    """So much load; how many answers had each status."""
    statuses: dict[int, int] = defaultdict(int)
    deadline = time.monotonic() + minutes * 60
    for stretch in itertools.count():
        seconds = min(_STRETCH_S, deadline - time.monotonic())
        if seconds <= 1:
            return dict(statuses)
        outcome = load(traffic(workload, stretch, int(PER_S * seconds)), per_s=PER_S, seconds=seconds)
        for status in outcome.status:
            statuses[status] += 1
    return dict(statuses)


def main() -> None:
    """Parse the command line, soak, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", nargs="?", default="minutes=20", help="minutes=20")
    parser.add_argument("--quick", action="store_true", help="end within 45 seconds, once there is a bundle")
    parser.add_argument("--bundle", type=Path, help="the bundle's folder; one on a made-up log if left out")
    parser.add_argument("--store", choices=["sqlite", "redis"], default="sqlite")
    options = parser.parse_args()
    minutes = 0.2 if options.quick else float(options.minutes.removeprefix("minutes="))
    bundle = (options.bundle or bundle_of(5_000 if options.quick else 100_000)).absolute()
    with store_overrides(options.store) as overrides, tempfile.TemporaryDirectory() as folder:
        server = LiveServer(bundle, Path(folder), f"app.replicas={REPLICAS}", "clock=data_end", *overrides)
        server.start()
        try:
            server.wait_until_ready()
            workload, scale = (
                replace(workload_of(bundle), shoppers=500 if options.quick else SHOPPERS),
                Scale(server.pid),
            )
            tell_histories(server.port, workload)
            with load_process(server.port) as load:
                load(workload.questions(), connections=16, seconds=2 if options.quick else 60)
                with scale.reading():
                    statuses = soaked(load, workload, minutes)
        finally:
            server.stop()
    at_s, by_role = scale.after(WARM_UP * minutes * 60)
    rows = {role: growth(at_s, mib) for role, mib in by_role.items()}
    figures = {
        "minutes": minutes,
        "rss_growth": round(rows["all"]["line"], 2),
        "replicas_growth": round(rows["replicas"]["line"], 2),
        "last_vs_first": round(rows["all"]["last_vs_first"], 2),
        "mib": round(rows["all"]["mib"]),
        "answered": sum(statuses.values()),
        "not_200": sum(count for status, count in statuses.items() if status != 200),
        "store": options.store,
    }
    print(
        {role: [round(float(mib)) for mib in values[:: max(1, len(values) // 20)]] for role, values in by_role.items()}
    )
    report("Memory after the warm-up, growth in per cent", [{"of": role, **row} for role, row in rows.items()], figures)


if __name__ == "__main__":
    main()
