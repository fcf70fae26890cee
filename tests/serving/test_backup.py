"""Copies of a store that is being written to: everything acknowledged before is in them, and they open and answer."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from recsys.errors import StoreError
from serving.backup import main
from serving.exporter import export
from serving.store.item import PutItem
from serving.store.protocol import Note
from serving.store.redis import RedisStore
from serving.store.sqlite import SqliteStore
from serving.store.sqlite_copy import copy
from tests.serving.redis_server import PASSWORD, RedisServer
from tests.serving.test_store import ids, view


def backup(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run the command as from the command line."""
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", ["recsys-backup", *arguments])
    main()


class Writer:
    """Appends to a store in a thread of its own until the end of the block, and remembers what was acknowledged."""

    def __init__(self, store: SqliteStore | RedisStore) -> None:
        self.acknowledged: list[str] = []
        self._store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()))

    def __enter__(self) -> "Writer":
        self._thread.start()
        while len(self.acknowledged) < 300:
            self._stop.wait(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _write(self) -> None:
        await self._store.open()
        number = 0
        while not self._stop.is_set():
            number += 1
            await self._store.append([view(f"{number}", number, user="u", anonymous="v")])
            self.acknowledged.append(f"{number}")
        await self._store.close()


async def test_a_copy_taken_under_load_is_put_back_and_has_everything_acknowledged_before(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with Writer(SqliteStore(path)) as writer:
        before = list(writer.acknowledged)
        assert copy(path, tmp_path / "copies" / "monday.db") >= len(before)
        after = len(writer.acknowledged)
    assert len(writer.acknowledged) > after > len(before), "it was written to all the time"
    assert [one.name for one in (tmp_path / "copies").iterdir()] == ["monday.db"]
    copy(tmp_path / "copies" / "monday.db", tmp_path / "new" / "events.db")
    store = SqliteStore(tmp_path / "new" / "events.db")
    await store.open()
    kept = await ids(store, user="u", limit=1_000_000)
    assert kept[: len(before)] == before
    assert [one.number for one in await store.arrived(after=0, limit=1_000_000)] == list(range(1, len(kept) + 1))
    assert await store.append([view("1", 1, user="u"), view("new", 1_000_000, anonymous="v")]) == [False, True]
    assert (await ids(store, user="u"))[-1] == "new", "the visitor's link was copied, too"
    await store.close()


async def test_the_command_copies_and_restores_and_what_was_exported_stays_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(tmp_path / "outputs" / "store" / "events.db")
    await store.open()
    await store.append([view(f"{number}", number, user="u") for number in range(7)])
    await store.change_items([PutItem("milk", False, {"price": 1.5})], at=1)
    await store.write_note("release", Note(value="seven", told_at=1))
    assert (await export(store, tmp_path / "exports")).events == 7
    backup(monkeypatch, "to=copies/monday.db")
    assert "7 events" in capsys.readouterr().out
    await store.append([view("after", 9, user="u")])
    await store.close()
    backup(monkeypatch, "restore=copies/monday.db", "store.path=new/events.db")
    restored = SqliteStore(tmp_path / "new" / "events.db")
    await restored.open()
    assert await ids(restored, user="u") == list("0123456")
    assert (await restored.items_since(0, limit=9))[0].body == {"price": 1.5}
    assert await restored.note("release") == Note(value="seven", told_at=1)
    assert (await export(restored, tmp_path / "exports")).events == 0
    await restored.close()


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A store with one event."""
    path = tmp_path / "events.db"

    async def made() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.append([view("a", 1, user="u")])
        await store.close()

    asyncio.run(made())
    return path


@pytest.mark.parametrize("name", ["taken.db", "other.db-wal", "other.db-shm"])
def test_nothing_is_ever_overwritten(stored: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(StoreError, match=rf"{name} exists already and is not overwritten"):
        copy(stored, tmp_path / name.partition("-")[0])
    assert (tmp_path / name).read_text() == "precious"


def test_what_cannot_be_copied_is_refused_by_name_and_leaves_nothing(stored: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "copy.db"
    with pytest.raises(StoreError, match=r"no event store in .*/nothing.db"):
        copy(tmp_path / "nothing.db", target)
    assert not (tmp_path / "nothing.db").exists()
    (tmp_path / "text.db").write_text("This is not a database. " * 100)
    with pytest.raises(StoreError, match=r"text.db.*is it an event store"):
        copy(tmp_path / "text.db", target)
    connection = sqlite3.connect(stored)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=r"schema version 99.*versions 1 to"):
        copy(stored, target)
    with pytest.raises(StoreError, match=r"events.db/copy.db cannot be written"):
        copy(stored, stored / "copy.db")
    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_damaged_store_is_not_taken_for_a_copy(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    await store.append([view(str(number), number, user="u") for number in range(2_000)])
    await store.close()
    data = (tmp_path / "events.db").read_bytes()
    (tmp_path / "events.db").write_bytes(data[: len(data) // 2 // 4096 * 4096])
    with pytest.raises(StoreError, match=r"events.db"):
        copy(tmp_path / "events.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "to=FILE"),
        (["to=a.db", "restore=b.db"], "restore=FILE store.path=NEW"),
        (["store=redis", "to=a.db"], "redis-cli --rdb"),
        (["to=a.db"], "no event store in"),
    ],
)
def test_the_command_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=said):
        backup(monkeypatch, *arguments)
    assert list(tmp_path.iterdir()) == []


async def test_redis_is_copied_and_restored_as_documented(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    server = RedisServer(tmp_path / "one")
    restored = RedisServer(tmp_path / "other", appendonly="no", dbfilename="monday.rdb")
    server.start()
    try:
        with Writer(RedisStore(server.url)) as writer:
            before = list(writer.acknowledged)
            rdb = str(tmp_path / "other" / "monday.rdb")
            command = ["redis-cli", "-p", str(server.port), "--rdb", rdb]
            subprocess.run(command, check=True, env={**os.environ, "REDISCLI_AUTH": PASSWORD})  # noqa: ASYNC221
        restored.start()
        with restored.client() as client:
            client.config_set("appendonly", "yes")
            client.config_set("appendfsync", "always")
        store = RedisStore(restored.url)
        await store.open()
        kept = await ids(store, user="u", limit=1_000_000)
        assert kept[: len(before)] == before
        assert await store.append([view("1", 1, user="u"), view("new", 1_000_000, anonymous="v")]) == [False, True]
        assert (await store.arrived(after=len(kept), limit=9))[0].event.event_id == "new"
        await store.close()
    finally:
        server.stop()
        restored.stop()


async def test_the_log_of_redis_copied_while_it_is_written_starts_another_server(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    server, restored = RedisServer(tmp_path / "one"), RedisServer(tmp_path / "other")
    server.start()
    try:
        with Writer(RedisStore(server.url)) as writer:
            before = list(writer.acknowledged)
            shutil.copytree(tmp_path / "one" / "appendonlydir", tmp_path / "other" / "appendonlydir")
        restored.start()
        store = RedisStore(restored.url)
        await store.open()
        kept = await ids(store, user="u", limit=1_000_000)
        assert kept[: len(before)] == before
        assert [one.number for one in await store.arrived(after=0, limit=1_000_000)] == list(range(1, len(kept) + 1))
        await store.close()
    finally:
        server.stop()
        restored.stop()
