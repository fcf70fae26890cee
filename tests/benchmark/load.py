"""Load from a process of its own: requests over connections that stay open, each timed from when it was due.

In a closed loop every connection asks again as soon as it was answered, which finds what a server can do. In an open
loop requests are due at random moments (Poisson) at a constant rate, whether or not the earlier ones were answered, and
the time that one spends waiting to be sent counts: nothing that a slow server delays is left out.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

_READ_LIMIT = 1024 * 1024
_LOST = 0
"""The status of a request that got no answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: `body` is JSON; a GET sends none."""

    path: str
    body: dict[str, Any] | None = None
    headers: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        """A complete HTTP/1.1 request."""
        content = b"" if self.body is None else json.dumps(self.body).encode()
        method = "GET" if self.body is None else "POST"
        lines = [f"{method} {self.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(content)}", *self.headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the requests of one order, in the order in which they ended.

    Attributes:
        number: which of the requests each was, into those that were ordered.
        took_ms: from when it was due until its answer was read whole.
        status: of the answer; 0 where there was none.
        seconds: that all of it took.
    """

    number: list[int] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers with status 200 in a second."""
        return self.status.count(200) / self.seconds

    def percentile(self, share: float, *, of: Sequence[int] | None = None) -> float:
        """Of the milliseconds of requests that were answered with 200; `of` keeps those requests only."""
        kept = None if of is None else set(of)
        took = [
            ms
            for number, ms, status in zip(self.number, self.took_ms, self.status, strict=True)
            if status == 200 and (kept is None or number in kept)
        ]
        return float(np.percentile(took, share))


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send one request and read its answer whole; its status."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    at = lowered.index(b"content-length:") + 15
    await reader.readexactly(int(lowered[at : lowered.index(b"\r\n", at)]))
    if b"connection: close" in lowered:
        writer.close()
    return int(head[9:12])


async def closed_loop(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Outcome:
    """Each connection asks again as soon as it was answered; they share the requests out, over and over."""
    outcome = Outcome()
    deadline = time.perf_counter() + seconds

    async def one(start: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_READ_LIMIT)
        number = start
        while time.perf_counter() < deadline:
            began = time.perf_counter()
            status = await _exchange(reader, writer, requests[number % len(requests)])
            _note(outcome, number % len(requests), began, status)
            number += connections
        writer.close()

    await asyncio.gather(*(one(number) for number in range(connections)))
    return outcome


async def open_loop(port: int, requests: Sequence[bytes], *, per_s: float, seconds: float) -> Outcome:
    """The requests, over and over, each on an idle connection or a new one."""
    rng = np.random.default_rng(0)
    arrivals = np.cumsum(rng.exponential(1 / per_s, size=int(per_s * seconds)))
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    outcome = Outcome()

    async def one(number: int, due: float) -> None:
        try:
            connection = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port, limit=_READ_LIMIT)
            status = await _exchange(*connection, requests[number])
        except (OSError, EOFError) as failure:
            print(f"no answer: {failure!r}", file=sys.stderr)
            status = _LOST
        else:
            if not connection[1].is_closing():
                idle.append(connection)
        _note(outcome, number, due, status)

    started = time.perf_counter()
    running: list[asyncio.Task[None]] = []
    for number, arrival in enumerate(arrivals.tolist()):
        due = started + arrival
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.append(asyncio.create_task(one(number % len(requests), due)))
    await asyncio.gather(*running)
    return outcome


def _note(outcome: Outcome, number: int, due: float, status: int) -> None:
    outcome.number.append(number)
    outcome.took_ms.append((time.perf_counter() - due) * 1_000)
    outcome.status.append(status)


class Load(Protocol):
    """Sends requests, over and over; `connections` at a time for some `seconds`, or so many `per_s`."""

    def __call__(
        self, requests: Sequence[Request], *, seconds: float, connections: int = 0, per_s: float = 0.0
    ) -> Outcome: ...


def main() -> None:
    """The load process: reads one order per line, writes one line of what became of it."""
    for line in sys.stdin:
        order = json.loads(line)
        requests = [Request(**request).encoded() for request in order["requests"]]
        port, seconds, started = order["port"], order["seconds"], time.perf_counter()
        if order["per_s"]:
            running = open_loop(port, requests, per_s=order["per_s"], seconds=seconds)
        else:
            running = closed_loop(port, requests, connections=order["connections"], seconds=seconds)
        outcome = asyncio.run(running)
        print(json.dumps(asdict(outcome) | {"seconds": time.perf_counter() - started}), flush=True)


@contextmanager
def load_process(port: int) -> Iterator[Load]:
    """A process that sends load to a port of this machine."""
    command = [sys.executable, "-m", "tests.benchmark.load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def load(requests: Sequence[Request], *, seconds: float, connections: int = 0, per_s: float = 0.0) -> Outcome:
            assert process.stdin is not None
            assert process.stdout is not None
            order = {"port": port, "seconds": seconds, "connections": connections, "per_s": per_s}
            process.stdin.write(json.dumps(order | {"requests": [asdict(one) for one in requests]}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline() or "null")
            if answer is None:
                raise RuntimeError("the load process ended early; see its message above")
            return Outcome(**answer)

        yield load
        assert process.stdin is not None
        process.stdin.close()


if __name__ == "__main__":
    main()
