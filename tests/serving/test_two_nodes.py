"""A machine dies under load: what clients of the rest see, without and with one more try."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import processes
from tests.serving.live import ready
from tests.serving.redis_server import RedisServer
from tests.serving.test_crash import until

pytestmark = pytest.mark.slow

CLIENTS = 4
_REMEMBERED = 400


@dataclass(slots=True)
class Nodes:
    """Two nodes of one cluster, one of which may be killed."""

    process: "subprocess.Popen[str]"
    url: str
    second: list[int]

    def kill_second(self) -> None:
        """The second node with all its processes, at once."""
        for pid in self.second:
            os.kill(pid, signal.SIGKILL)

    def replicas(self) -> list[processes.Process]:
        """Of both nodes."""
        return [one for one in processes.descendants(self.process.pid) if one.name.startswith("ray::ServeRepl")]


@pytest.fixture
def nodes(tiny_bundle: Path, tmp_path: Path) -> Iterator[Nodes]:
    """The nodes and a Redis between them, gone afterwards."""
    short, database = Path("/tmp", f"attune-two-{os.getpid()}"), tmp_path / "redis"
    short.mkdir(mode=0o700)
    database.mkdir()
    redis = RedisServer(database)
    redis.start()
    port = processes.free_port()
    command = [sys.executable, "-m", "tests.serving.two_nodes", str(tiny_bundle), str(short), str(port)]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=os.environ | {"ATTUNE_REDIS_URL": redis.url},
        )
    try:
        assert process.stdout is not None
        said_ready = process.stdout.readline().split()
        assert said_ready, (tmp_path / "said").read_text()
        url = f"http://127.0.0.1:{port}"
        until(lambda: ready(url), timeout_s=30, what="an answer")
        yield Nodes(process, url, [int(pid) for pid in said_ready[1:]])
    finally:
        family = processes.descendants(process.pid)
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(60)
        finally:
            processes.end(family, patience_s=5)
            redis.stop()
            subprocess.run(["rm", "-rf", str(short)], check=True)


@dataclass(slots=True)
class Clients:
    """Shops that tell events and ask for slates all the time; each request that fails is sent once more.

    `sent`, `failed` and `failed_twice` count by path; `acknowledged` are the ids of events.
    """

    url: str
    sent: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failed_twice: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Clients":
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: int) -> None:
        number = 0
        with httpx.Client(base_url=self.url, timeout=10) as http:
            while not self._stop.is_set():
                event = {"event_id": f"{client}-{number}", "type": "view", "user_id": "u", "item_id": "item-001"}
                if self._sent(http, "/v1/events", event):
                    self.acknowledged.append(event["event_id"])
                self._sent(http, "/v1/recommendations", {"shopper": {"user_id": "u"}})
                number += 1
                time.sleep(0.005)

    def _sent(self, http: httpx.Client, path: str, body: dict[str, Any]) -> bool:
        self.sent[path] += 1
        began = time.monotonic()
        if not self._answered(http, path, body):
            self.failed[path] += 1
            if not self._answered(http, path, body):
                self.failed_twice[path] += 1
                return False
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        return True

    def _answered(self, http: httpx.Client, path: str, body: dict[str, Any]) -> bool:
        try:
            answer = http.post(path, json=body)
        except httpx.HTTPError as fault:
            self.faults.append(repr(fault))
            return False
        if answer.status_code != 200:
            self.faults.append(f"{answer.status_code} {answer.text[:100]}")
        return answer.status_code == 200


def test_a_client_that_tries_once_more_sees_nothing_of_a_machine_that_dies(nodes: Nodes) -> None:
    assert len(nodes.replicas()) == 2
    with Clients(nodes.url) as clients:
        until(lambda: sum(clients.sent.values()) > _REMEMBERED, timeout_s=60, what="some load")
        assert not clients.failed
        before = sum(clients.sent.values())
        nodes.kill_second()
        time.sleep(8)
        after = sum(clients.sent.values())
    print(
        f"{after - before} requests after the death of one of two machines: {dict(clients.failed)} failed at first, "
        f"{dict(clients.failed_twice)} twice, the slowest took {clients.slowest_s:.2f} s; {Counter(clients.faults)}"
    )
    assert not clients.failed_twice
    assert sum(clients.failed.values()) <= 2 * CLIENTS, "only what was on its way to that machine"
    assert after - before > _REMEMBERED, "the rest goes on"
    assert len(nodes.replicas()) == 1
