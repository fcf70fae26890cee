"""What survives a sudden death, and what must not be left behind by one."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from serving import processes
from serving.janitor import MARK
from serving.store.sqlite import SqliteStore
from tests.serving.live import LiveServer, ask, tell

pytestmark = pytest.mark.slow


class Stream:
    """Sends events one after the other until told to stop, and remembers which were acknowledged.

    What fails is sent again under the same id, as a careful sender does.
    """

    def __init__(self, url: str) -> None:
        self.acknowledged: list[str] = []
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        with httpx.Client(base_url=self._url, timeout=10) as http:
            while not self._stop.is_set():
                event = {"event_id": f"e{number}", "type": "view", "user_id": "streamer", "item_id": "item-001"}
                try:
                    answer = http.post("/v1/events", json=event)
                except httpx.HTTPError:
                    continue
                if answer.status_code == 200:
                    self.acknowledged.append(event["event_id"])
                    number += 1


@pytest.fixture
def server(tiny_bundle: Path, tmp_path: Path) -> Iterator[LiveServer]:
    """A server that a test may kill."""
    server = LiveServer(tiny_bundle, tmp_path, "app.replicas=2")
    server.start()
    server.wait_until_ready()
    yield server
    server.stop()


def stored(server: LiveServer) -> set[str]:
    """The ids of the streamer's events, read from the file itself."""

    async def read() -> set[str]:
        store = SqliteStore(server.folder / "store" / "events.db")
        await store.open()
        events = await store.history(user_id="streamer", anonymous_id=None, limit=10_000_000)
        await store.close()
        return {event.event_id for event in events}

    return asyncio.run(read())


def replicas(server: LiveServer) -> list[processes.Process]:
    return [one for one in processes.descendants(server.pid) if one.name.startswith("ray::ServeRepl")]


def private_folder(server: LiveServer) -> Path:
    """Where the server keeps its files while it runs."""
    environments = (Path(f"/proc/{one.pid}/environ").read_text() for one in replicas(server))
    [folder] = {entry for each in environments for entry in each.split("\0") if entry.startswith(f"{MARK}=")}
    return Path(folder.removeprefix(f"{MARK}="))


def until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what} after {timeout_s} s"
        time.sleep(0.1)


def test_the_sudden_death_of_a_replica_loses_no_acknowledged_event_and_it_comes_back(server: LiveServer) -> None:
    victims = replicas(server)
    assert len(victims) == 2
    with Stream(server.url) as stream:
        until(lambda: len(stream.acknowledged) > 200, timeout_s=60, what="200 acknowledged events")
        os.kill(victims[0].pid, signal.SIGKILL)
        before = len(stream.acknowledged)
        until(lambda: len(stream.acknowledged) > before + 200, timeout_s=60, what="events being acknowledged again")
        until(lambda: len(replicas(server)) == 2, timeout_s=60, what="the replica to come back")
    assert set(stream.acknowledged) <= stored(server)


def test_the_death_of_both_replicas_at_once_is_survived_too(server: LiveServer) -> None:
    with Stream(server.url) as stream:
        until(lambda: len(stream.acknowledged) > 200, timeout_s=60, what="200 acknowledged events")
        for victim in replicas(server):
            os.kill(victim.pid, signal.SIGKILL)
        before = len(stream.acknowledged)
        until(lambda: len(stream.acknowledged) > before + 200, timeout_s=90, what="events being acknowledged again")
    assert set(stream.acknowledged) <= stored(server)


def test_after_the_sudden_death_of_everything_a_restart_finds_every_acknowledged_event(server: LiveServer) -> None:
    with Stream(server.url) as stream:
        until(lambda: len(stream.acknowledged) > 500, timeout_s=60, what="500 acknowledged events")
        server.kill()
    assert set(stream.acknowledged) <= stored(server)
    server.start()
    server.wait_until_ready()
    with httpx.Client(base_url=server.url, timeout=30) as http:
        assert ask(http, shopper={"user_id": "streamer"})["knowledge"] != "cold"


def test_when_only_the_first_process_is_killed_the_rest_goes_too(server: LiveServer) -> None:
    family = processes.descendants(server.pid)
    assert any(one.name == "haproxy" for one in family)
    folder = private_folder(server)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    processes_left = list(family)
    deadline = time.monotonic() + 30
    while (processes_left := [one for one in processes_left if one.alive()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_left == [], server.output
    until(lambda: not folder.exists(), timeout_s=10, what="the janitor to remove the folder")
    assert processes.port_is_free("127.0.0.1", server.port)


def test_stopping_leaves_no_process_no_port_and_no_files(server: LiveServer) -> None:
    folder = private_folder(server)
    assert folder.stat().st_mode & 0o077 == 0, "nobody else may look into it"
    family = processes.descendants(server.pid)
    ports = {port for _, port in processes.listening(one.pid for one in family)}
    server.stop()
    assert not any(one.alive() for one in family)
    assert {port: holder for port in ports if (holder := processes.port_holder(port))} == {}
    assert not folder.exists()


_OTHER_RAY = """
import ray, sys
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)

@ray.remote
class Counter:
    count = 0
    def add(self):
        self.count += 1
        return self.count

counter = Counter.remote()
for line in sys.stdin:
    print(ray.get(counter.add.remote()), ray.get_runtime_context().gcs_address, flush=True)
"""


def test_another_ray_on_the_machine_is_neither_joined_nor_disturbed(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER_RAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )

    def poke() -> list[str]:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write("\n")
        other.stdin.flush()
        return other.stdout.readline().split()

    count, address = poke()
    assert count == "1"
    monkeypatch.setenv("RAY_ADDRESS", address)
    family = processes.descendants(other.pid)
    server = LiveServer(tiny_bundle, tmp_path / "ours")
    server.start()
    server.wait_until_ready()
    with httpx.Client(base_url=server.url, timeout=30) as http:
        tell(http, "view", "item-001", anonymous_id="a")
    assert poke()[0] == "2"
    server.stop()
    assert poke() == ["3", address]
    assert all(one.alive() for one in family)
    other.communicate()
    assert other.returncode == 0
