"""What is only true of the embedded store: its file, and the processes that share it."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.errors import StoreError
from serving.store.sqlite import SqliteStore
from tests.serving.test_store import ids, view

_WRITER = """
import asyncio, sys
from recsys.event import Event, EventType
from serving.store.sqlite import SqliteStore

async def write(path, prefix, count):
    store = SqliteStore(path)
    await store.open()
    for number in range(count):
        event = Event(event_id=f"{prefix}-{number}", type=EventType.VIEW, occurred_at=number, user_id="u", item_id="i")
        await store.append([event])
        print(event.event_id, flush=True)

asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def _writer(path: Path, prefix: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(path), prefix, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_what_was_acknowledged_survives_the_sudden_death_of_the_writer(tmp_path: Path) -> None:
    child = _writer(tmp_path / "events.db", "e", 1_000_000)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(200)]
    child.kill()
    acknowledged += child.stdout.read().split()
    child.wait()
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    kept = set(await ids(store, user="u", limit=10_000_000))
    await store.close()
    assert len(acknowledged) >= 200
    assert set(acknowledged) <= kept


async def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    children = [_writer(tmp_path / "events.db", prefix, 500) for prefix in ("left", "right")]
    for child in children:
        child.communicate()
        assert child.returncode == 0
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    assert len(await ids(store, user="u", limit=10_000)) == 1_000
    await store.close()


async def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=rf"{tmp_path}/file/events.db.*choose another store.path"):
        await SqliteStore(tmp_path / "file" / "events.db").open()


@pytest.mark.parametrize("folder", ["/proc", "/sys"])
async def test_a_read_only_file_system_is_refused_by_name(folder: str) -> None:
    with pytest.raises(StoreError, match=rf"{folder}/attune.db.*writable"):
        await SqliteStore(f"{folder}/attune.db").open()


async def test_a_truncated_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = SqliteStore(path)
    await store.open()
    await store.append([view(str(number), number, user="u") for number in range(2_000)])
    await store.close()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreError, match=r"events.db.*damaged"):
        await SqliteStore(path).open()


async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("This is not a database. " * 100)
    with pytest.raises(StoreError, match=r"notes.txt.*not an event store"):
        await SqliteStore(path).open()


async def test_a_file_of_a_later_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=r"schema version 99.*reads version 5"):
        await SqliteStore(path).open()


async def test_a_full_disk_refuses_new_events_and_still_reads_the_old_ones(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db", max_mib=1)
    await store.open()
    await store.append([view("early", 0, user="early bird")])
    too_much = [view(f"{number:0200d}", number, user="u") for number in range(10_000)]
    with pytest.raises(StoreError, match="full"):
        await store.append(too_much)
    assert await ids(store, user="early bird") == ["early"]
    await store.close()


async def test_a_store_that_is_not_open_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not open"):
        await SqliteStore(tmp_path / "events.db").append([view("a", 1, user="u")])
    assert not (tmp_path / "events.db").exists()
