"""Two real replicas on a real Redis that dies and comes back: nothing acknowledged is lost, all are answered."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.store.redis import RedisStore
from tests.serving.live import LiveServer, ask, ready, tell
from tests.serving.redis_server import PASSWORD, RedisServer
from tests.serving.test_crash import Stream, until
from tests.serving.test_store import ids

pytestmark = pytest.mark.slow


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may kill."""
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = RedisServer(folder)
    redis.start()
    yield redis
    redis.stop()


@pytest.fixture
def server(
    redis: RedisServer, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LiveServer]:
    """Two replicas that share it; they learn of it from the environment."""
    monkeypatch.setenv("ATTUNE_REDIS_URL", redis.url)
    server = LiveServer(tiny_bundle, tmp_path / "shop", "app.replicas=2", "store=redis")
    server.start()
    server.wait_until_ready()
    yield server
    server.stop()


def test_a_redis_that_dies_under_load_loses_nothing_and_leaves_nobody_without_an_answer(
    server: LiveServer, redis: RedisServer
) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as http, Stream(server.url) as stream:
        for number in range(50):
            shopper = {"user_id": f"fresh-{number}"}
            tell(http, "view", "item-001", **shopper)
            assert ask(http, shopper=shopper)["knowledge"] != "cold", "whichever replica answers"
        until(lambda: len(stream.acknowledged) > 100, timeout_s=60, what="100 acknowledged events")
        redis.kill()
        began = time.monotonic()
        for number in range(20):
            answer = http.post("/v1/recommendations", json={"shopper": {"user_id": f"fresh-{number}"}})
            assert answer.status_code == 200
            assert "history could not be read" in answer.json()["degraded"]
        assert time.monotonic() - began < 10
        event = {"type": "view", "user_id": "u", "item_id": "item-001"}
        refused = http.post("/v1/events", json=event)
        assert refused.status_code == 503
        assert not ready(server.url)
        redis.start()
        before = len(stream.acknowledged)
        until(lambda: len(stream.acknowledged) > before + 100, timeout_s=30, what="events being acknowledged again")
        until(lambda: ready(server.url), timeout_s=10, what="the replicas to be ready again")
        ask(http, shopper={"user_id": "fresh-1"})

    async def stored() -> set[str]:
        store = RedisStore(redis.url)
        await store.open()
        found = set(await ids(store, user="streamer", limit=1_000_000))
        await store.close()
        return found

    assert set(stream.acknowledged) <= asyncio.run(stored())
    assert PASSWORD not in server.output
    assert PASSWORD not in refused.text
