"""What is only true of an erasure from Redis: keys, values and files, whoever is killed meanwhile, whoever may not."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from recsys.errors import StoreError
from recsys.event import Event, EventType
from recsys.log.erase import Named
from serving.store import redis_erasing
from serving.store.redis import RedisStore
from serving.store.redis_script import Ask
from tests.serving.redis_server import PASSWORD, RedisServer
from tests.serving.test_erasure import TABLET, USER, UTE, VISITOR, filled, link, slate, traces
from tests.serving.test_store import ids, view

GONE = (USER, VISITOR, TABLET)


@pytest.fixture(params=[{}, {"save": "3600 1"}], ids=["append-only file", "dumps, too"])
def lone_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """A server for one test; what it writes is not compressed, so that a search of its files finds what is there."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, rdbcompression="no", **request.param)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[RedisStore]:
    """An empty store on the server that tests share."""
    with redis_server.client() as client:
        client.flushall()
    store = RedisStore(redis_server.url)
    await store.open()
    yield store
    await store.close()


def dumped(client: redis.Redis) -> str:
    """Every key with everything in it, as text."""
    readers = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "stream": client.xrange,
    }
    return "".join(f"{key} {readers[client.type(key)](key)}\n" for key in client.scan_iter())


def wait_while_writing(client: redis.Redis) -> None:
    """Return once no file is being written."""
    while any(client.info("persistence")[name] for name in ("rdb_bgsave_in_progress", "aof_rewrite_in_progress")):
        time.sleep(0.01)


def loosely(server: RedisServer) -> redis.Redis:
    """A look at keys that reads bytes which are no text, too."""
    return redis.Redis(port=server.port, password=PASSWORD, decode_responses=True, encoding_errors="replace")


async def test_afterwards_no_key_no_value_and_no_file_of_the_server_holds_the_ids(lone_server: RedisServer) -> None:
    one, other = RedisStore(lone_server.url), RedisStore(lone_server.url)
    await one.open()
    await other.open()
    for number in range(30):
        crowd = [view(f"{number}-{who}", number, user=f"u{who}", anonymous=f"v{who}") for who in range(50)]
        await one.append([*crowd, view(f"{number}-ute", number, user=USER, anonymous=VISITOR)])
        await other.record_exposures([slate(f"{number}", user=USER), slate(f"crowd {number}", user=f"u{number}")])
    await filled(one)
    with loosely(lone_server) as client:
        if lone_server.client().config_get("save")["save"]:
            client.bgsave()
            wait_while_writing(client)
        held = dumped(client)
        assert all(name in held for name in GONE)
        files = traces(lone_server.folder)
        assert any(name.endswith(".aof") for name in files)
        receipt = await other.forget(UTE, at=1)
        assert (receipt.events, receipt.exposures, receipt.remains) == (37, 32, ())
        assert await one.append([view("late", 50, user=USER), view("after", 50, user="u1", anonymous=TABLET)]) == [
            False,
            True,
        ]
        held = dumped(client)
        assert [name for name in GONE if name in held] == []
        assert "erasing:" not in held
    await asyncio.sleep(0.2)  # a thread of the server removes the files that were replaced
    assert traces(lone_server.folder) == []
    numbers = [arrival.number for arrival in await one.arrived(after=0, limit=10_000)]
    assert (len(numbers), numbers[-1]) == (1_503, 1_540)
    await one.close()
    await other.close()


async def test_what_is_only_deleted_from_a_stream_stays_in_the_files(tmp_path: Path) -> None:
    """Why the stream is copied: should Redis ever overwrite what XDEL deletes, copying may go."""
    server = RedisServer(tmp_path, rdbcompression="no")
    server.start()
    store = RedisStore(server.url)
    await store.open()
    await store.append([view("a", 1, user="vera"), view("b", 2, user=USER), view("c", 3, user="vera")])
    with server.client() as client:
        client.xdel("attune:arrived", "2-0")
        client.unlink(f"attune:user:{USER}")
        client.bgrewriteaof()
        wait_while_writing(client)
    await asyncio.sleep(0.2)
    assert traces(tmp_path) != []
    await store.close()
    server.stop()


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", range(0, 45, 2))
async def test_an_erasure_that_was_killed_after_any_command_is_gone_on_for_by_the_next(
    redis_server: RedisServer, store: RedisStore, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `after` commands nothing more reaches the server, as if the replica had been killed."""
    await filled(store)
    monkeypatch.setattr(redis_erasing, "_LOCK_MS", 50)
    left = after

    def dying(ask: Ask) -> Ask:
        async def asking(*command: object) -> object:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return await ask(*command)  # type: ignore[arg-type]

        return asking

    try:
        await redis_erasing.Erasing(dying(store._write), "attune:").forget(UTE, at=100)
    except Killed:
        assert left == 0
    monkeypatch.undo()
    receipt = await store.forget(UTE, at=200)
    assert receipt.at in (100, 200)
    assert (receipt.visitors, receipt.events, receipt.events_blanked, receipt.links) == (2, 7, 1, 3)
    assert (receipt.exposures, receipt.exposures_blanked) == (2, 1)
    with loosely(redis_server) as client:
        held = dumped(client)
    assert [name for name in (*GONE, "erasing:", "arrived_") if name in held] == []
    assert [arrival.number for arrival in await store.arrived(after=0, limit=99)] == [3, 8]
    assert await ids(store, user="vera") == ["3", "8"]


async def test_from_the_first_step_on_nothing_more_of_the_shopper_is_taken_in(
    redis_server: RedisServer, store: RedisStore
) -> None:
    """Appends and slates go on all the while; none of them is left behind, whatever it met."""
    await filled(store)
    done = False

    async def go_on() -> None:
        number = 0
        while not done:
            number += 1
            await store.append([view(f"on {number}", number, user=USER, anonymous=f"v{number}")])
            await store.record_exposures([slate(f"on {number}", user=USER)])

    going = asyncio.create_task(go_on())
    await asyncio.sleep(0.05)
    receipt = await store.forget(UTE, at=100)
    done = True
    await going
    assert receipt.events > 7
    with loosely(redis_server) as client:
        assert USER not in dumped(client)
    assert len(await store.arrived(after=0, limit=10_000)) == 2


async def test_two_at_once_are_erased_one_after_the_other_and_both_are_gone(
    redis_server: RedisServer, store: RedisStore
) -> None:
    await filled(store)
    await asyncio.gather(*(store.forget(one, at=100) for one in (UTE, Named("user", "vera"), UTE)))
    assert await store.arrived(after=0, limit=99) == []
    with loosely(redis_server) as client:
        held = dumped(client)
    assert [name for name in (*GONE, "vera") if name in held] == []


async def test_what_was_trimmed_from_the_stream_goes_from_histories_all_the_same(
    store: RedisStore, redis_server: RedisServer
) -> None:
    await filled(store)
    with redis_server.client() as client:
        client.xtrim("attune:arrived", minid="10", approximate=False)
    shown = await store.held(UTE, after=0, limit=9)
    assert sorted(one.event.event_id for one in shown.events if one.number == 0) == ["1", "2", "5", "6", "7", "9"]
    receipt = await store.forget(UTE, at=100)
    assert receipt.events_blanked == 1
    with loosely(redis_server) as client:
        held = dumped(client)
    assert [name for name in GONE if name in held] == []
    vera = await store.history(user_id="vera", anonymous_id=None, limit=9)
    assert [(one.event_id, one.anonymous_id) for one in vera] == [("3", None), ("8", None)]


async def test_ids_that_json_and_patterns_spell_otherwise_are_found_too(redis_server: RedisServer) -> None:
    strange = 'ü"te\\\x00[*?]\n'
    store = RedisStore(redis_server.url, prefix="shop[1]*")
    await store.open()
    await store.append([view("a", 1, user=strange, anonymous="v"), link("b", 2, strange, "w"), view("c", 3, user="u")])
    await store.record_exposures([slate("s", user=strange)])
    receipt = await store.forget(Named("user", strange), at=9)
    assert (receipt.visitors, receipt.events, receipt.links, receipt.exposures) == (2, 2, 2, 1)
    assert [one.event.event_id for one in await store.arrived(after=0, limit=9)] == ["c"]
    await store.close()


async def test_where_the_server_may_not_be_told_to_write_its_files_the_receipt_says_so(
    redis_server: RedisServer, store: RedisStore
) -> None:
    await filled(store)
    with redis_server.client() as client:
        client.acl_setuser(
            "shop",
            enabled=True,
            passwords=["+pw"],
            categories=["+@all"],
            commands=["-config", "-bgrewriteaof", "-bgsave"],
            keys=["*"],
        )
    bound = RedisStore(f"redis://shop:pw@127.0.0.1:{redis_server.port}/0")
    await bound.open()
    receipt = await bound.forget(UTE, at=100)
    assert [said.partition(",")[0] for said in receipt.remains] == [
        "the server's append-only file",
        "the server's dump",
    ]
    assert "may not ask for BGREWRITEAOF" in receipt.remains[0]
    assert await bound.forget(UTE, at=200) == receipt
    await bound.close()


async def test_files_that_take_long_are_waited_for_by_the_next_call(
    redis_server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(store)
    with redis_server.client() as client:
        monkeypatch.setattr("serving.store.redis_files.written_anew.__kwdefaults__", {"wait_s": 0.0})
        client.config_set("rdb-key-save-delay", "50000")
        with pytest.raises(StoreError, match="still writes its files anew after 0 s; ask again"):
            await store.forget(UTE, at=100)
        assert await ids(store, user=USER) == []
        client.config_set("rdb-key-save-delay", "0")
        monkeypatch.undo()
        before = client.info("persistence")["aof_rewrites"]
        receipt = await store.forget(UTE, at=200)
        assert (receipt.at, receipt.events, receipt.remains) == (100, 7, ())
        assert client.info("persistence")["aof_rewrites"] - before <= 1
        [kept] = client.hvals("attune:receipts")
        assert json.loads(kept)[2] is True


async def test_as_long_as_nobody_was_erased_an_event_costs_no_hmac(store: RedisStore) -> None:
    assert await store.append([view("a", 1, user="u")]) == [True]
    assert store._sieve.knows == ""
    await store.forget(UTE, at=1)
    assert await store.append(
        [view("b", 2, user="u"), Event(event_id="c", type=EventType.VIEW, occurred_at=3, user_id=USER, item_id="i")]
    ) == [True, False]
    assert store._sieve.knows == "1"
