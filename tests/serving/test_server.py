"""The real thing: Ray Serve behind HAProxy with two replicas, spoken to over HTTP."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from serving import processes
from tests.serving.live import LiveServer, ask, tell

_LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as http:
        yield http


def _category(item: dict[str, object]) -> str:
    assert isinstance(item["category"], list)
    return str(item["category"][0])


def test_both_replicas_answer(server: LiveServer) -> None:
    replicas: set[str] = set()
    deadline = time.monotonic() + 20
    while len(replicas) < 2 and time.monotonic() < deadline:
        replicas.add(httpx.get(f"{server.url}/readyz").json()["replica"])
    assert len(replicas) == 2


def test_two_hundred_times_the_next_answer_knows_the_event_whichever_replica_gives_it(server: LiveServer) -> None:
    with httpx.Client(base_url=server.url) as teller, httpx.Client(base_url=server.url) as asker:
        for number in range(200):
            visitor = f"fresh-{number}"
            tell(teller, "view", "item-017", anonymous_id=visitor)
            assert ask(asker, shopper={"anonymous_id": visitor}, count=1)["knowledge"] == "session"


def test_a_view_moves_the_slate_towards_its_category(http: httpx.Client) -> None:
    before = ask(http, shopper={"anonymous_id": "mover"}, count=50)["items"]
    categories = [_category(item) for item in before[:10]]
    viewed = next(
        item for item in before if _category(item) == min(sorted(map(_category, before)), key=categories.count)
    )
    tell(http, "view", viewed["item_id"], anonymous_id="mover")
    after = [_category(item) for item in ask(http, shopper={"anonymous_id": "mover"}, count=10)["items"]]
    assert after.count(_category(viewed)) > categories.count(_category(viewed))


def test_what_is_in_the_basket_is_not_offered_until_it_is_taken_out(http: httpx.Client) -> None:
    shopper = {"anonymous_id": "basket"}
    wanted = ask(http, shopper=shopper, count=100)["items"][0]["item_id"]
    tell(http, "add_to_cart", wanted, anonymous_id="basket")
    assert wanted not in [item["item_id"] for item in ask(http, shopper=shopper, count=100)["items"]]
    tell(http, "remove_from_cart", wanted, anonymous_id="basket")
    assert wanted in [item["item_id"] for item in ask(http, shopper=shopper, count=100)["items"]]


def test_ten_megabytes_are_refused_through_the_proxy_too(http: httpx.Client) -> None:
    answer = http.post("/v1/events", content=b" " * (10 * 1024 * 1024))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_documentation_is_there(http: httpx.Client) -> None:
    assert http.get("/docs").status_code == 200
    assert http.get("/openapi.json").status_code == 200


def test_nothing_listens_beyond_loopback(server: LiveServer, http: httpx.Client) -> None:
    assert http.get("/healthz").status_code == 200
    family = [server.pid, *(one.pid for one in processes.descendants(server.pid))]
    listening = processes.listening(family)
    assert any(port == server.port for _, port in listening)
    assert {address for address, _ in listening} <= _LOOPBACK


def test_a_second_server_on_the_same_port_says_who_holds_it(server: LiveServer, http: httpx.Client) -> None:
    assert http.get("/healthz").status_code == 200
    second = LiveServer(server.bundle, server.folder / "second", port=server.port)
    second.start()
    assert second.wait() == 1
    assert f"port {server.port} on 127.0.0.1 is taken by process" in second.output
    assert "haproxy" in second.output
    assert f"server.port={server.port + 1}" in second.output
    assert "Traceback" not in second.output


def test_a_port_held_by_somebody_else_is_refused_before_anything_starts(server: LiveServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        second = LiveServer(server.bundle, server.folder / "third", port=holder.getsockname()[1])
        second.start()
        assert second.wait() == 1
    assert "is taken by process" in second.output
