"""What is only true of the store in Redis: what it asks of the server, what it forgets, and what it never says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from recsys.errors import ConfigError, StoreError
from serving.exporter import export
from serving.store.item import PutItem
from serving.store.protocol import Exposure
from serving.store.redis import RedisStore
from tests.serving.redis_server import PASSWORD, RedisServer
from tests.serving.test_store import ids, view

DAY_MS = 86_400_000


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A look at an empty server, whose settings are afterwards what they were."""
    with redis_server.client() as client:
        client.flushall()
        before = client.config_get("append*", "maxmemory*", "no-appendfsync-on-rewrite")
        yield client
        for name in ("appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory", "maxmemory-policy"):
            client.config_set(name, before[name])


@pytest.fixture
async def store(redis_server: RedisServer, client: redis.Redis) -> AsyncIterator[RedisStore]:
    """An empty store."""
    store = RedisStore(redis_server.url)
    await store.open()
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("name", "value", "durability", "said"),
    [
        ("appendonly", "no", "everysec", "appendonly is no, must be yes"),
        ("appendfsync", "everysec", "always", "appendfsync is everysec, must be always"),
        ("appendfsync", "no", "everysec", "appendfsync is no, must be everysec"),
        ("no-appendfsync-on-rewrite", "yes", "always", "no-appendfsync-on-rewrite is yes"),
        ("maxmemory-policy", "allkeys-lru", "always", "maxmemory-policy is allkeys-lru, must be noeviction"),
    ],
)
async def test_a_server_that_keeps_less_than_asked_is_refused_with_the_setting_to_change(
    redis_server: RedisServer, client: redis.Redis, name: str, value: str, durability: str, said: str
) -> None:
    client.config_set("maxmemory", "1gb")
    client.config_set(name, value)
    with pytest.raises(StoreError, match=rf"127.0.0.1:{redis_server.port}/0.*durability={durability}.*{said}"):
        await RedisStore(redis_server.url, durability=durability).open()
    assert client.keys() == []


async def test_a_server_that_keeps_nothing_is_taken_where_that_is_asked_for_with_a_warning(
    redis_server: RedisServer, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.config_set("appendonly", "no")
    store = RedisStore(redis_server.url, durability="none")
    await store.open()
    assert "acknowledged events are lost when it stops" in caplog.text
    assert await store.append([view("a", 1, user="u")]) == [True]
    await store.close()


async def test_everysec_is_enough_for_everysec(redis_server: RedisServer, client: redis.Redis) -> None:
    client.config_set("appendfsync", "everysec")
    store = RedisStore(redis_server.url, durability="everysec")
    await store.open()
    await store.close()


async def test_where_settings_cannot_be_seen_it_is_said_what_they_must_be(
    redis_server: RedisServer, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.acl_setuser("shop", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-config"], keys=["*"])
    store = RedisStore(f"redis://shop:pw@127.0.0.1:{redis_server.port}/0")
    await store.open()
    assert "has appendonly yes, appendfsync always and maxmemory-policy noeviction" in caplog.text
    await store.close()


async def test_keys_of_a_later_version_are_refused_with_both_versions(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    client.set("attune:schema", 99)
    with pytest.raises(StoreError, match=r"attune:\* have schema version 99.*reads version 2.*store.prefix"):
        await RedisStore(redis_server.url).open()
    assert client.get("attune:schema") == "99"


async def test_keys_of_the_version_before_are_taken_over_as_they_are(
    redis_server: RedisServer, store: RedisStore, client: redis.Redis
) -> None:
    """It had no erasures; a program of that version would take the erased in again, and is refused from now on."""
    await store.append([view("a", 1, user="u")])
    client.set("attune:schema", 1)
    later = RedisStore(redis_server.url)
    await later.open()
    assert await ids(later, user="u") == ["a"]
    assert client.get("attune:schema") == "2"
    await later.close()


async def test_a_full_memory_refuses_new_events_and_still_reads_the_old_ones(
    store: RedisStore, redis_server: RedisServer, client: redis.Redis
) -> None:
    await store.append([view("early", 1, user="u")])
    client.config_set("maxmemory", "1mb")
    with pytest.raises(StoreError, match="maxmemory is reached"):
        await store.append([view("a", 2, user="u"), view("b", 3, user="u")])
    assert await ids(store, user="u") == ["early"]
    late = RedisStore(redis_server.url)
    await late.open()
    assert [one.event.event_id for one in await late.arrived(after=0, limit=9)] == ["early"]
    await late.close()
    client.config_set("maxmemory", "0")
    assert await store.append([view("a", 2, user="u")]) == [True]


async def test_a_replica_is_refused(redis_server: RedisServer, client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(StoreError, match=r"is a replica.*name the primary in store.url"):
            await RedisStore(redis_server.url).open()
    finally:
        client.replicaof("NO", "ONE")


async def test_stores_of_different_prefixes_share_nothing(redis_server: RedisServer, store: RedisStore) -> None:
    other = RedisStore(redis_server.url, prefix="other")
    await other.open()
    await store.append([view("a", 1, user="u")])
    assert await other.append([view("a", 1, user="u")]) == [True]
    assert [one.number for one in await other.arrived(after=0, limit=9)] == [1]
    await other.close()


async def test_an_id_is_known_for_as_long_as_set_and_then_forgotten(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    store = RedisStore(redis_server.url, known_days=2)
    await store.open()
    await store.append([view("old", 1, user="u"), view("yesterday", 2, user="u")])
    seconds = client.time()[0]
    client.zadd("attune:ids", {"old": seconds - 2 * 86_400 - 5, "yesterday": seconds - 86_400 - 5})
    assert await store.append([view("yesterday", 2, user="u"), view("new", 3, user="u")]) == [False, True]
    assert sorted(client.zrange("attune:ids", 0, -1)) == ["new", "yesterday"]
    assert await ids(store, user="u") == ["old", "yesterday", "new"]
    await store.close()


async def test_shoppers_are_forgotten_so_long_after_their_last_event_whichever_id_it_came_under(
    redis_server: RedisServer, client: redis.Redis
) -> None:
    store = RedisStore(redis_server.url, shopper_days=400, exposure_days=10)
    await store.open()
    await store.append([view("a", 1, anonymous="v"), view("b", 2, user="u", anonymous="v"), view("c", 3, user="w")])
    of_shoppers = {"user:u", "visitors:u", "visitor:v", "told:v", "changes:v", "user:w"}
    for key in of_shoppers:
        assert 399 * DAY_MS < client.pttl(f"attune:{key}") <= 400 * DAY_MS, key
        client.pexpire(f"attune:{key}", DAY_MS)
    await store.append([view("d", 4, anonymous="v")])
    renewed = {key for key in of_shoppers if client.pttl(f"attune:{key}") > 399 * DAY_MS}
    assert renewed == of_shoppers - {"user:w"}, "the visitor is u"
    exposure = Exposure(
        recommendation_id="r", at=1, placement="p", policy="p", model_version="1", knowledge="cold", items=()
    )
    await store.record_exposures([exposure])
    assert 9 * DAY_MS < client.pttl("attune:exposure:r") <= 10 * DAY_MS
    lasting = {key for key in client.scan_iter() if client.pttl(key) == -1}
    assert lasting == {
        f"attune:{name}" for name in ("schema", "ids", "number", "arrived", "first", "shown", "shown_number")
    }
    await store.close()


async def test_by_default_no_shopper_is_forgotten(store: RedisStore, client: redis.Redis) -> None:
    await store.append([view("a", 1, anonymous="v"), view("b", 2, user="u", anonymous="v")])
    assert {client.pttl(key) for key in client.scan_iter()} == {-1}


async def test_what_was_exported_may_be_trimmed_and_the_export_goes_on(
    store: RedisStore, client: redis.Redis, tmp_path: Path
) -> None:
    await store.append([view(f"{number}", number, user="u") for number in range(5)])
    assert (await export(store, tmp_path)).events == 5
    client.xtrim("attune:arrived", minid="5", approximate=False)
    assert (await export(store, tmp_path)).events == 0
    await store.append([view("later", 9, user="u")])
    assert (await export(store, tmp_path)).events == 1
    assert [one.number for one in await store.arrived(after=0, limit=9)] == [1, 5, 6]
    assert [one.number for one in await store.arrived(after=0, limit=1)] == [1]


async def test_a_server_that_lost_its_latest_events_does_not_mislead_the_exporter(
    store: RedisStore, client: redis.Redis, tmp_path: Path
) -> None:
    await store.append([view(f"{number}", number, user="u") for number in range(5)])
    assert (await export(store, tmp_path)).events == 5
    client.xdel("attune:arrived", "5-0")  # as after a restart with everysec
    client.execute_command("XSETID", "attune:arrived", "4-0")
    client.set("attune:number", 4)
    await store.append([view("another", 9, user="u")])
    with pytest.raises(StoreError, match="event 5 of the store is not the last one of"):
        await export(store, tmp_path)


async def test_a_server_that_lost_everything_is_another_store_to_the_exporter(
    store: RedisStore, client: redis.Redis, tmp_path: Path
) -> None:
    await store.append([view("first", 1, user="u")])
    one = await export(store, tmp_path)
    client.flushall()
    await store.append([view("other", 1, user="u")])
    other = await export(store, tmp_path)
    assert (one.events, other.events) == (1, 1)
    assert {path.name for path in one.files}.isdisjoint(path.name for path in other.files)


async def test_whoever_knows_of_item_changes_that_were_lost_is_told_everything_anew(
    store: RedisStore, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await store.change_items([PutItem(name, False, {}) for name in "abc"], at=1)
    client.flushall()
    await store.change_items([PutItem("d", False, {})], at=2)
    assert [item.item_id for item in await store.items_since(3, limit=9)] == ["d"]
    assert "lost changes of items up to revision 3" in caplog.text
    assert await store.items_since(1, limit=9) == []


@pytest.mark.parametrize(
    "url",
    [
        f"rdis://:{PASSWORD}@host",
        f"redis://:{PASSWORD}@host:port",
        f"{PASSWORD}",
        f"redis://:{PASSWORD}@[",
        f"redis://:{PASSWORD}@host?colour=red",
    ],
)
def test_an_address_that_is_none_is_refused_without_saying_the_password(url: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url is not an address of Redis; use redis://") as refused:
        RedisStore(url)
    assert PASSWORD not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(("setting", "said"), [({"durability": "some"}, "always"), ({"known_days": 0.5}, "1 or more")])
def test_settings_that_cannot_work_are_refused(setting: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RedisStore("redis://localhost", **setting)


async def test_no_message_and_no_log_holds_the_password(
    redis_server: RedisServer, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = f"wrong-{PASSWORD}"
    port = redis_server.port
    messages = []
    for url in (
        f"redis://:{wrong}@127.0.0.1:{port}",
        f"redis://me:{wrong}@127.0.0.1:{port}",
        f"redis://:{wrong}@127.0.0.1:1",
    ):
        store = RedisStore(url)
        with pytest.raises(StoreError) as refused:
            await store.open()
        messages += [str(refused.value), repr(refused.value.__cause__), repr(store)]
    assert "not accepted" in messages[0]
    assert "127.0.0.1:1/0" in messages[-3]
    assert PASSWORD not in "".join([*messages, caplog.text])


async def test_a_script_that_the_server_forgot_is_told_again(store: RedisStore, client: redis.Redis) -> None:
    await store.append([view("a", 1, user="u")])
    client.script_flush()
    assert await asyncio.gather(*(ids(store, user="u") for _ in range(5))) == [["a"]] * 5


async def test_a_history_is_one_round_trip(store: RedisStore, client: redis.Redis) -> None:
    await store.append([view("a", 1, anonymous="v"), view("b", 2, user="u", anonymous="v")])
    await ids(store, user="u", anonymous="v")
    before = client.info("stats")["total_reads_processed"]
    looked = client.info("stats")["total_reads_processed"] - before
    assert await ids(store, user="u", anonymous="v") == ["a", "b"]
    assert client.info("stats")["total_reads_processed"] - before == 2 * looked + 1


async def test_one_that_gives_up_waiting_does_not_disturb_the_others(store: RedisStore) -> None:
    await store.append([view("a", 1, user="u"), view("b", 2, user="v")])
    asked = [asyncio.create_task(ids(store, user=user)) for user in "uvuv"]
    await asyncio.sleep(0)
    asked[0].cancel()
    asked[2].cancel()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [found[1], found[3]] == [["b"], ["b"]]
    assert await ids(store, user="u") == ["a"]
