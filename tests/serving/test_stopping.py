"""Stopping: what is on its way is answered, nothing stays behind, and it does not take long; and starting after a stop
that was none."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving import processes
from tests.serving.live import LiveServer
from tests.serving.test_crash import private_folder, until

pytestmark = pytest.mark.slow

CLIENTS = 8
_BATCH = [{"type": "view", "user_id": "u", "item_id": "item-001"}] * 500
"""So many that taking them in lasts some time."""


@pytest.fixture
def server(tiny_bundle: Path, tmp_path: Path) -> Iterator[LiveServer]:
    """A server of two replicas that a test may stop."""
    server = LiveServer(tiny_bundle, tmp_path, "app.replicas=2")
    server.start()
    server.wait_until_ready()
    yield server
    server.stop()


def test_requests_on_their_way_are_answered_when_the_server_is_asked_to_stop(server: LiveServer) -> None:
    asked_at = 0.0
    answered_after: list[float] = []
    faults: list[str] = []
    sent = threading.Semaphore(0)

    def tell() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            while not asked_at:
                sent.release()
                try:
                    answer = http.post("/v1/events", json={"events": _BATCH})
                except httpx.HTTPError as fault:
                    faults.append(repr(fault))
                    continue
                if answer.status_code != 200 or answer.json()["accepted"] != len(_BATCH):
                    faults.append(answer.text[:200])
                if asked_at:
                    answered_after.append(time.monotonic() - asked_at)

    clients = [threading.Thread(target=tell) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(4 * CLIENTS):
        sent.acquire()
    asked_at = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    for client in clients:
        client.join()
    assert server.wait() == 0
    took_s = time.monotonic() - asked_at
    print(
        f"{len(answered_after)} requests were on their way, the last took {max(answered_after):.2f} s; {took_s:.1f} s"
    )
    assert faults == []
    assert len(answered_after) == CLIENTS
    assert took_s < 15


def test_after_a_stop_no_process_no_port_and_no_file_is_left(server: LiveServer) -> None:
    folder = private_folder(server)
    family = processes.descendants(server.pid)
    ports = {port for _, port in processes.listening(one.pid for one in family)}
    began = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait() == 0
    took_s = time.monotonic() - began
    print(f"stopped in {took_s:.1f} s")
    assert took_s < 15
    assert [one for one in family if one.alive()] == []
    assert {port: holder for port in ports if (holder := processes.port_holder(port))} == {}
    assert not folder.exists()


def test_after_the_sudden_death_of_the_first_process_the_same_command_starts_again(server: LiveServer) -> None:
    folder = private_folder(server)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    server.start()
    server.wait_until_ready()
    until(lambda: not folder.exists(), timeout_s=20, what="the janitor to remove what the dead one had left")


def test_after_the_sudden_death_of_janitor_and_first_process_a_start_tidies_up(server: LiveServer) -> None:
    folder = private_folder(server)
    family = processes.descendants(server.pid)
    [janitor] = [one for one in family if "serving.janitor" in Path(f"/proc/{one.pid}/cmdline").read_text()]
    os.kill(janitor.pid, signal.SIGKILL)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    until(lambda: not any(one.alive() for one in family), timeout_s=240, what="Ray to notice by itself")
    assert folder.exists()
    server.start()
    server.wait_until_ready()
    assert not folder.exists()
