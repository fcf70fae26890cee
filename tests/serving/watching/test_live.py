"""What is seen of two real replicas behind HAProxy."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving import processes
from tests.serving.live import LiveServer
from tests.serving.watching.scrape import Scraped


def test_every_scrape_through_the_proxy_shows_both_replicas(server: LiveServer) -> None:
    with httpx.Client(base_url=server.url) as http:
        for _ in range(5):
            http.post("/v1/recommendations", json={}).raise_for_status()
        seen = [Scraped.of(http.get("/v1/admin/metrics").text) for _ in range(6)]
    assert {found("attune_replicas") for found in seen} == {2}
    assert all(found.labels("attune_answers_total", "replica") == {"0", "1"} for found in seen)
    assert min(found("attune_answers_total") for found in seen) >= 5
    counted = [found("attune_request_seconds_count") for found in seen]
    assert counted == sorted(counted)


def test_the_status_shows_both_replicas(server: LiveServer) -> None:
    replicas: set[str] = set()
    deadline = time.monotonic() + 20
    while len(replicas) < 2 and time.monotonic() < deadline:
        replicas.add(httpx.get(f"{server.url}/readyz").json()["replica"])
    text = httpx.get(f"{server.url}/v1/admin/status").text
    assert all(replica in text for replica in replicas)


def test_an_answer_has_one_request_id_and_it_is_the_one_that_was_sent(server: LiveServer) -> None:
    def ids(headers: dict[str, str]) -> list[str]:
        return httpx.get(f"{server.url}/healthz", headers=headers).headers.get_list("x-request-id")

    assert ids({"x-request-id": "click-17"}) == ["click-17"]
    for headers in ({}, {"x-request-id": "two words"}):
        [made] = ids(headers)
        assert len(made) == 32


@pytest.fixture
def watched(tiny_bundle: Path, tmp_path: Path) -> Iterator[tuple[LiveServer, int]]:
    """A server with two replicas, a port for metrics and a log in JSON."""
    port = processes.free_port()
    server = LiveServer(tiny_bundle, tmp_path, "app.replicas=2", f"app.metrics_port={port}", "app.log_format=json")
    server.start()
    server.wait_until_ready()
    yield server, port
    server.stop()


def scraped(port: int, *, replicas: int) -> Scraped:
    """The page of that port once it shows so many replicas."""
    deadline = time.monotonic() + 60
    while True:
        try:
            found = Scraped.of(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text)
            if found("attune_replicas") == replicas:
                return found
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def holder(port: int) -> int:
    process = processes.port_holder(port)
    assert process is not None
    return process.pid


@pytest.mark.slow
def test_the_port_for_metrics_outlives_its_replica_and_lines_of_replicas_arrive_as_json(
    watched: tuple[LiveServer, int],
) -> None:
    server, port = watched
    assert scraped(port, replicas=2).labels("attune_items_revision", "replica") == {"0", "1"}
    first = holder(port)
    os.kill(first, signal.SIGKILL)
    scraped(port, replicas=1)
    assert holder(port) != first
    assert scraped(port, replicas=2).labels("attune_items_revision", "replica") == {"0", "1"}
    lines = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    assert len([line for line in lines if "is ready with release" in line["message"]]) == 3
    assert len({line["process"] for line in lines}) == 3
