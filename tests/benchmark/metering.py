"""What it costs to be seen: each recording, all those of one answer, and the layer around every request.

python -m tests.benchmark.metering [--quick]
"""

import asyncio
import json
import sys
import timeit
from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serving.watching.meter import Meter, Stage
from serving.watching.request import Requests

_ITEMS = [f"item-{number:03d}" for number in range(20)]
_ANSWER: list[Message] = [
    {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]},
    {"type": "http.response.body", "body": b"{}"},
]


def main() -> None:
    """Print a table for people and a line of JSON for machines."""
    number = 5_000 if "--quick" in sys.argv else 50_000
    meter = Meter()
    measured = {
        "a stage": _microseconds(lambda: meter.stage(Stage.STORE, 0.003), number),
        "a request": _microseconds(lambda: _request(meter), number),
        "a slate of 20": _microseconds(lambda: _slate(meter), number),
        "a batch of one": _microseconds(lambda: meter.batch([0.0001], 0.004), number),
        "a batch of 32, for each of its questions": _microseconds(lambda: meter.batch([0.01] * 32, 0.05), number // 10)
        / 32,
        "events of one request": _microseconds(lambda: meter.heard({"accepted": 1}, 0.001), number),
        "everything of one answer": _microseconds(lambda: _everything(meter), number),
        "the layer around a request": asyncio.run(_layer(meter, number)),
    }
    table = Table("recording", "microseconds")
    for name, took in measured.items():
        table.add_row(name, f"{took:.2f}")
    Console().print(table)
    key = {name: round(took, 2) for name, took in measured.items()}
    sys.stdout.write(json.dumps({"benchmark": "metering", "us": key}) + "\n")


def _microseconds(call: Callable[[], object], number: int) -> float:
    """The best of five runs, as `timeit` advises: what disturbs a run only makes it slower."""
    return min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6


def _request(meter: Meter) -> None:
    meter.begins()
    meter.ends("POST", "/v1/recommendations", 200, 0.004)


def _slate(meter: Meter) -> None:
    meter.answered("full", item_ids=_ITEMS, top_score=0.7, newest_s=0.2)


def _everything(meter: Meter) -> None:
    """As `serving/pipeline.py` does it for one question that nobody else's shares a batch with."""
    meter.begins()
    laps = meter.laps()
    laps.lap(Stage.STORE)
    laps.lap(Stage.STATE)
    meter.batch([0.0001], 0.004)
    _slate(meter)
    laps.whole()
    meter.ends("POST", "/v1/recommendations", 200, 0.004)


async def _layer(meter: Meter, number: int) -> float:
    """The layer around an application that does nothing, less that application."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        for message in _ANSWER:
            await send(dict(message))

    async def failed(request: Request, failure: Exception) -> Response:
        raise failure

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        return None

    headers = [(name.encode(), b"x" * 20) for name in ("host", "user-agent", "accept", "content-type", "x-request-id")]
    scope: Scope = {"type": "http", "method": "POST", "path": "/v1/events", "headers": headers}
    loop, best = asyncio.get_running_loop(), {}
    for name, app in (("bare", nothing), ("layered", Requests(nothing, meter=meter, failed=failed))):
        runs = []
        for _ in range(5):
            started = loop.time()
            for _ in range(number):
                await app(scope, receive, send)
            runs.append((loop.time() - started) / number * 1e6)
        best[name] = min(runs)
    return best["layered"] - best["bare"]


if __name__ == "__main__":
    main()
