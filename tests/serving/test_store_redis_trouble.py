"""A Redis that dies, hangs, comes back or comes back empty, under a store that is in use."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from recsys.errors import OverloadError, StoreError
from serving.store.redis import RedisStore
from serving.store.redis_line import WAITING
from tests.serving.redis_server import RedisServer
from tests.serving.test_store import ids, view


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


async def until_it_works(ask: Callable[[], Awaitable[object]]) -> float:
    """Seconds until the store answers this again."""
    began = time.monotonic()
    while True:
        try:
            await ask()
        except StoreError:
            assert time.monotonic() < began + 20
            await asyncio.sleep(0.01)
        else:
            return time.monotonic() - began


async def test_what_was_acknowledged_survives_kills_of_the_server_in_the_middle_of_appends(server: RedisServer) -> None:
    store = RedisStore(server.url)
    await store.open()
    acknowledged: list[str] = []
    failed = 0

    async def write(writer: int) -> None:
        nonlocal failed
        for number in range(1_000_000):
            events = [view(f"{writer}-{number}-{place}", number, user="u", anonymous=f"v{writer}") for place in "ab"]
            try:
                await store.append(events)
            except StoreError:
                failed += 1
                await asyncio.sleep(0.01)
            else:
                acknowledged.extend(event.event_id for event in events)

    writers = [asyncio.create_task(write(writer)) for writer in range(8)]
    for _ in range(3):
        before = len(acknowledged)
        while len(acknowledged) < before + 300:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.start)
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    await until_it_works(store.check)
    arrivals = await store.arrived(after=0, limit=1_000_000)
    assert failed >= 3
    assert [one.number for one in arrivals] == list(range(1, len(arrivals) + 1))
    arrived = [one.event.event_id for one in arrivals]
    assert set(acknowledged) <= set(arrived)
    assert len(arrived) == len(set(arrived))
    assert arrived[::2] == [f"{event[:-1]}a" for event in arrived[1::2]], "both of a call or none"
    assert sorted(await ids(store, user="u", limit=1_000_000)) == sorted(arrived)
    await store.close()


async def test_a_server_that_is_gone_is_named_at_once_and_used_again_when_it_is_back(server: RedisServer) -> None:
    store = RedisStore(server.url)
    await store.open()
    await store.append([view("a", 1, user="u")])
    server.kill()
    for asked in (store.append([view("b", 2, user="u")]), ids(store, user="u"), store.check(), store.check()):
        began = time.monotonic()
        with pytest.raises(StoreError, match=rf"redis 127.0.0.1:{server.port}/0.*start it, or set store.url"):
            await asked
        assert time.monotonic() - began < 0.5
    server.start()
    assert await until_it_works(store.check) < 5
    assert await store.append([view("a", 1, user="u"), view("b", 2, user="u")]) == [False, True]
    assert await ids(store, user="u") == ["a", "b"]
    await store.close()


async def test_an_idle_store_does_not_notice_that_the_server_was_started_again(server: RedisServer) -> None:
    store = RedisStore(server.url)
    await store.open()
    await store.append([view("a", 1, user="u")])
    server.kill()
    server.start()
    await asyncio.sleep(0.05)
    assert await ids(store, user="u") == ["a"]
    assert await store.append([view("b", 2, user="u")]) == [True]
    await store.close()


async def test_a_server_that_stopped_answering_is_waited_for_no_longer_than_set(server: RedisServer) -> None:
    store = RedisStore(server.url, timeout_s=0.3, connect_timeout_s=0.3)
    await store.open()
    await store.append([view("a", 1, user="u")])
    server.send(signal.SIGSTOP)
    try:
        for _ in range(2):
            began = time.monotonic()
            outcomes = await asyncio.gather(*(ids(store, user="u") for _ in range(20)), return_exceptions=True)
            assert time.monotonic() - began < 1.0
            assert all(isinstance(outcome, StoreError) for outcome in outcomes)
            assert "within 0.3 s; see whether it hangs" in str(outcomes[0])
        with pytest.raises(StoreError):
            await store.append([view("b", 2, user="u")])
    finally:
        server.send(signal.SIGCONT)
    assert await until_it_works(store.check) < 5
    assert await ids(store, user="u") in (["a"], ["a", "b"])
    await store.append([view("b", 2, user="u")])
    assert await ids(store, user="u") == ["a", "b"]
    await store.close()


async def test_of_too_many_requests_to_a_server_that_hangs_the_last_are_refused_at_once(server: RedisServer) -> None:
    store = RedisStore(server.url)
    await store.open()
    server.send(signal.SIGSTOP)
    asked = [asyncio.create_task(store.check()) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadError, match=f"{WAITING} requests are waiting for Redis already"):
        await store.check()
    server.send(signal.SIGCONT)
    await asyncio.gather(*asked)
    await store.close()


async def test_a_hanging_server_is_noticed_also_where_every_caller_gives_up_sooner(server: RedisServer) -> None:
    store = RedisStore(server.url, timeout_s=0.3, connect_timeout_s=0.3)
    await store.open()
    server.send(signal.SIGSTOP)
    try:
        for _ in range(8):
            with contextlib.suppress(TimeoutError, StoreError):
                async with asyncio.timeout(0.05):
                    await store.check()
        began = time.monotonic()
        with pytest.raises(StoreError):
            await store.check()
        assert time.monotonic() - began < 0.35
    finally:
        server.send(signal.SIGCONT)
    assert await until_it_works(store.check) < 5
    await store.close()


async def test_where_nothing_listens_or_nothing_answers_opening_fails_soon(server: RedisServer) -> None:
    with pytest.raises(StoreError, match=r"127.0.0.1:1/0.*start it, or set store.url"):
        await RedisStore("redis://127.0.0.1:1").open()
    server.send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        for url in (server.url, server.url.replace(":open", "me:open"), f"redis://127.0.0.1:{server.port}/3"):
            with pytest.raises(StoreError, match=r"within 0.2 s; see whether it hangs"):
                await RedisStore(url, timeout_s=0.2, connect_timeout_s=0.2).open()
        assert time.monotonic() - began < 2
    finally:
        server.send(signal.SIGCONT)


async def test_a_server_that_comes_back_empty_is_used_and_the_loss_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(tmp_path, appendonly="no")
    server.start()
    try:
        store = RedisStore(server.url, durability="none")
        await store.open()
        await store.append([view("a", 1, user="u")])
        server.kill()
        server.start()
        await until_it_works(store.check)
        assert await ids(store, user="u") == []
        assert await store.append([view("a", 1, user="u")]) == [True]
        assert "came back without anything that was in it" in caplog.text
        await store.close()
    finally:
        server.stop()


async def test_a_server_that_comes_back_less_durable_is_refused_while_it_is(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        store = RedisStore(server.url)
        await store.open()
        await store.append([view("a", 1, user="u")])
        with server.client() as client:
            client.config_set("appendfsync", "no")
            client.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(0.05)
            with pytest.raises(StoreError, match="appendfsync is no, must be always"):
                await store.append([view("b", 2, user="u")])
            client.config_set("appendfsync", "always")
        await until_it_works(lambda: store.append([view("b", 2, user="u")]))
        await until_it_works(store.check)
        assert await ids(store, user="u") == ["a", "b"]
        await store.close()
    finally:
        server.stop()
