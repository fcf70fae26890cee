"""What shoppers notice of a release that changes under load.

    python -m tests.benchmark.swap [--quick] [--bundle FOLDER]

Two replicas follow the registry's alias. First they are asked as fast as they answer (saturation, 32 at a time), then
at 30 % of that, at random moments (Poisson), in turns: once with nothing happening, once with the alias moved to
another version and back. The other version is the same bundle with a note, so that both answers cost the same. Load
comes from a process of its own, on the same cores.

| key | meaning |
|---|---|
| failed | requests that were not answered with 200, of all that were sent at 30 % |
| p99_multiple | 99th percentile while releases change, as a multiple of that while none does; medians of the turns |
| follows_s | from the moved alias until both replicas name the version, the longest of all moves |
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx

from recsys.bundle import read_bundle, write_bundle
from tests.benchmark.load import Load, Outcome, Request, load_process
from tests.benchmark.release_loading import bundle_of
from tests.benchmark.report import report
from tests.benchmark.serving import CONCURRENT, tell_histories, workload_of
from tests.serving.live import LiveServer
from training.promotion import Because, Version
from training.tracker.mlflow import MlflowTracker

SHARE = 0.3
REPLICAS = 2


def two_versions(bundle: Path, folder: Path) -> tuple[MlflowTracker, Version]:
    """A registry that holds the bundle, as champion, and another version of it."""
    tracker = MlflowTracker(outputs=folder / "outputs", system_metrics_s=0)
    recommender = read_bundle(bundle)
    write_bundle(replace(recommender, facts={**recommender.facts, "note": "another"}), folder / "other", metrics={})
    found = []
    for place in (bundle, folder / "other"):
        with tracker.run("swap", {}, {}):
            number = tracker.register(place, version_tags={})
        version = tracker.registry.find(number) if number else None
        if version is None:
            raise RuntimeError("the registry does not know what was just registered")
        found.append(version)
    tracker.registry.promote(found[0], Because.now("the first"))
    return tracker, found[1]


def served_after(port: int, move: Callable[[], object]) -> float:
    """Seconds from a move of the alias until both replicas name another version than before."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        before = http.get("/readyz").json()["model_version"]
        began, seen = time.perf_counter(), dict[str, str]()
        move()
        while len(seen) < REPLICAS or before in seen.values():
            ready = http.get("/readyz").json()
            seen[ready["replica"]] = ready["model_version"]
            if time.perf_counter() - began > 60:
                raise RuntimeError(f"after a minute the replicas serve {seen}")
            time.sleep(0.05)
    return time.perf_counter() - began


def while_moving(load: Callable[[], None], port: int, moves: list[Callable[[], object]]) -> list[float]:
    """How long each of the moves took until it was served, made one after the other while `load` runs."""
    took: list[float] = []

    def all_moves() -> None:
        for move in moves:
            time.sleep(1.0)
            took.append(served_after(port, move))

    with ThreadPoolExecutor(1) as mover:
        moved = mover.submit(all_moves)
        load()
        moved.result()
    return took


def measured(
    port: int, tracker: MlflowTracker, other: Version, *, asking: Sequence[Request], quick: bool, load: Load
) -> dict[str, float]:
    """Saturation, then turns of calm and change."""
    seconds, turns = (4.0, 1) if quick else (12.0, 3)
    load(asking, connections=CONCURRENT, seconds=2.0)  # not counted: first-time costs
    per_s = SHARE * load(asking, connections=CONCURRENT, seconds=5.0).per_s
    calm: list[Outcome] = []
    changing: list[Outcome] = []
    follows: list[float] = []

    def under_load(turns: list[Outcome]) -> None:
        turns.append(load(asking, per_s=per_s, seconds=seconds))

    for _ in range(turns):
        under_load(calm)
        follows += while_moving(
            lambda: under_load(changing),
            port,
            [
                lambda: tracker.registry.promote(other, Because.now("it is better")),
                lambda: tracker.registry.roll_back(Because.now("it was not")),
            ],
        )
    p50, p99 = (
        [statistics.median(turn.percentile(share) for turn in each) for each in (calm, changing)] for share in (50, 99)
    )
    return {
        "asked_per_s": per_s,
        "failed": float(sum(len(turn.status) - turn.status.count(200) for turn in (*calm, *changing))),
        "asked": float(sum(len(turn.status) for turn in (*calm, *changing))),
        "moves": float(len(follows)),
        "p50_ms": p50[0],
        "p50_ms_changing": p50[1],
        "p99_ms": p99[0],
        "p99_ms_changing": p99[1],
        "p99_multiple": p99[1] / p99[0],
        "follows_s": max(follows),
    }


def main() -> None:
    """Parse the command line, measure, report."""
    parser = argparse.ArgumentParser(description="What shoppers notice of a release that changes under load.")
    parser.add_argument("--quick", action="store_true", help="one turn, short")
    parser.add_argument("--bundle", type=Path, help="the bundle's folder; one on a made-up log if left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = (options.bundle or bundle_of(5_000 if options.quick else 100_000)).absolute()
        workload = workload_of(bundle)
        tracker, other = two_versions(bundle, Path(folder))
        follow = ("release.bundle=null", f"release.tracking_uri={tracker.uri}", "follow_every_s=0.5")
        server = LiveServer(bundle, Path(folder) / "server", f"app.replicas={REPLICAS}", *follow)
        server.start()
        try:
            server.wait_until_ready()
            port = int(server.url.rpartition(":")[2])
            with load_process(port) as load:
                tell_histories(port, workload)
                asking = workload.questions()
                result = measured(port, tracker, other, asking=asking, quick=options.quick, load=load)
        finally:
            server.stop()
    rounded = {name: round(value, 3) for name, value in result.items()}
    report("A release changes at 30 % of saturation, two replicas", [rounded], rounded)


if __name__ == "__main__":
    main()
