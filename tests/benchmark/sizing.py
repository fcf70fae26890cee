"""How much memory and disk a shop of a size needs: `python -m tests.benchmark.sizing [--quick]`.

A replica's memory is read from processes that load a release as replicas do and answer a hundred questions: one release
of 5,000 items, one of 100,000 (`release_loading.py` makes them, once). What a shopper takes is measured by
telling each store the histories of shoppers with fifty events (`workload.py`): growth of the SQLite file, and of the
memory and the append-only file (after a rewrite) of a real Redis.

| key | meaning |
|---|---|
| replica_mib | resident memory of a process that answers, by number of items |
| mib_per_100k_items | from the difference of the two |
| sqlite_gib, redis_gib, redis_file_gib | per million shoppers with fifty events each, extrapolated |
| slates_gib | per million slates of twenty items in SQLite |
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import redis

from recsys.clock import SystemClock
from recsys.event import Event, EventType
from serving.store.protocol import ExposedItem, Exposure, OnlineStore
from serving.store.redis import RedisStore
from serving.store.sqlite import SqliteStore
from tests.benchmark.release_loading import bundle_of
from tests.benchmark.report import report
from tests.benchmark.workload import HISTORY, SLATE
from tests.serving.redis_server import RedisServer

_MIB, _GIB = 2**20, 2**30
_REPLICA = """
import sys
from pathlib import Path
import numpy as np
import serving.app
from recsys.recommender import Recommender
recommender = Recommender.load(Path(sys.argv[1]), threads=1).on_offer().remembering()
for number in range(100):
    recommender.recommend([recommender.catalogue.id_of(1 + number)], count=20)
print(Path("/proc/self/statm").read_text().split()[1])
"""


def replica_mib(bundle: Path) -> float:
    """Resident memory of a process that answers from a bundle."""
    said = subprocess.run([sys.executable, "-c", _REPLICA, str(bundle)], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[-1]) * 4_096 / _MIB


def events_of(shopper: int, now: int) -> list[Event]:
    """Fifty events of a shopper, named as long as names usually are."""
    user = f"customer-{shopper:012d}"
    return [
        Event(
            event_id=f"{shopper:018x}-{number:017x}",
            type=EventType.PURCHASE if number % 7 == 0 else EventType.VIEW,
            occurred_at=now - number * 60_000_000,
            user_id=user,
            session_id=f"session-{shopper:012d}-{number // 10}",
            item_id=f"item-{(shopper * 31 + number * 977) % 100_000:08d}",
            device="phone",
            channel="web",
        )
        for number in range(HISTORY)
    ]


def slate_of(number: int, now: int) -> Exposure:
    """A slate as it is recorded."""
    items = tuple(
        ExposedItem(item_id=f"item-{place:08d}", position=place, propensity=1.0, score=0.123456, source="encoder")
        for place in range(SLATE)
    )
    return Exposure(
        recommendation_id=f"{number:036x}",
        at=now + number,
        placement="home",
        policy="TopK",
        model_version="0123456789ab",
        knowledge="known",
        user_id=f"customer-{number:012d}",
        items=items,
    )


async def _filled(store: OnlineStore, shoppers: range, now: int) -> None:
    for first in range(shoppers.start, shoppers.stop, 20):
        await store.append(
            [one for shopper in shoppers[first - shoppers.start :][:20] for one in events_of(shopper, now)]
        )


async def sqlite_bytes(folder: Path, shoppers: int, now: int) -> tuple[float, float]:
    """Bytes of the file for a shopper, and for a slate."""
    path = folder / "events.db"
    store = SqliteStore(path)
    await store.open()
    await _filled(store, range(shoppers), now)
    await store.close()
    events = path.stat().st_size
    await store.open()
    for first in range(0, shoppers, 100):
        await store.record_exposures([slate_of(number, now) for number in range(first, first + 100)])
    await store.close()
    return events / shoppers, (path.stat().st_size - events) / shoppers


async def redis_bytes(folder: Path, shoppers: int, now: int) -> tuple[float, float]:
    """Bytes of memory and of the append-only file for a shopper."""
    server = RedisServer(folder, appendfsync="everysec")
    server.start()
    try:
        store = RedisStore(server.url, durability="everysec")
        await store.open()
        with server.client() as client:
            before = int(client.info("memory")["used_memory"])  # type: ignore[index]
            await _filled(store, range(shoppers), now)
            used = int(client.info("memory")["used_memory"]) - before  # type: ignore[index]
            client.bgrewriteaof()
            await _rewritten(client)
        await store.close()
        size = _size(folder)
    finally:
        server.stop()
    return used / shoppers, size / shoppers


def _size(folder: Path) -> int:
    """Bytes of the append-only file's parts."""
    return sum(one.stat().st_size for pattern in ("*.aof", "*.rdb") for one in folder.rglob(pattern))


async def _rewritten(client: redis.Redis) -> None:
    while True:
        said = client.info("persistence")
        if not said["aof_rewrite_in_progress"] and not said["aof_rewrite_scheduled"]:  # type: ignore[index]
            return
        await asyncio.sleep(0.1)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 shoppers in place of 20,000")
    shoppers = 1_000 if parser.parse_args().quick else 20_000
    now = SystemClock().now()
    small, large = replica_mib(bundle_of(5_000)), replica_mib(bundle_of(100_000))
    with tempfile.TemporaryDirectory() as folder:
        shopper, slate = asyncio.run(sqlite_bytes(Path(folder), shoppers, now))
    with tempfile.TemporaryDirectory() as folder:
        memory, file = asyncio.run(redis_bytes(Path(folder), shoppers, now))
    result = {
        "replica_mib": {"5000": round(small), "100000": round(large)},
        "mib_per_100k_items": round((large - small) / 95_000 * 100_000),
        "sqlite_gib": round(shopper * 1e6 / _GIB, 1),
        "redis_gib": round(memory * 1e6 / _GIB, 1),
        "redis_file_gib": round(file * 1e6 / _GIB, 1),
        "slates_gib": round(slate * 1e6 / _GIB, 2),
        "shoppers": shoppers,
    }
    rows = [{"what": name, "measured": str(value)} for name, value in result.items()]
    report("what a shop needs", rows, result)


if __name__ == "__main__":
    main()
