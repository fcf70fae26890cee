"""Two real replicas: whoever signs in on one device is known on the other in the next request, whichever answers."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving.live import LiveServer, tell
from tests.serving.redis_server import RedisServer
from tests.serving.stores import redis_server  # noqa: F401

DEVICES = 20


def sqlite_shop(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.getfixturevalue("server").url


def redis_shop(request: pytest.FixtureRequest) -> Iterator[str]:
    redis: RedisServer = request.getfixturevalue("redis_server")
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("identity")
    settings = ("app.replicas=2", "store=redis", "store.prefix=identity", f"store.url={redis.url}")
    server = LiveServer(request.getfixturevalue("tiny_bundle"), folder, *settings)
    server.start()
    try:
        server.wait_until_ready()
        yield server.url
    finally:
        server.stop()


@pytest.fixture(scope="module", params=[sqlite_shop, pytest.param(redis_shop, marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A service of two replicas on each store that they can share."""
    yield from request.param(request)


def said(http: httpx.Client, what: str, user: str, visitor: str) -> None:
    answer = http.post(f"/v1/identity:{what}", json={"user_id": user, "anonymous_id": visitor})
    assert answer.json()["status"] == "accepted", answer.text


def offered(http: httpx.Client, **who: str) -> list[str]:
    answer = http.post("/v1/recommendations", json={"shopper": who, "count": 100})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["degraded"] is None
    return [item["item_id"] for item in body["items"]]


def both_answer(url: str) -> None:
    replicas: set[str] = set()
    deadline = time.monotonic() + 20
    while len(replicas) < 2 and time.monotonic() < deadline:
        replicas.add(httpx.get(f"{url}/readyz").json()["replica"])
    assert len(replicas) == 2


def test_a_basket_begun_on_a_laptop_is_there_on_the_phone_in_the_next_request(url: str) -> None:
    both_answer(url)
    with httpx.Client(base_url=url, timeout=30) as laptop, httpx.Client(base_url=url, timeout=30) as phone:
        wanted = offered(laptop, anonymous_id="stranger")[0]
        for number in range(DEVICES):
            user, at_home, on_the_way = f"ann-{number}", f"laptop-{number}", f"phone-{number}"
            tell(laptop, "add_to_cart", wanted, anonymous_id=at_home)
            assert wanted in offered(phone, user_id=user)
            said(laptop, "link", user, at_home)
            assert wanted not in offered(phone, user_id=user)
            said(phone, "link", user, on_the_way)
            assert wanted not in offered(phone, anonymous_id=on_the_way)
            said(laptop, "unlink", user, at_home)
            assert wanted in offered(phone, anonymous_id=on_the_way), "a shared device: it may be anybody's"
            assert wanted not in offered(laptop, anonymous_id=at_home)


def test_sign_ins_at_the_same_time_leave_each_user_their_own(url: str) -> None:
    async def shopping() -> list[bool]:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:

            async def one(number: int) -> bool:
                who = {"user_id": f"eve-{number}", "anonymous_id": f"tablet-{number}"}
                visitor = {"anonymous_id": who["anonymous_id"]}
                question = {"shopper": visitor, "count": 100}
                first = (await http.post("/v1/recommendations", json=question)).json()["items"][number]["item_id"]
                event = {"type": "add_to_cart", "item_id": first, **visitor}
                assert (await http.post("/v1/events", json=event)).status_code == 200
                assert (await http.post("/v1/identity:link", json=who)).status_code == 200
                question = {"shopper": {"user_id": who["user_id"]}, "count": 100}
                shown = (await http.post("/v1/recommendations", json=question)).json()["items"]
                return first not in {item["item_id"] for item in shown}

            return await asyncio.gather(*(one(number) for number in range(DEVICES)))

    assert all(asyncio.run(shopping()))
