"""The exporter beside the service: killed wherever it is, without room, started again, and seen."""

import asyncio
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from recsys.clock import SECOND, ManualClock
from recsys.data.exports import exported_files
from recsys.errors import ConfigError
from recsys.event import Event, EventType
from serving import processes
from serving.background import Background
from serving.export_progress import read_progress
from serving.exporting import Exporting, ExportSettings
from serving.launch import exporting
from serving.store.memory import MemoryStore
from serving.store.protocol import OnlineStore
from serving.store.redis import RedisStore
from serving.store.sqlite import SqliteStore
from tests.serving.conftest import Shopfront
from tests.serving.live import LiveServer
from tests.serving.redis_server import RedisServer
from tests.serving.shop import NOW
from tests.serving.test_crash import Stream
from tests.serving.watching.scrape import Scraped
from tests.training.test_conf import composed

ROOT = Path(__file__).resolve().parents[2]


def view(name: str) -> Event:
    return Event(event_id=name, type=EventType.VIEW, occurred_at=NOW, user_id="u", item_id="i")


def ids(folder: Path) -> list[str]:
    return [one for path in exported_files(folder) for one in pq.read_table(path)["event_id"].to_pylist()]


def until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what} after {timeout_s} s"
        time.sleep(0.05)


@pytest.mark.parametrize("stride", [73, pytest.param(3, marks=pytest.mark.slow)])
def test_whichever_line_it_is_killed_at_the_next_export_makes_it_whole(stride: int) -> None:
    """Every line in two minutes of processor time: `python -m tests.serving.dying_export /dev/shm/NAME 1`."""
    in_memory = Path("/dev/shm")  # what a kill leaves behind does not depend on the disk
    with tempfile.TemporaryDirectory(dir=in_memory if os.access(in_memory, os.W_OK) else None) as place:
        command = [sys.executable, "-m", "tests.serving.dying_export", place, str(stride)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    line, died = map(int, done.stdout.split())
    assert line > 500, "lines of ours that an export goes through"
    assert died == line // stride


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_without_room_nothing_is_lost_it_is_said_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    store, clock, rng = MemoryStore(), ManualClock(NOW), random.Random(0)
    await store.open()
    folder = tmp_path / "exports"
    rounds = Exporting(store, ExportSettings(folder=folder), clock)
    await store.append([view("first")])
    assert await rounds.round()
    names = [rng.randbytes(100).hex() for _ in range(500)]
    await store.append([view(name) for name in names])
    clock.advance(60 * SECOND)
    with no_file_larger_than(10_000):
        assert not await rounds.round()
    told = await read_progress(store)
    assert told is not None
    assert told.trouble is not None
    assert "File too large); see to it that it can be written and has room" in told.trouble
    assert (told.events, told.lag(501, now=NOW + 90 * SECOND)) == (1, (500, 90.0))
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [".lock", "exposures", *(p.name for p in exported_files(folder))]
    )
    assert await rounds.round()
    assert sorted(ids(folder)) == sorted(["first", *names])
    told = await read_progress(store)
    assert told is not None
    assert (told.events, told.trouble, told.failed_at) == (501, None, NOW + 60 * SECOND)
    assert told.lag(501, now=NOW + 90 * SECOND) == (0, 0.0)
    await store.close()


async def test_who_comes_after_one_that_was_killed_before_it_could_say_so_counts_what_that_one_wrote(
    tmp_path: Path,
) -> None:
    store, clock = MemoryStore(), ManualClock(NOW)
    await store.open()
    settings = ExportSettings(folder=tmp_path, rows=2)
    await store.append([view("a")])
    assert await Exporting(store, settings, clock).round()
    said = await store.note("export")
    await store.append([view(name) for name in "bcd"])
    assert await Exporting(store, settings, clock).round()
    assert said is not None
    await store.write_note("export", said)
    with no_file_larger_than(10):
        await store.append([view("e")])
        assert not await Exporting(store, settings, clock).round()
    assert await Exporting(store, settings, clock).round()
    told = await read_progress(store)
    assert told is not None
    assert (told.events, told.number) == (5, 5)
    await store.close()


async def test_metrics_and_status_say_how_much_waits_for_how_long_and_what_went_wrong(
    shop: Shopfront, tmp_path: Path
) -> None:
    assert "events exported" not in (await shop.http.get("/v1/admin/status")).text, "nobody exports"
    clock = ManualClock(NOW)
    rounds = Exporting(shop.store, ExportSettings(folder=tmp_path / "exports"), clock)
    await shop.store.append([view("a"), view("b")])
    assert await rounds.round()
    assert "2, all that came before 2024-05-01 12:00:00 UTC, to " in (await shop.http.get("/v1/admin/status")).text
    value = Scraped.of((await shop.http.get("/v1/admin/metrics")).text)
    assert value("attune_events_exported_total") == 2
    assert (value("attune_export_waiting_events"), value("attune_export_lag_seconds")) == (0, 0)
    await shop.store.append([view("c")])
    (tmp_path / "exports").rename(tmp_path / "away")
    (tmp_path / "exports").write_text("this is no folder")
    assert not await rounds.round()
    status = (await shop.http.get("/v1/admin/status")).text
    assert "export lag         1 events, " in status
    assert "events cannot be exported to" in status
    value = Scraped.of((await shop.http.get("/v1/admin/metrics")).text)
    assert value("attune_events_exported_total") == 2, "not counted twice"
    assert (value("attune_export_waiting_events"), value("attune_export_failing")) == (1, 1)
    assert value("attune_export_lag_seconds") > 365 * 86_400, "since noon on 1 May 2024"


async def test_of_two_machines_at_one_store_one_exports_and_the_other_takes_over_when_that_one_is_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, clock = MemoryStore(), ManualClock(NOW)
    await store.open()
    first, second = (
        Exporting(store, ExportSettings(folder=tmp_path / name, every_s=10.0), clock) for name in ("one", "two")
    )
    await store.append([view("a")])
    assert await first.round()
    assert not await second.round()
    assert f"the store is exported to {socket.gethostname()}:{tmp_path}/one already" in caplog.text
    assert ids(tmp_path / "two") == []
    told = await read_progress(store)
    assert told is not None
    assert told.trouble is None, "all is well with the export"
    clock.advance(59 * SECOND)
    assert not await second.round()
    clock.advance(1 * SECOND)
    await store.append([view("b")])
    assert await second.round(), "nothing was heard for three rounds and half a minute"
    assert not await first.round()
    assert (ids(tmp_path / "one"), ids(tmp_path / "two")) == (["a"], ["a", "b"])
    told = await read_progress(store)
    assert told is not None
    assert (told.events, told.folder) == (2, f"{socket.gethostname()}:{tmp_path}/two")
    await store.close()


async def test_who_ends_on_purpose_leaves_the_store_to_another_at_once(tmp_path: Path) -> None:
    store, clock, stop = SqliteStore(tmp_path / "events.db"), ManualClock(NOW), asyncio.Event()
    stop.set()
    await Exporting(store, ExportSettings(folder=tmp_path / "one"), clock).run(stop)
    assert await Exporting(store, ExportSettings(folder=tmp_path / "two"), clock).round()
    await store.close()


def test_what_only_the_service_itself_can_see_is_not_exported_by_another_process(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"use store=sqlite or export.folder=null"):
        exporting(composed("serve", "store=memory", f"export.folder={tmp_path}"))


def exporters(of: int) -> list[processes.Process]:
    """The exporters among the processes that one started."""
    return [one for one in processes.descendants(of) if "serving.background" in _command(one.pid)]


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def place_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> tuple[OnlineStore, dict[str, str]]:
    """A store and the settings by which another process opens the same."""
    if kind == "sqlite":
        path = str(folder / "events.db")
        return SqliteStore(path), {"_target_": "serving.store.sqlite.SqliteStore", "path": path}
    server: RedisServer = request.getfixturevalue("redis_server")
    prefix = f"exporting-{folder.name}"
    settings = {"_target_": "serving.store.redis.RedisStore", "url": server.url, "prefix": prefix}
    return RedisStore(server.url, prefix=prefix), settings


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_killed_again_and_again_it_comes_back_and_every_event_is_in_the_files_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A real exporter under a real supervisor, killed at random while a real store takes in events."""
    store, settings = place_of(kind, request, tmp_path)
    await store.open()
    rng, told, killed = random.Random(1), 0, 0
    folder = tmp_path / "exports"
    with Background(settings, ExportSettings(folder=folder, every_s=0.05, rows=50), longest_pause_s=0.1):
        while killed < 12:
            files = len(exported_files(folder))
            due, is_writing = time.monotonic() + rng.uniform(0.2, 1.0), rng.random() < 0.7
            while time.monotonic() < due or (is_writing and len(exported_files(folder)) == files):
                await store.append([view(f"{told}-{place}") for place in range(7)])
                told += 1
                await asyncio.sleep(0.01)
            for one in exporters(os.getpid()):
                os.kill(one.pid, signal.SIGKILL)
                killed += 1
        until(lambda: len(ids(folder)) >= 7 * told, timeout_s=60, what="the last events in files")
        await store.append([view("at the end")])
    assert exporters(os.getpid()) == []
    found = ids(folder)
    assert len(found) == len(set(found)) == 7 * told + 1
    told_of = await read_progress(store)
    assert told_of is not None
    assert told_of.events == 7 * told + 1, "though most of those who wrote were killed"
    await store.close()
    assert not list(folder.glob(".partial-*"))


@pytest.mark.slow
def test_a_real_server_exports_beside_itself_and_the_exporter_is_started_again(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    server = LiveServer(tiny_bundle, tmp_path, "export.folder=exports", "export.every_s=0.2")
    server.start()
    server.wait_until_ready()
    folder = tmp_path / "exports"
    with Stream(server.url) as stream:
        for _ in range(3):
            until(lambda: len(exporters(server.pid)) == 1, timeout_s=60, what="an exporter")
            before = len(stream.acknowledged)
            until(lambda n=before: len(set(ids(folder))) > n, timeout_s=60, what="new events in files")
            os.kill(exporters(server.pid)[0].pid, signal.SIGKILL)
    until(lambda: len(ids(folder)) == len(stream.acknowledged), timeout_s=60, what="all events in files")
    status = httpx.get(f"{server.url}/v1/admin/status").text
    assert "export lag" in status
    assert str(folder) in status
    server.stop()
    found = ids(folder)
    assert len(found) == len(set(found))
    assert set(found) == set(stream.acknowledged)
    assert server.output.count("the exporter (") == 3, "it says so each time, and the last one ended by itself"


@pytest.mark.slow
def test_when_the_service_is_killed_its_exporter_exports_what_is_left_and_ends(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    server = LiveServer(tiny_bundle, tmp_path, "export.folder=exports", "export.every_s=1000")
    server.start()
    server.wait_until_ready()
    [exporter] = exporters(server.pid)
    with Stream(server.url) as stream:
        until(lambda: len(stream.acknowledged) > 50, timeout_s=60, what="50 acknowledged events")
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    until(lambda: not exporter.alive(), timeout_s=30, what="the exporter to end")
    assert sorted(ids(tmp_path / "exports")) == sorted(stream.acknowledged)
