"""What an answer costs beyond doing nothing, under the load of a shop.

    python -m tests.benchmark.serving [--quick] [--bundle FOLDER] [--replicas N] [--store sqlite|redis]

A FastAPI application that does nothing runs on the same server, behind the same proxy, as a second application. Load
comes from a process of its own on the same cores (`load.py`), made of sessions (`workload.py`): shoppers with fifty
events behind them, slates of twenty. The contestants take turns, so that whatever else the machine does hits all of
them. Where no bundle is named, one of 100,000 items is trained on a made-up log, once (`release_loading.py`);
`--quick` takes one of 5,000.

| key | meaning |
|---|---|
| throughput_share | recommendations per second as a share of do-nothing requests per second, 32 at a time |
| p50_multiple, event_p50_multiple | median latency as a multiple of the do-nothing median, one at a time |
| p99_half_load_ms | 99th percentile of recommendations while sessions go on at half the rate that can be sustained |
| half_load_refused | the share of those requests that was refused (503), which should be none |
| events_per_s | events acknowledged per second, in batches of 100, 8 at a time |
| overload_in_time | answers per second within the deadline when twice as many are asked, as a share of saturation |
| overload_unanswered | of those, requests that got neither an answer nor a refusal |
| ready_s | from the start of the server until it answers |
"""

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import pyarrow.parquet as pq
from fastapi import FastAPI
from hydra import compose, initialize_config_module
from rich.console import Console
from rich.table import Table

from recsys.bundle import read_bundle
from serving.arguments import ServeArgs
from serving.launch import assemble, running
from serving.server import Server
from tests.benchmark.load import Load, Outcome, Request, load_process
from tests.benchmark.release_loading import bundle_of
from tests.benchmark.workload import Workload

CONCURRENT = 32
DEADLINE_MS = 200
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Turns:
    """What one contestant achieved: alone, one at a time, and with others, 32 at a time."""

    alone: Outcome
    together: Outcome


def nothing() -> FastAPI:
    """An application that does nothing, with everything around it that ours has too."""
    app = FastAPI()

    @app.get("/")
    async def answer() -> dict[str, str]:
        return {"status": "ok"}

    return app


def launched(bundle: Path, folder: str, *overrides: str) -> tuple[Server, ServeArgs]:
    """A server on a free port with a fresh store."""
    with initialize_config_module("conf", version_base="1.3"):
        fresh = [f"outputs={folder}", "server.port=0", "clock=data_end", f"release.bundle={bundle}"]
        return assemble(compose("serve", [*fresh, *overrides]))


def workload_of(bundle: Path) -> Workload:
    """Traffic of the bundle's shop; which of its items are popular is drawn."""
    known = pq.read_table(bundle / "catalogue.parquet", columns=["item_id"])["item_id"].to_pylist()
    order = np.random.default_rng(0).permutation(len(known))
    return Workload([known[place] for place in order.tolist()], read_bundle(bundle).data_end)


def tell_histories(port: int, workload: Workload) -> None:
    """Everything that happened before; every event has to be accepted."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        for request in workload.histories():
            told = http.post(request.path, json=request.body).raise_for_status().json()
            if told["rejected"]:
                raise RuntimeError(f"an event of a history was rejected: {told['results'][0]}")


def in_turns(load: Load, contestants: dict[str, Sequence[Request]], *, rounds: int, seconds: float) -> dict[str, Turns]:
    """All contestants one after the other, over and over; what they did in the first turn is not counted."""
    alone: dict[str, list[Outcome]] = {name: [] for name in contestants}
    together: dict[str, list[Outcome]] = {name: [] for name in contestants}
    for connections, outcomes in ((CONCURRENT, together), (1, alone)):
        for turn in range(rounds + 1):
            for name, requests in contestants.items():
                outcome = load(requests, seconds=seconds, connections=connections)
                if set(outcome.status) != {200}:
                    raise RuntimeError(f"{name}: answered with {sorted(set(outcome.status))}")
                if turn:
                    outcomes[name].append(outcome)
    return {name: Turns(joined(alone[name]), joined(together[name])) for name in contestants}


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """All of them as one."""
    return Outcome(
        number=[number for one in outcomes for number in one.number],
        took_ms=[ms for one in outcomes for ms in one.took_ms],
        status=[status for one in outcomes for status in one.status],
        seconds=sum(one.seconds for one in outcomes),
    )


def under_half_load(load: Load, workload: Workload, *, per_s: float, seconds: float) -> tuple[float, float, float]:
    """50th and 99th percentile of the questions of sessions that ask at half of what can be answered, and the share of
    all requests that was refused."""
    requests = workload.sessions()
    asking = [number for number, request in enumerate(requests) if request.path == "/v1/recommendations"]
    outcome = load(requests, per_s=per_s, seconds=seconds)  # of two requests one is a question
    refused = sum(status != 200 for status in outcome.status) / len(outcome.status)
    return outcome.percentile(50, of=asking), outcome.percentile(99, of=asking), refused


def under_overload(load: Load, workload: Workload, *, per_s: float, seconds: float) -> dict[str, float]:
    """Twice as many questions as can be answered, with a deadline."""
    headers = (f"X-Deadline-Ms: {DEADLINE_MS}",)
    asked = [Request(one.path, one.body, headers) for one in workload.questions()]
    outcome = load(asked, per_s=2 * per_s, seconds=seconds)
    answered = list(zip(outcome.took_ms, outcome.status, strict=True))
    in_time = sum(status == 200 and ms <= DEADLINE_MS for ms, status in answered)
    return {
        "overload_in_time": in_time / seconds / per_s,
        "overload_answered": sum(status == 200 for _, status in answered) / len(answered),
        "overload_shed": sum(status in (429, 503) for _, status in answered) / len(answered),
        "overload_unanswered": sum(status not in (200, 429, 503) for _, status in answered),
    }


def events_per_s(load: Load, workload: Workload, *, seconds: float) -> float:
    """Acknowledged in batches."""
    clicks = [one.body for one in workload.clicks(4_000)]
    batches = [
        Request("/v1/events", {"events": [dict(click or {}) for click in clicks[at : at + _BATCH]]})
        for at in range(0, len(clicks), _BATCH)
    ]
    outcome = load(batches, seconds=seconds, connections=8)
    return outcome.per_s * _BATCH


def measured(load: Load, port: int, workload: Workload, *, quick: bool) -> dict[str, float]:
    """Everything, in the order of the table."""
    tell_histories(port, workload)
    rounds, seconds = (2, 0.7) if quick else (6, 3.0)
    contestants = {
        "nothing": [Request("/nothing/")],
        "recommendations": workload.questions(),
        "events": workload.clicks(),
    }
    turns = in_turns(load, contestants, rounds=rounds, seconds=seconds)
    show(turns)
    idle, asking, telling = (turns[name] for name in contestants)
    p50_half, p99_half, refused_half = under_half_load(
        load, workload, per_s=asking.together.per_s, seconds=3 * rounds * seconds / 2
    )
    figures = {
        "throughput_share": asking.together.per_s / idle.together.per_s,
        "p50_multiple": asking.alone.percentile(50) / idle.alone.percentile(50),
        "p50_half_load_ms": p50_half,
        "p99_half_load_ms": p99_half,
        "half_load_refused": refused_half,
        "event_p50_multiple": telling.alone.percentile(50) / idle.alone.percentile(50),
        "events_per_s": median(events_per_s(load, workload, seconds=seconds) for _ in range(3)),
        "p50_ms": asking.alone.percentile(50),
        "p99_ms": asking.alone.percentile(99),
        "per_s": asking.together.per_s,
        "nothing_p50_ms": idle.alone.percentile(50),
        "nothing_per_s": idle.together.per_s,
    }
    return figures | under_overload(load, workload, per_s=asking.together.per_s, seconds=rounds * seconds)


def show(turns: dict[str, Turns]) -> None:
    """The table for people."""
    table = Table("", "p50 ms", "p99 ms", f"per second at c={CONCURRENT}", "p50 / nothing", "per s / nothing")
    base = turns["nothing"]
    for name, one in turns.items():
        cells = (one.alone.percentile(50), one.alone.percentile(99), one.together.per_s)
        shares = (cells[0] / base.alone.percentile(50), cells[2] / base.together.per_s)
        table.add_row(name, *(f"{cell:,.2f}" for cell in cells[:2]), f"{cells[2]:,.0f}", *(f"{x:.2f}" for x in shares))
    Console(width=110).print(table)


@contextlib.contextmanager
def shop(bundle: Path, *overrides: str, replicas: int = 1) -> Iterator[tuple[Server, float]]:
    """Our application and the one that does nothing on one server, and the seconds until it was ready."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        server, args = launched(bundle, folder, f"app.replicas={replicas}", *overrides)
        with running(server, args):
            httpx.get(f"{server.address}/readyz").raise_for_status()
            ready_s = time.perf_counter() - began
            from ray import serve

            idle = serve.deployment(serve.ingress(nothing)(), name="nothing", num_replicas=replicas)
            settings = {"max_ongoing_requests": 256, "ray_actor_options": {"num_cpus": 0}}
            server.run(idle.options(**settings).bind(), name="nothing", route_prefix="/nothing")
            yield server, ready_s


@contextlib.contextmanager
def store_overrides(kind: str) -> Iterator[list[str]]:
    """What makes the server keep its events in that kind of store."""
    if kind == "sqlite":
        yield []
        return
    from tests.serving.redis_server import RedisServer

    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder))
        redis.start()
        try:
            yield ["store=redis", f"store.url={redis.url}"]
        finally:
            redis.stop()


def main() -> None:
    """Parse the command line, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within 45 seconds, once there is a bundle")
    parser.add_argument("--bundle", type=Path, help="the bundle's folder")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--store", choices=["sqlite", "redis"], default="sqlite")
    options = parser.parse_args()
    bundle = (options.bundle or bundle_of(5_000 if options.quick else 100_000)).absolute()
    with (
        store_overrides(options.store) as overrides,
        shop(bundle, *overrides, replicas=options.replicas) as (server, ready_s),
        load_process(server.port) as load,
    ):
        figures = measured(load, server.port, workload_of(bundle), quick=options.quick)
    figures |= {"ready_s": ready_s, "replicas": options.replicas}
    print(json.dumps({name: round(number, 3) for name, number in figures.items()} | {"store": options.store}))


if __name__ == "__main__":
    main()
