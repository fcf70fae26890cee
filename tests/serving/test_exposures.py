"""What is written down of every slate, in the order in which it was, whichever store keeps it."""

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from recsys.log.erase import Named
from serving.exposure import ExposureLog
from serving.store.protocol import ExposedItem, Exposure, OnlineStore
from serving.store.redis import RedisStore
from serving.store.sqlite import SqliteStore
from tests.serving.redis_server import RedisServer
from tests.serving.stores import Place


def slate(name: str, *, user: str | None = None, at: int = 1) -> Exposure:
    return Exposure(
        recommendation_id=name,
        at=at,
        placement="home",
        policy="top_k",
        model_version="1",
        knowledge="cold",
        user_id=user,
        items=(ExposedItem(item_id="i", position=0, propensity=1.0, score=0.5, source="encoder"),),
    )


async def shown(store: OnlineStore, *, after: int = 0, limit: int = 100) -> list[tuple[int, str]]:
    return [(one.number, one.exposure.recommendation_id) for one in await store.shown(after=after, limit=limit)]


async def test_slates_are_numbered_as_they_are_recorded_and_told_page_by_page(store: OnlineStore) -> None:
    assert (await shown(store), await store.last_shown()) == ([], 0)
    await store.record_exposures([slate("b", at=9), slate("a", at=3)])
    await store.record_exposures([slate("c"), slate("a", at=4)])
    assert await shown(store) == [(1, "b"), (2, "a"), (3, "c")], "a second record of one is none"
    assert await shown(store, after=1, limit=1) == [(2, "a")]
    assert await shown(store, after=3) == []
    assert await store.last_shown() >= 3
    assert (await store.shown(after=0, limit=1))[0].exposure == slate("b", at=9)


async def test_the_number_of_an_erased_slate_is_not_given_again(store: OnlineStore) -> None:
    await store.record_exposures([slate("a", user="stays"), slate("b", user="goes"), slate("c", user="goes")])
    await store.forget(Named("user", "goes"), at=5)
    assert (await shown(store), await store.last_shown()) == ([(1, "a")], 3)
    await store.record_exposures([slate("d")])
    assert await shown(store) == [(1, "a"), (4, "d")]
    assert await shown(store, after=1, limit=1) == [(4, "d")], "numbers that are gone are passed over"


async def test_numbers_go_on_after_a_restart(lasting_place: Place) -> None:
    async with lasting_place.opened("same") as one:
        await one.record_exposures([slate("a", user="goes")])
        await one.forget(Named("user", "goes"), at=5)
    async with lasting_place.opened("same") as again:
        await again.record_exposures([slate("b")])
        assert await shown(again) == [(2, "b")]


async def test_expired_slates_leave_the_order_they_stood_in(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url, prefix="expiring", exposure_days=0.5 / 86_400)
    await store.open()
    with redis_server.client() as client:
        await store.record_exposures([slate(str(number)) for number in range(50)])
        assert client.xlen("expiring:shown") == 50
        until_gone(client, "expiring:exposure:49")
        for number in range(50, 53):
            await store.record_exposures([slate(str(number))])
        assert 3 <= client.xlen("expiring:shown") < 50, "some go whenever some come"
        assert [number for number, _ in await shown(store)] == [51, 52, 53]
    await store.close()


def until_gone(client: redis.Redis, key: str) -> None:
    deadline = time.monotonic() + 10
    while client.exists(key):
        assert time.monotonic() < deadline
        time.sleep(0.05)


VERSION_4 = """
CREATE TABLE events (
    number INTEGER PRIMARY KEY, event_id TEXT UNIQUE, type TEXT NOT NULL, occurred_at INTEGER NOT NULL,
    user_id TEXT, anonymous_id TEXT, session_id TEXT, channel TEXT, device TEXT, store TEXT, item_id TEXT,
    quantity REAL NOT NULL, price REAL, list_price REAL, currency TEXT, query TEXT, placement TEXT,
    recommendation_id TEXT, position INTEGER, consent TEXT, filters TEXT, rating REAL, offer_id TEXT
);
CREATE INDEX events_by_user ON events (user_id, occurred_at, event_id) WHERE user_id IS NOT NULL;
CREATE INDEX events_by_anonymous ON events (anonymous_id, occurred_at, event_id) WHERE anonymous_id IS NOT NULL;
CREATE INDEX events_of_both ON events (anonymous_id, occurred_at)
    WHERE anonymous_id IS NOT NULL AND user_id IS NOT NULL;
CREATE TABLE links (
    anonymous_id TEXT NOT NULL, number INTEGER NOT NULL, linked_at INTEGER NOT NULL, user_id TEXT,
    PRIMARY KEY (anonymous_id, number)
) WITHOUT ROWID;
CREATE INDEX links_by_user ON links (user_id, linked_at) WHERE user_id IS NOT NULL;
CREATE TABLE exposures (
    recommendation_id TEXT PRIMARY KEY, at INTEGER NOT NULL, placement TEXT NOT NULL, policy TEXT NOT NULL,
    model_version TEXT NOT NULL, knowledge TEXT NOT NULL, user_id TEXT, anonymous_id TEXT, session_id TEXT,
    device TEXT, channel TEXT, store TEXT, degraded TEXT, items TEXT NOT NULL
);
CREATE INDEX exposures_by_time ON exposures (at);
CREATE INDEX exposures_by_user ON exposures (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX exposures_by_visitor ON exposures (anonymous_id, at) WHERE anonymous_id IS NOT NULL;
CREATE TABLE items (
    item_id TEXT PRIMARY KEY, in_catalogue INTEGER NOT NULL, body TEXT, revision INTEGER NOT NULL UNIQUE,
    changed_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL, told_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE erased (
    digest TEXT PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, hint INTEGER NOT NULL, length INTEGER NOT NULL,
    receipt TEXT, is_clean INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO events (number, event_id, type, occurred_at, user_id, quantity) VALUES (4, 'e', 'view', 1, 'ann', 1);
INSERT INTO exposures VALUES
    ('late', 7, 'home', 'top_k', '1', 'cold', 'ann', NULL, NULL, 'phone', NULL, NULL, 'no encoder', '[]'),
    ('early', 5, 'home', 'top_k', '1', 'cold', NULL, 'v', 's', NULL, 'app', '12', NULL,
        '[{"item_id": "i", "position": 0, "propensity": 1.0, "score": 0.5, "source": "encoder"}]');
PRAGMA user_version = 4;
"""


async def test_a_file_of_version_4_has_its_slates_numbered_by_time_and_nothing_is_lost(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "events.db")
    connection.executescript(VERSION_4)
    connection.close()
    for _ in range(2):
        store = SqliteStore(tmp_path / "events.db")
        await store.open()
        assert await shown(store) == [(1, "early"), (2, "late")]
        early, late = [one.exposure for one in await store.shown(after=0, limit=9)]
        bare = slate("late", user="ann", at=7)
        assert late == replace(bare, device="phone", degraded="no encoder", items=())
        told = replace(slate("early", at=5), anonymous_id="v", session_id="s", channel="app", store="12")
        assert early == told
        assert (late.rung, late.candidates, late.experiments) == (None, None, ())
        assert [one.number for one in await store.arrived(after=0, limit=9)] == [4]
        await store.close()
    connection = sqlite3.connect(tmp_path / "events.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (5,)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE '%exposures_4%'").fetchone() == (0,)
    indexes = "SELECT name FROM sqlite_master WHERE tbl_name = 'exposures' AND type = 'index' AND sql IS NOT NULL"
    assert sorted(name for (name,) in connection.execute(indexes)) == [
        "exposures_by_time",
        "exposures_by_user",
        "exposures_by_visitor",
    ]


@pytest.mark.parametrize("largest", [1, 256])
async def test_recording_returns_before_anything_is_written(tmp_path: Path, largest: int) -> None:
    """The answer is on its way while the store is still locked by somebody else."""
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    other = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log = ExposureLog(store, largest=largest, gather_s=0.0)
    began = time.perf_counter()
    for number in range(100):
        log.record(slate(str(number)))
    assert time.perf_counter() - began < 0.1
    assert log.written == 0
    other.execute("COMMIT")
    other.close()
    await log.close()
    assert (log.written, log.lost, await store.last_shown()) == (100, 0, 100)
    await store.close()
