"""Events that came in through the API become files, each exactly once, and join the log of the shop's own data."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.clock import SECOND
from recsys.data.exports import exported_files, with_exports
from recsys.errors import ConfigError, SourceError, StoreError
from recsys.event import EVENT_SCHEMA, Event, EventType, events_table
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from serving.exporter import export
from serving.store.sqlite import SqliteStore
from tests.made_up_shop import MadeUpShop
from tests.serving.conftest import Shopfront
from tests.serving.shop import NOW

ROOT = Path(__file__).resolve().parents[2]
SHOP = MadeUpShop(shoppers=2)


def ids(folder: Path) -> list[str]:
    """Ids of all exported events, file after file."""
    return [one for path in exported_files(folder) for one in pq.read_table(path)["event_id"].to_pylist()]


def view(number: int, item: str = "item-001") -> Event:
    return Event(
        event_id=f"e{number}", type=EventType.VIEW, occurred_at=NOW + number * SECOND, user_id="u", item_id=item
    )


async def send(shop: Shopfront, *events: dict[str, object]) -> None:
    answer = await shop.http.post("/v1/events", content=json.dumps({"events": list(events)}))
    assert answer.json()["accepted"] == len(events), answer.text


async def test_each_event_is_exported_once_and_whole_with_links_consents_and_filters(
    shop: Shopfront, tmp_path: Path
) -> None:
    folder = tmp_path / "exports"
    assert (await export(shop.store, folder)).events == 0
    await send(
        shop,
        {"event_id": "a", "type": "view", "anonymous_id": "v", "item_id": "no row yet", "consent": ["personalise"]},
        {"event_id": "b", "type": "search", "anonymous_id": "v", "query": "tea", "filters": ["brand:x", "sort:price"]},
        {"event_id": "c", "type": "link", "anonymous_id": "v", "user_id": "u"},
        {"event_id": "d", "type": "unlink", "anonymous_id": "v", "user_id": "u", "consent": []},
    )
    assert (await export(shop.store, folder, rows=3)).events == 4
    ranges = [path.name.split("-", 2)[2] for path in exported_files(folder)]
    assert ranges == ["000000000001-000000000003.parquet", "000000000004-000000000004.parquet"]
    assert (await export(shop.store, folder)).files == ()
    await send(shop, {"event_id": "e", "type": "purchase", "user_id": "u", "item_id": "item-001", "price": 2.5})
    assert (await export(shop.store, folder)).events == 1
    assert ids(folder) == ["a", "b", "c", "d", "e"]
    table = pa.concat_tables([pq.read_table(path) for path in exported_files(folder)])
    assert table.schema.equals(EVENT_SCHEMA)
    assert table["consent"].to_pylist() == [["personalise"], None, None, [], None]
    assert table["filters"].to_pylist()[1] == ["brand:x", "sort:price"]
    assert table["occurred_at"].cast(pa.int64()).to_pylist() == [NOW] * 5


async def test_a_half_written_file_is_swept_and_written_again_the_same(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    await store.append([view(number) for number in range(5)])
    whole = await export(store, tmp_path / "one")
    torn = tmp_path / "two"
    torn.mkdir()
    (torn / f".partial-{whole.files[0].name}").write_bytes(whole.files[0].read_bytes()[:100])
    again = await export(store, torn)
    assert again.files[0].name == whole.files[0].name
    assert again.files[0].read_bytes() == whole.files[0].read_bytes()
    assert sorted(path.name for path in torn.iterdir()) == [".lock", whole.files[0].name, "exposures"]
    await store.close()


async def test_files_that_are_not_of_the_stores_past_stop_the_export_and_another_store_has_its_own(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "exports"
    for name, numbers in (("one", range(5)), ("other", range(10, 15)), ("one less", [0, 1, 2, 3, 9])):
        store = SqliteStore(tmp_path / f"{name}.db")
        await store.open()
        await store.append([view(number) for number in numbers])
        if name == "one less":  # it lost the fifth and got another one
            with pytest.raises(StoreError, match=r"event 5 of the store is not the last one of .* by its id"):
                await export(store, folder)
        else:
            assert (await export(store, folder)).events == 5
        await store.close()
    assert sorted(ids(folder)) == sorted([f"e{number}" for number in [*range(5), *range(10, 15)]])


async def test_exports_are_parts_of_the_shops_log_and_a_new_file_adds_only_what_is_new(
    shop: Shopfront, tmp_path: Path
) -> None:
    folder, log = tmp_path / "exports", tmp_path / "log"
    assert with_exports(SHOP, folder) is SHOP, "nothing was exported yet"
    before = write_log(SHOP, log)
    await send(shop, {"event_id": "a", "type": "view", "user_id": "u", "item_id": "item-001"})
    await send(shop, {"event_id": "l", "type": "link", "user_id": "u", "anonymous_id": "v", "consent": ["ads"]})
    await export(shop.store, folder)
    joined = with_exports(SHOP, folder)
    assert (joined.name, joined.cutoff, joined.fingerprint()) == (SHOP.name, SHOP.cutoff, SHOP.fingerprint())
    told: list[str] = []
    after = write_log(joined, log, tell=told.append)
    assert after.events == before.events + 2
    assert told == [], "added to, not written from scratch"
    await send(shop, {"event_id": "b", "type": "view", "user_id": "u", "item_id": "not in the catalogue"})
    await export(shop.store, folder)
    last = write_log(with_exports(SHOP, folder), log, tell=told.append)
    assert (last.events, last.duplicates) == (after.events + 1, 0)
    linked = EventLog(log).events(EventType.LINK)
    assert (linked["anonymous_id"].to_pylist(), linked["consent"].to_pylist()) == (["v"], [["ads"]])
    assert "not in the catalogue" in EventLog(log).events(EventType.VIEW)["item_id"].to_pylist()
    assert write_log(SHOP, log, tell=told.append).events == last.events, "what is not given now is kept"
    assert told[0].startswith("2 parts of the log are not among the files given; they are kept")


def test_what_is_no_export_is_refused_or_quarantined(tmp_path: Path) -> None:
    table = events_table([view(0), view(1)])
    strange = table.set_column(1, EVENT_SCHEMA.field("type"), pa.array(["view", "stare"]))
    pq.write_table(strange, tmp_path / "strange.parquet")
    (part,) = (part for part in with_exports(SHOP, tmp_path).parts() if part.name == "exports/strange.parquet")
    (chunk,) = part.chunks()
    assert (chunk.rows_in, chunk.events.num_rows) == (2, 1)
    assert chunk.quarantine["reason"].to_pylist() == ["type is 'stare', which is not known"]
    assert chunk.quarantine["row"].to_pylist() == [1]
    pq.write_table(table.drop_columns(["consent"]), tmp_path / "lacks.parquet")
    (part,) = (part for part in with_exports(SHOP, tmp_path).parts() if part.name == "exports/lacks.parquet")
    with pytest.raises(SourceError, match="lacks consent: it is no export of events"):
        list(part.chunks())
    with pytest.raises(ConfigError, match="has an order but no times; use exports=null"):
        with_exports(replace(SHOP, order_only=True), tmp_path)


@pytest.mark.slow
def test_killed_at_any_moment_the_exporter_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Real processes, killed at random, while a real writer appends."""
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / "events.db")], env=_environment())
    rng, killed, done = random.Random(0), 0, 0
    arguments = [f"store.path={tmp_path / 'events.db'}", f"exports={tmp_path / 'exports'}", "rows=300"]
    command = [sys.executable, "-m", "serving.export", *arguments]
    longest = 8.0
    try:
        while writer.poll() is None or killed < 8:
            began = time.monotonic()
            exporter = subprocess.Popen(command, env=_environment(), cwd=tmp_path, stdout=subprocess.DEVNULL)
            try:
                assert exporter.wait(timeout=rng.uniform(0.5, 1.0) * longest) == 0
                longest, done = time.monotonic() - began, done + 1
            except subprocess.TimeoutExpired:
                exporter.send_signal(signal.SIGKILL)
                exporter.wait()
                killed += 1
    finally:
        writer.wait(timeout=60)
    assert subprocess.run(command, env=_environment(), cwd=tmp_path).returncode == 0
    found = ids(tmp_path / "exports")
    assert killed >= 8
    assert len(found) == len(set(found)) == 20_000
    assert not list((tmp_path / "exports").glob(".partial-*"))


_WRITER = """
import asyncio, sys
from recsys.event import Event, EventType
from serving.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    for number in range(200):
        await store.append([
            Event(event_id=f"{number}-{place}", type=EventType.VIEW, occurred_at=number, user_id="u", item_id="i")
            for place in range(100)
        ])
        await asyncio.sleep(0.1)
    await store.close()

asyncio.run(main())
"""


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
