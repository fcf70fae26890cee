"""`python -m tests.benchmark.serving [--quick] [--bundle FOLDER]`: what an answer costs beyond doing nothing.

A FastAPI application that does nothing runs on the same server, behind the same proxy, as a second application. Load
comes from a process of its own; the contestants take turns, so that whatever else the machine does hits all of them.

| key | meaning |
|---|---|
| throughput_share | recommendations per second as a share of do-nothing requests per second, 32 at a time |
| p50_multiple, event_p50_multiple | median latency as a multiple of the do-nothing median, one at a time |
| p99_half_load_ms | 99th percentile of recommendations that arrive at half the rate the server can sustain |
| events_per_s | events acknowledged per second, one event per request, 32 at a time |
"""

import argparse
import asyncio
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from fastapi import FastAPI
from hydra import compose, initialize_config_module
from rich.console import Console
from rich.table import Table

from recsys.errors import RecsysError
from serving.arguments import ServeArgs
from serving.launch import assemble, running
from serving.server import Server

SHOPPERS = 200
VIEWS = 10
CONCURRENT = 32
_READ_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Contestant:
    """Requests to send over and over, in turn."""

    name: str
    method: str
    path: str
    bodies: Sequence[dict[str, Any]] = ({},)

    def requests(self) -> list[bytes]:
        """Complete HTTP/1.1 requests on a connection that stays open."""
        requests = []
        for body in self.bodies:
            content = json.dumps(body).encode() if self.method == "POST" else b""
            head = f"{self.method} {self.path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {len(content)}\r\n\r\n"
            requests.append(head.encode() + content)
        return requests


@dataclass(slots=True)
class Measured:
    """What one contestant achieved over all its turns; latencies in milliseconds."""

    alone_ms: list[float] = field(default_factory=list)
    together: int = 0
    together_s: float = 0.0

    @property
    def per_s(self) -> float:
        return self.together / self.together_s

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.alone_ms, share))


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> float:
    """Send one request, read its answer whole; returns milliseconds."""
    started = time.perf_counter()
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    at = lowered.index(b"content-length:") + 15
    await reader.readexactly(int(lowered[at : lowered.index(b"\r\n", at)]))
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {head.splitlines()[0].decode()}")
    return (time.perf_counter() - started) * 1_000


async def _closed_loop(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> list[float]:
    """Each connection asks again as soon as it was answered."""
    took: list[float] = []
    deadline = time.perf_counter() + seconds

    async def one(start: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_READ_LIMIT)
        number = start * 7
        while time.perf_counter() < deadline:
            took.append(await _exchange(reader, writer, requests[number % len(requests)]))
            number += 1
        writer.close()

    await asyncio.gather(*(one(number) for number in range(connections)))
    return took


async def _open_loop(port: int, requests: Sequence[bytes], *, per_s: float, seconds: float) -> list[float]:
    """Requests arrive at random moments (Poisson), whether or not the earlier ones were answered; waiting counts. One
    that fails takes NaN."""
    rng = np.random.default_rng(0)
    arrivals = np.cumsum(rng.exponential(1 / per_s, size=int(per_s * seconds)))
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    took: list[float] = []

    async def one(number: int) -> None:
        due = time.perf_counter()
        connection = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port, limit=_READ_LIMIT)
        try:
            await _exchange(*connection, requests[number % len(requests)])
        except (RuntimeError, OSError, EOFError) as failure:
            print(f"failed: {failure}", file=sys.stderr)
            connection[1].close()
            took.append(math.nan)
        else:
            took.append((time.perf_counter() - due) * 1_000)
            idle.append(connection)

    started = time.perf_counter()
    running: list[asyncio.Task[None]] = []
    for number, arrival in enumerate(arrivals):
        await asyncio.sleep(max(0.0, started + arrival - time.perf_counter()))
        running.append(asyncio.create_task(one(number)))
    await asyncio.gather(*running)
    return took


def generate_load() -> None:
    """The load process: reads one order per line, writes one line of latencies for each."""
    for line in sys.stdin:
        order = json.loads(line)
        contestant = Contestant(**order["contestant"])
        loop = _open_loop if "per_s" in order["how"] else _closed_loop
        started = time.perf_counter()
        took = asyncio.run(loop(order["port"], contestant.requests(), **order["how"]))
        print(json.dumps({"took_ms": took, "seconds": time.perf_counter() - started}), flush=True)


@contextmanager
def load_process(port: int) -> Iterator[Any]:
    command = [sys.executable, "-m", "tests.benchmark.serving", "--generate-load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def load(contestant: Contestant, **how: float) -> tuple[list[float], float]:
            assert process.stdin is not None
            assert process.stdout is not None
            shape = {name: getattr(contestant, name) for name in ("name", "method", "path", "bodies")}
            process.stdin.write(json.dumps({"contestant": shape, "port": port, "how": how}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline() or "null")
            if answer is None:
                raise RuntimeError("the load process ended early; see its message above")
            return answer["took_ms"], answer["seconds"]

        yield load
        assert process.stdin is not None
        process.stdin.close()


def contestants(bundle: Path) -> list[Contestant]:
    """Nothing, questions of shoppers with a history, and events."""
    known = pq.read_table(bundle / "catalogue.parquet", columns=["item_id"])["item_id"].to_pylist()
    items = np.random.default_rng(0).choice(known, SHOPPERS * VIEWS).tolist()
    views = [
        {"type": "view", "anonymous_id": f"visitor-{number % SHOPPERS}", "item_id": item}
        for number, item in enumerate(items)
    ]
    histories = [view | {"event_id": f"history-{number}"} for number, view in enumerate(views)]
    questions = [{"shopper": {"anonymous_id": f"visitor-{number}"}, "count": 10} for number in range(SHOPPERS)]
    return [
        Contestant("nothing", "GET", "/nothing/"),
        Contestant("recommendations", "POST", "/v1/recommendations", questions),
        Contestant("events", "POST", "/v1/events", [view | {"anonymous_id": "other"} for view in views]),
        Contestant(
            "histories",
            "POST",
            "/v1/events",
            [{"events": histories[at : at + 500]} for at in range(0, len(histories), 500)],
        ),
    ]


def nothing() -> FastAPI:
    """An application that does nothing, with everything around it that ours has too."""
    app = FastAPI()

    @app.get("/")
    async def answer() -> dict[str, str]:
        return {"status": "ok"}

    return app


def launched(bundle: str | None, folder: str, *overrides: str) -> tuple[Server, ServeArgs]:
    """A server on a free port with a fresh store; exits with what to do if there is no bundle."""
    with initialize_config_module("conf", version_base="1.3"):
        chosen = [f"release.bundle={bundle}"] if bundle else []
        config = compose("serve", [f"store.path={folder}/events.db", "clock=data_end", *chosen, *overrides])
    try:
        return assemble(config)
    except RecsysError as failure:
        sys.exit(f"error: {failure}\n(or: python -m tests.benchmark.serving --bundle FOLDER)")


def measure(
    load: Any, field_of: Sequence[Contestant], *, rounds: int, seconds: float
) -> tuple[dict[str, Measured], float]:
    """All contestants in turns, and the 99th percentile at half load."""
    nothing_, asking, telling, histories = field_of
    for _ in histories.bodies:
        load(histories, connections=1, seconds=0.1)
    results = {contestant.name: Measured() for contestant in (nothing_, asking, telling)}
    for contestant in (nothing_, asking, telling):
        load(contestant, connections=CONCURRENT, seconds=seconds)  # not counted: first-time costs
    for _ in range(rounds):
        for contestant in (nothing_, asking, telling):
            results[contestant.name].alone_ms += load(contestant, connections=1, seconds=seconds)[0]
    for _ in range(rounds):
        for contestant in (nothing_, asking, telling):
            took, took_s = load(contestant, connections=CONCURRENT, seconds=seconds)
            results[contestant.name].together += len(took)
            results[contestant.name].together_s += took_s
    half = results["recommendations"].per_s / 2
    under_half, _ = load(asking, per_s=half, seconds=3 * seconds)
    if np.isnan(under_half).any():
        raise RuntimeError("requests failed at half load; see above")
    return results, float(np.percentile(under_half, 99))


def report(results: dict[str, Measured], p99_half_load_ms: float, *, replicas: int) -> None:
    """The table for people, and the last line for machines."""
    table = Table("", "p50 ms", "p99 ms", f"per second at c={CONCURRENT}", "p50 / nothing", "per s / nothing")
    base = results["nothing"]
    for name, one in results.items():
        cells = (one.percentile(50), one.percentile(99), one.per_s)
        shares = (one.percentile(50) / base.percentile(50), one.per_s / base.per_s)
        table.add_row(name, *(f"{cell:,.2f}" for cell in cells[:2]), f"{cells[2]:,.0f}", *(f"{x:.2f}" for x in shares))
    Console(width=110).print(table)
    asking, telling = results["recommendations"], results["events"]
    numbers = {
        "throughput_share": asking.per_s / base.per_s,
        "p50_multiple": asking.percentile(50) / base.percentile(50),
        "p99_half_load_ms": p99_half_load_ms,
        "event_p50_multiple": telling.percentile(50) / base.percentile(50),
        "events_per_s": telling.per_s,
        "p50_ms": asking.percentile(50),
        "p99_ms": asking.percentile(99),
        "per_s": asking.per_s,
        "nothing_p50_ms": base.percentile(50),
        "nothing_p99_ms": base.percentile(99),
        "nothing_per_s": base.per_s,
        "replicas": replicas,
    }
    print(json.dumps({name: round(number, 3) for name, number in numbers.items()}))


def main() -> None:
    """Parse the command line, measure, report."""
    parser = argparse.ArgumentParser(description="What an answer costs beyond a request that does nothing.")
    parser.add_argument("--quick", action="store_true", help="end within 45 seconds")
    parser.add_argument("--bundle", help="the bundle's folder; the registry's champion if left out")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--generate-load", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.generate_load:
        generate_load()
        return
    with tempfile.TemporaryDirectory() as folder:
        server, args = launched(options.bundle, folder, "server.port=0", f"app.replicas={options.replicas}")
        field_of = contestants(args.bundle)
        with running(server, args):
            from ray import serve

            idle = serve.deployment(serve.ingress(nothing)(), name="nothing", num_replicas=options.replicas)
            settings = {"max_ongoing_requests": 256, "ray_actor_options": {"num_cpus": 0}}
            server.run(idle.options(**settings).bind(), name="nothing", route_prefix="/nothing")
            with load_process(server.port) as load:
                rounds, seconds = (2, 0.5) if options.quick else (10, 2.0)
                results, p99_half_load_ms = measure(load, field_of, rounds=rounds, seconds=seconds)
    report(results, p99_half_load_ms, replicas=options.replicas)


if __name__ == "__main__":
    main()
